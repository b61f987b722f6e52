"""A restored database goes through an operation a second time, another way: what a host did of it the first time, under
the same epoch, shows that the record has lost something."""

from pathlib import Path

import pytest

from migrator.scheduler.requests import cold_migration, requests
from tests.world.backups import backup, made_by_an_earlier_release, restore
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.moves import newest_move, verified
from tests.world.records import operation, pass_time, record
from tests.world.world import CALLER, World


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
    assert world.fabric.running_on(uuid) == ["n3"]
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
        world.fabric.settle_for(uuid, "n1")  # with it the client gives up what the guest wrote at the destination
    pass_time(world, 100)
    if record(world, uuid).task_state is None and record(world, uuid).vm_state == "stopped":
        world.ask(lambda: requests.start(world.db, CALLER, uuid))
        pass_time(world, 100)
    assert operation(world, key).active
    assert world.fabric.running_on(uuid) == ["n3"]
    assert list(world.fabric.overlaps()) == []
    world.bring_back("n3")
    pass_time(world, 60)
    assert len(world.fabric.running_on(uuid)) == 1
    assert list(world.fabric.overlaps()) == []
    assert world.lost == []
