"""A restored database goes through an operation a second time, another way: what a host did of it the first time, under
the same epoch, shows that the record has lost something."""

from pathlib import Path

import pytest

from migrator.scheduler.requests import build as building
from migrator.scheduler.requests import cold_migration, requests
from migrator.scheduler.requests.build import NewInstance
from tests.world import moves
from tests.world.backups import backup, made_by_an_earlier_release, restore
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.moves import newest_move, verified
from tests.world.records import open_alarms, operation, pass_time, record
from tests.world.world import CALLER, FLAVOR, World

LOCAL = {**FLAVOR, "extra_specs": {building.STORAGE_EXTRA_SPEC: "local"}}


def moved_past_the_backup(
    make_world: MakeWorld, directory: Path, phase: str, pool: str, *, earlier_release: bool = False
) -> tuple[World, str, int]:
    """A migration that the record has in ``phase``, and that came to its end at n3, which is silent."""
    world = make_world()
    uuid = built(world, pool)
    pass_time(world, 60)
    key = world.ask(lambda: cold_migration.migrate(world.db, CALLER, uuid, host="n3"))
    world.run(lambda: newest_move(world, uuid).phase == phase)
    backup(world, directory / "backup.db")
    if earlier_release:
        made_by_an_earlier_release(directory / "backup.db")
    assert verified(world, uuid)
    pass_time(world, 60)
    assert world.simulation.running_on(uuid) == ["n3"]
    world.silence("n3")
    restore(world, directory / "backup.db")
    return world, uuid, key


WHEN = [("inspect", False), ("stop", False), ("start", False), ("stop", True)]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(("phase", "earlier_release"), WHEN)
@pytest.mark.parametrize("pool", ["local", "volume"])
def test_what_a_migration_did_after_the_backup_is_not_done_again_beside_it(
    make_world: MakeWorld, tmp_path: Path, phase: str, pool: str, at_once: bool, earlier_release: bool
) -> None:
    world, uuid, key = moved_past_the_backup(make_world, tmp_path, phase, pool, earlier_release=earlier_release)
    if not at_once:
        pass_time(world, 60)
    if operation(world, key).active:
        requests.cancel(world.db, CALLER, key)
        world.simulation.settle_for(uuid, "n1")  # with it the client gives up what the guest wrote at the destination
    pass_time(world, 100)
    if record(world, uuid).task_state is None and record(world, uuid).vm_state == "stopped":
        world.ask(lambda: requests.start(world.db, CALLER, uuid))
        pass_time(world, 100)
    assert operation(world, key).active
    assert world.simulation.running_on(uuid) == ["n3"]
    assert list(world.simulation.overlaps()) == []
    world.bring_back("n3")
    pass_time(world, 60)
    assert len(world.simulation.running_on(uuid)) == 1
    assert list(world.simulation.overlaps()) == []
    assert world.lost == []


def built_past_the_backup(make_world: MakeWorld, directory: Path, wanted: str | None) -> tuple[World, str, int, str]:
    """A build that the record has before its host is chosen; and the host that it came to, which is silent."""
    world = make_world()
    world.tick()
    pass_time(world, 60)
    new = NewInstance("guest", LOCAL, world.image, requested_host=wanted)
    uuid, key = building.create_instance(world.db, CALLER, new)
    backup(world, directory / "backup.db")
    world.server.reconciler.reconcile(key)
    pass_time(world, 60)
    (host,) = world.simulation.running_on(uuid)
    world.silence(host)
    pass_time(world, 60)
    restore(world, directory / "backup.db")
    return world, uuid, key, host


def test_a_build_that_ended_after_the_backup_is_not_done_again_beside_a_silent_host(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world, uuid, key, host = built_past_the_backup(make_world, tmp_path, None)
    pass_time(world, 100)
    bring_back = f"bring it back or, if it is lost, `migrator service-force-down {host}`"
    waits = f"waiting for host {host}, which is silent; the instance may run there: {bring_back}"
    assert operation(world, key).wait_reason == waits
    assert world.simulation.running_on(uuid) == [host]
    world.bring_back(host)
    pass_time(world, 60)
    assert world.simulation.running_on(uuid) == [host]
    assert ("copy-elsewhere", host, uuid) in open_alarms(world)
    assert list(world.simulation.overlaps()) == []


def test_a_build_that_may_have_ended_on_a_silent_host_goes_on_when_that_is_fenced(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world, uuid, key, host = built_past_the_backup(make_world, tmp_path, None)
    world.lose(host)
    moves.force_down(world, host)
    pass_time(world, 60)
    assert operation(world, key).status == "completed"
    assert world.simulation.running_on(uuid) != [host]
    assert list(world.simulation.overlaps()) == []


def test_a_build_that_may_have_ended_on_a_silent_host_can_be_given_up(make_world: MakeWorld, tmp_path: Path) -> None:
    world, uuid, key, host = built_past_the_backup(make_world, tmp_path, None)
    pass_time(world, 60)
    world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    pass_time(world, 60)
    assert operation(world, key).status == "cancelled"
    assert world.simulation.running_on(uuid) == [host]


def test_a_build_on_a_host_by_name_ends_when_that_is_silent_for_it_can_be_nowhere_else(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world, uuid, key, host = built_past_the_backup(make_world, tmp_path, "n2")
    pass_time(world, 100)
    assert (operation(world, key).status, host) == ("error", "n2")
    assert world.simulation.running_on(uuid) == ["n2"]


def test_a_build_that_waited_when_the_servers_went_away_goes_on_when_every_host_has_listed_its_guests(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    world.tick()
    pass_time(world, 60)
    _, key = building.create_instance(world.db, CALLER, NewInstance("guest", LOCAL, world.image))
    world.without_server(60)
    pass_time(world, 60)
    assert operation(world, key).status == "completed"
