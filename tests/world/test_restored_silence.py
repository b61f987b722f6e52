"""After a restored backup a guest is not where its record has it, and the host that it moved to is silent: whatever
would start it waits, for on a volume nothing else keeps a second copy from running."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from migrator.db.tables import hosts
from migrator.scheduler.hosts import removal
from migrator.scheduler.requests import cold_migration, requests
from tests.world import evacuations, moves
from tests.world.backups import backup, restore
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.records import live_migrate, open_alarms, operation, pass_time, record, say
from tests.world.rules import broken
from tests.world.world import CALLER, World

Ask = Callable[[World, str], int]
_SAID = "its record says n1, and there is no domain of it there; it may run on n2, which is silent"


def start(world: World, uuid: str) -> int:
    return requests.start(world.db, CALLER, uuid)


def reboot(world: World, uuid: str) -> int:
    return requests.reboot(world.db, CALLER, uuid, soft=False)


def migrate(world: World, uuid: str) -> int:
    return cold_migration.migrate(world.db, CALLER, uuid, host="n3")


def live(world: World, uuid: str) -> int:
    return requests.live_migrate(world.db, CALLER, uuid, host="n3", block=None)


def moved_to_a_silent_host(
    make_world: MakeWorld, directory: Path, pool: str = "volume", *, stopped: bool = False
) -> tuple[World, str]:
    """The record says n1, which has nothing of it any more; it runs on n2, whose agent is away."""
    world = make_world()
    uuid = built(world, pool)
    if stopped:
        moves.stop(world, uuid)
    pass_time(world, 90)
    backup(world, directory / "backup.db")
    if stopped:
        world.ask(lambda: start(world, uuid))
        world.run()
    live_migrate(world, uuid, "n2")
    pass_time(world, 90)
    world.silence("n2")
    restore(world, directory / "backup.db")
    return world, uuid


@pytest.mark.parametrize("after_s", [0, 40])
@pytest.mark.parametrize(("ask", "stopped"), [(start, True), (reboot, False)])
@pytest.mark.parametrize("pool", ["volume", "volume-mixed", "shared"])
def test_nothing_starts_what_may_run_on_a_silent_host(
    make_world: MakeWorld, tmp_path: Path, pool: str, ask: Ask, stopped: bool, after_s: float
) -> None:
    world, uuid = moved_to_a_silent_host(make_world, tmp_path, pool, stopped=stopped)
    if after_s and ask is reboot:
        pass_time(world, after_s)
        assert record(world, uuid).vm_state == "stopped"
        ask = start
    elif after_s:
        pass_time(world, after_s)
    key = world.ask(lambda: ask(world, uuid))
    pass_time(world, 200)
    assert operation(world, key).wait_reason == f"{_SAID}; compare both with `migrator reconcile {uuid}`"
    assert ("guest-unseen", "n1", uuid) in open_alarms(world)
    assert world.simulation.running_on(uuid) == ["n2"]
    world.bring_back("n2")
    pass_time(world, 30)
    assert ("guest-unseen", "n1", uuid) not in open_alarms(world)
    say(world, uuid, "n2")
    pass_time(world, 30)
    assert (operation(world, key).active, open_alarms(world)) == (False, [])
    assert (record(world, uuid).host, world.simulation.running_on(uuid)) == ("n2", ["n2"])
    assert list(world.simulation.overlaps()) == []
    assert broken(world) == []


@pytest.mark.parametrize(("ask", "stopped"), [(start, True), (reboot, False)])
@pytest.mark.parametrize("pool", ["volume", "shared"])
def test_nothing_starts_before_its_own_host_has_listed_its_copies(
    make_world: MakeWorld, tmp_path: Path, pool: str, ask: Ask, stopped: bool
) -> None:
    """The host's hypervisor does not tell its agent which there are, and does all else that is asked."""
    world, uuid = moved_to_a_silent_host(make_world, tmp_path, pool, stopped=stopped)
    world.listless.add("n1")
    key = world.ask(lambda: ask(world, uuid))
    pass_time(world, 30)
    waits = "waiting for host n1: it has not listed its guests since the servers are back"
    assert operation(world, key).wait_reason == waits
    world.listless.clear()
    pass_time(world, 30)
    assert operation(world, key).wait_reason == f"{_SAID}; compare both with `migrator reconcile {uuid}`"
    assert world.simulation.running_on(uuid) == ["n2"]


def evacuating(make_world: MakeWorld, directory: Path, pool: str) -> tuple[World, str, int]:
    """The host that the record names is lost for good, and evacuated."""
    world, uuid = moved_to_a_silent_host(make_world, directory, pool)
    world.lose("n1")
    pass_time(world, 90)
    moves.force_down(world, "n1")
    key = world.ask(lambda: evacuations.ask(world, uuid, "n3"))
    pass_time(world, 60)
    said = "its record says n1, which has not said so since the servers are back; it may run on n2, which is silent"
    assert operation(world, key).wait_reason == f"{said}; compare both with `migrator reconcile {uuid}`"
    assert open_alarms(world) == [("guest-unseen", "n1", uuid)]
    return world, uuid, key


