"""A database restored from an older backup: what it makes wrong is found, operations wait, and a word mends it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.errors import Conflict
from migrator.scheduler.requests import cold_migration as cold
from migrator.scheduler.requests import requests
from tests.world import moves
from tests.world.backups import backup, restore
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.records import live_migrate, newest, open_alarms, operation, pass_time, record, say
from tests.world.rules import broken
from tests.world.world import CALLER, World

Ask = Callable[[World, str], int]
_ASKED: dict[str, Ask] = {
    "stop": lambda world, uuid: requests.stop(world.db, CALLER, uuid),
    "pause": lambda world, uuid: requests.pause(world.db, CALLER, uuid),
    "suspend": lambda world, uuid: requests.suspend(world.db, CALLER, uuid),
    "delete": lambda world, uuid: requests.delete_instance(world.db, CALLER, uuid),
    "live migration": lambda world, uuid: requests.live_migrate(world.db, CALLER, uuid, host="n1", block=None),
    "migration": lambda world, uuid: cold.migrate(world.db, CALLER, uuid, host="n1"),
    "resize": lambda world, uuid: cold.resize(world.db, CALLER, uuid, flavor=moves.LARGE, same_host=False),
}


def moved_behind_the_backup(world: World, pool: str, directory: Path) -> str:
    """The record says n2, and the guest runs on n3."""
    uuid = built(world, pool)
    live_migrate(world, uuid, "n2")
    backup(world, directory / "backup.db")
    live_migrate(world, uuid, "n3")
    restore(world, directory / "backup.db")
    return uuid


@pytest.mark.parametrize("pool", ["local", "shared"])
def test_a_guest_that_moved_after_the_backup_is_found_by_name(make_world: MakeWorld, tmp_path: Path, pool: str) -> None:
    world = make_world()
    uuid = moved_behind_the_backup(world, pool, tmp_path)
    pass_time(world, 60)
    assert open_alarms(world) == [
        ("copy-elsewhere", "n3", uuid),
        ("copy-newer", "n3", uuid),
        ("domain-gone", "n2", uuid),
    ]
    assert (record(world, uuid).vm_state, record(world, uuid).power_state) == ("stopped", 0)
    with pytest.raises(Conflict, match="a copy of it runs on n3, but its record says n2"):
        requests.start(world.db, CALLER, uuid)
    say(world, uuid, "n3")
    pass_time(world, 60)
    assert open_alarms(world) == []
    assert (record(world, uuid).host, record(world, uuid).vm_state) == ("n3", "active")
    live_migrate(world, uuid, "n1")
    assert broken(world) == []


@pytest.mark.parametrize("what", _ASKED)
def test_what_is_asked_waits_with_the_reason_and_goes_on_where_the_instance_is(
    make_world: MakeWorld, tmp_path: Path, what: str
) -> None:
    world = make_world()
    uuid = moved_behind_the_backup(world, "shared", tmp_path)
    world.run(lambda: ("copy-newer", "n3", uuid) in open_alarms(world))  # as soon as n3 is heard
    key = _ASKED[what](world, uuid)
    world.server.reconciler.reconcile(key)
    pass_time(world, 60)
    waiting = operation(world, key)
    assert waiting.active
    assert "n3" in waiting.wait_reason
    assert f"migrator reconcile {uuid}" in waiting.wait_reason
    assert world.simulation.running_on(uuid) == ["n3"]
    say(world, uuid, "n3")
    world.run()
    after = operation(world, key)
    if what in ("live migration", "migration", "resize"):  # it was to begin where the instance was not
        assert (after.status, after.error["code"]) == ("error", "reconciled")
    else:
        assert (after.status, after.source) == ("completed", "n3")
    assert record(world, uuid).deleted is (what == "delete")
    assert broken(world) == []


def test_an_operation_of_the_backup_does_nothing_before_the_word(make_world: MakeWorld, tmp_path: Path) -> None:
    """It was about to delete what n1 had left; by now the instance is back there, and nowhere else."""
    world = make_world()
    uuid = built(world, "local")
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.run(lambda: newest(world, uuid).phase == "cleanup")
    backup(world, tmp_path / "backup.db")
    world.run()
    live_migrate(world, uuid, "n1")
    restore(world, tmp_path / "backup.db")
    pass_time(world, 60)
    assert ("copy-newer", "n1", uuid) in open_alarms(world)
    assert newest(world, uuid).active
    assert world.simulation.running_on(uuid) == ["n1"]
    say(world, uuid, "n1")
    world.run()
    assert record(world, uuid).host == "n1"
    pass_time(world, 30)
    assert open_alarms(world) == []
    assert broken(world) == []


def test_a_guest_built_after_the_backup_is_an_alarm_about_its_host(make_world: MakeWorld, tmp_path: Path) -> None:
    world = make_world()
    world.tick()
    backup(world, tmp_path / "backup.db")
    uuid = built(world, "local")
    restore(world, tmp_path / "backup.db")
    pass_time(world, 60)
    assert open_alarms(world) == [("no-record", "n1", uuid)]
    with pytest.raises(Conflict, match="has no record"):
        say(world, uuid, "n1")
    world.agents["n1"].driver.destroy(uuid)
    world.agents["n1"].driver.undefine(uuid)
    pass_time(world, 30)
    assert open_alarms(world) == []


def test_a_guest_deleted_after_the_backup_is_shown_as_gone(make_world: MakeWorld, tmp_path: Path) -> None:
    world = make_world()
    uuid = built(world, "shared")
    pass_time(world, 30)
    backup(world, tmp_path / "backup.db")
    world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    world.run()
    restore(world, tmp_path / "backup.db")
    pass_time(world, 60)
    assert open_alarms(world) == [("domain-gone", "n1", uuid)]
    assert record(world, uuid).power_state == 0
    world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    world.run()
    pass_time(world, 30)
    assert open_alarms(world) == []


def test_an_agent_without_its_journal_changes_nothing_of_that(make_world: MakeWorld, tmp_path: Path) -> None:
    """The stamps are in the domains."""
    world = make_world()
    uuid = moved_behind_the_backup(world, "local", tmp_path)
    world.agents.pop("n3")
    world.journals["n3"].clear()
    world.start_agent("n3")
    pass_time(world, 60)
    assert ("copy-newer", "n3", uuid) in open_alarms(world)
    say(world, uuid, "n3")
    pass_time(world, 30)
    assert open_alarms(world) == [("agent-lost", "n3", "")], "only what the agent says of its journal is left"


def moved_away_from_a_host_that_tells(make_world: MakeWorld, directory: Path, pool: str = "local") -> tuple[World, str]:
    """The record says that it runs on n1, where an older copy of it is shut off; it runs on n2, whose agent is away."""
    world = make_world()
    uuid = built(world, pool)
    pass_time(world, 30)
    backup(world, directory / "backup.db")
    moves.migrate(world, uuid)
    assert moves.verified(world, uuid)
    pass_time(world, 30)
    world.silence("n2")
    restore(world, directory / "backup.db")
    return world, uuid


_UNKNOWN = "its copy on n1 (shut_off) was changed by an operation that is not in the record, which says n1"


@pytest.mark.parametrize("after_s", [0, 40])
def test_an_older_copy_is_not_started_while_the_guest_runs_on_a_silent_host(
    make_world: MakeWorld, tmp_path: Path, after_s: float
) -> None:
    world, uuid = moved_away_from_a_host_that_tells(make_world, tmp_path)
    pass_time(world, after_s)
    key = world.ask(lambda: requests.reboot(world.db, CALLER, uuid, soft=False))
    pass_time(world, 60)
    assert operation(world, key).wait_reason == f"{_UNKNOWN}; compare both with `migrator reconcile {uuid}`"
    assert world.simulation.running_on(uuid) == ["n2"]
    world.bring_back("n2")
    pass_time(world, 30)
    world.agents["n1"].driver.undefine(uuid)
    say(world, uuid, "n2")
    pass_time(world, 30)
    assert (operation(world, key).status, open_alarms(world)) == ("completed", [])
    assert (record(world, uuid).host, world.simulation.running_on(uuid)) == ("n2", ["n2"])
    assert list(world.simulation.overlaps()) == []


def test_a_deletion_waits_while_the_guest_runs_on_a_silent_host(make_world: MakeWorld, tmp_path: Path) -> None:
    world, uuid = moved_away_from_a_host_that_tells(make_world, tmp_path)
    pass_time(world, 40)
    assert open_alarms(world) == [("copy-newer", "n1", uuid)]
    assert record(world, uuid).vm_state == "active"
    key = world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    pass_time(world, 60)
    assert operation(world, key).active
    assert _UNKNOWN in operation(world, key).wait_reason
    assert not record(world, uuid).deleted


def test_a_host_that_was_rebooted_does_not_resume_what_moved_away(make_world: MakeWorld, tmp_path: Path) -> None:
    world, uuid = moved_away_from_a_host_that_tells(make_world, tmp_path)
    world.settings = world.settings.model_copy(update={"resume_guests_state_on_host_boot": True})
    world.lose("n1")
    world.bring_back("n1")
    pass_time(world, 60)
    assert ("copy-newer", "n1", uuid) in open_alarms(world)
    assert world.simulation.running_on(uuid) == ["n2"]


def test_an_operators_word_for_what_a_host_has_served_lasts(make_world: MakeWorld, tmp_path: Path) -> None:
    world, uuid = moved_away_from_a_host_that_tells(make_world, tmp_path)
    pass_time(world, 30)
    world.lose("n2")
    moves.force_down(world, "n2")  # a stopped copy is not believed beside a host that may run another
    say(world, uuid, "n1")
    pass_time(world, 30)
    assert (open_alarms(world), record(world, uuid).vm_state) == ([], "stopped")
    world.agents["n1"].driver.define_and_start(world.simulation.hosts["n1"].domains[uuid].spec, "virsh", 1)
    pass_time(world, 30)
    assert (open_alarms(world), record(world, uuid).vm_state) == ([], "active")
    moves.stop(world, uuid)
    assert (newest(world, uuid).status, world.simulation.running_on(uuid)) == ("completed", [])