@pytest.mark.parametrize("pool", ["volume", "shared"])
def test_an_evacuation_waits_for_a_host_that_may_run_the_guest(
    make_world: MakeWorld, tmp_path: Path, pool: str
) -> None:
    world, uuid, key = evacuating(make_world, tmp_path, pool)
    world.listless.add("n2")
    world.bring_back("n2")
    pass_time(world, 60)
    assert (operation(world, key).active, world.simulation.running_on(uuid)) == (True, ["n2"])
    world.listless.clear()
    pass_time(world, 30)
    assert {kind for kind, _, _ in open_alarms(world)} == {"copy-elsewhere", "copy-newer"}
    say(world, uuid, "n2", given_up={"n1"})
    pass_time(world, 30)
    assert (record(world, uuid).host, world.simulation.running_on(uuid)) == ("n2", ["n2"])
    assert list(world.simulation.overlaps()) == []


@pytest.mark.parametrize("pool", ["volume", "shared"])
def test_an_evacuation_goes_on_when_no_host_is_left_that_may_run_the_guest(
    make_world: MakeWorld, tmp_path: Path, pool: str
) -> None:
    world, uuid, key = evacuating(make_world, tmp_path, pool)
    world.lose("n2")
    moves.force_down(world, "n2")
    pass_time(world, 60)
    assert (operation(world, key).locks_instance, world.simulation.running_on(uuid)) == (False, ["n3"])
    assert open_alarms(world) == []
    assert list(world.simulation.overlaps()) == []


def test_what_ran_on_a_host_that_is_fenced_starts_where_its_record_has_it(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world, uuid = moved_to_a_silent_host(make_world, tmp_path, "shared", stopped=True)
    key = world.ask(lambda: start(world, uuid))
    pass_time(world, 60)
    assert operation(world, key).active
    world.lose("n2")
    moves.force_down(world, "n2")
    pass_time(world, 60)
    assert (operation(world, key).status, world.simulation.running_on(uuid)) == ("completed", ["n1"])
    assert open_alarms(world) == []
    assert list(world.simulation.overlaps()) == []


def test_a_guest_on_local_disks_is_not_waited_for(make_world: MakeWorld, tmp_path: Path) -> None:
    """It runs nowhere without them."""
    world, uuid = moved_to_a_silent_host(make_world, tmp_path, "local", stopped=True)
    key = world.ask(lambda: start(world, uuid))
    pass_time(world, 60)
    assert "disk missing" in (operation(world, key).error or {})["message"]
    assert world.simulation.running_on(uuid) == ["n2"]


def test_a_domain_that_is_gone_is_started_anew_while_every_host_is_heard(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "volume")
    moves.stop(world, uuid)
    world.agents["n1"].driver.undefine(uuid)
    pass_time(world, 60)
    assert open_alarms(world) == [("domain-gone", "n1", uuid)]
    key = world.ask(lambda: start(world, uuid))
    pass_time(world, 60)
    assert (operation(world, key).status, world.simulation.running_on(uuid)) == ("completed", ["n1"])
    assert open_alarms(world) == []


def without_a_list(world: World, host: str) -> None:
    """The host's agent is back; its hypervisor does not answer it, and everything else arrives."""
    world.listless.add(host)
    world.bring_back(host)
    pass_time(world, 20)


@pytest.mark.parametrize(("ask", "stopped"), [(start, True), (reboot, False), (migrate, True)])
@pytest.mark.parametrize("pool", ["volume", "shared"])
def test_nothing_starts_what_may_run_on_a_host_that_is_heard_and_has_not_listed_its_copies(
    make_world: MakeWorld, tmp_path: Path, pool: str, ask: Ask, stopped: bool
) -> None:
    world, uuid = moved_to_a_silent_host(make_world, tmp_path, pool, stopped=stopped)
    without_a_list(world, "n2")
    key = world.ask(lambda: ask(world, uuid))
    pass_time(world, 100)
    said = (operation(world, key).wait_reason or "").partition("; it may run on ")[2]
    assert said.startswith("n2, which has not listed its guests")
    assert world.simulation.running_on(uuid) == ["n2"]
    world.listless.clear()
    pass_time(world, 30)
    assert ("guest-unseen", "n1", uuid) not in open_alarms(world)
    assert ("copy-newer", "n2", uuid) in open_alarms(world)
    say(world, uuid, "n2")
    pass_time(world, 30)
    assert (record(world, uuid).host, world.simulation.running_on(uuid)) == ("n2", ["n2"])
    assert list(world.simulation.overlaps()) == []
    assert broken(world) == []


def gone_beside_a_silent_host(make_world: MakeWorld) -> tuple[World, str]:
    """Its domain was undefined by hand, and n3 says nothing."""
    world = make_world()
    uuid = built(world, "volume")
    moves.stop(world, uuid)
    world.agents["n1"].driver.undefine(uuid)
    world.silence("n3")
    pass_time(world, 90)
    return world, uuid


def test_a_host_that_no_operator_approved_keeps_nothing_waiting(make_world: MakeWorld) -> None:
    world, uuid = gone_beside_a_silent_host(make_world)
    with world.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == "n3").values(approved=False))
    key = world.ask(lambda: start(world, uuid))
    pass_time(world, 60)
    assert (operation(world, key).status, open_alarms(world)) == ("completed", [])


def test_what_waits_for_a_silent_host_goes_on_when_the_host_is_removed(make_world: MakeWorld) -> None:
    world, uuid = gone_beside_a_silent_host(make_world)
    key = world.ask(lambda: start(world, uuid))
    pass_time(world, 60)
    assert operation(world, key).active
    removal.remove(world.db, "n3", "admin")
    pass_time(world, 60)
    assert (operation(world, key).status, open_alarms(world)) == ("completed", [])
