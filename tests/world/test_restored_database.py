"""The database is restored from a backup: it may be wrong then, and is never dangerous."""

import os
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from migrator.db.tables import operations
from migrator.scheduler.requests import requests
from tests.world import moves
from tests.world.backups import backup, restore
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.records import open_alarms, say
from tests.world.rules import harm, unexplained
from tests.world.scenarios import SCENARIOS
from tests.world.world import CALLER, World

SEED = os.environ.get("MIGRATOR_WORLD_SEED", "")  # another one: another moment of each scenario
AFTER_S = 150.0  # longer than a host that says nothing of a step may go without a reason


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_restore_to_any_moment_of_any_kind_of_operation_does_no_harm(
    make_world: MakeWorld, tmp_path: Path, scenario: str
) -> None:
    world = make_world()
    saved, moments = tmp_path / "saved.db", Random(scenario + SEED)
    tick, seen = world.tick, 0

    def saving() -> None:
        nonlocal seen
        tick()
        seen += world.faults.armed
        if world.faults.armed and moments.random() < 1 / seen:  # each moment is as likely as any other
            backup(world, saved)

    world.tick = saving  # type: ignore[method-assign]
    SCENARIOS[scenario](world)
    world.tick = tick  # type: ignore[method-assign]
    before = harm(world)
    newest = _newest(world)
    restore(world, saved)
    moves.pass_time(world, AFTER_S)
    assert harm(world) == before
    assert [key for key in newest if not world.simulation.holders_of_newest(*key)] == []
    assert unexplained(world) == []


def _newest(world: World) -> list[tuple[str, str]]:
    """The disks of which the newest data was somewhere before."""
    disks = {key for storage in world.simulation.storages.values() for key in storage.disks}
    return sorted(key for key in disks if world.simulation.holders_of_newest(*key))


def _newest_operation(world: World, uuid: str) -> Any:
    query = select(operations).where(operations.c.instance_uuid == uuid).order_by(operations.c.id.desc()).limit(1)
    with world.db.read() as connection:
        return connection.execute(query).one()


def test_an_older_cleanup_is_refused_by_name(make_world: MakeWorld, tmp_path: Path) -> None:
    world = make_world()
    uuid = built(world, "local")
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.run(lambda: _newest_operation(world, uuid).phase == "cleanup")
    backup(world, tmp_path / "saved.db")
    world.run()
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n1", block=None))
    world.run()
    restore(world, tmp_path / "saved.db")
    moves.pass_time(world, 60)
    assert world.simulation.running_on(uuid) == ["n1"]
    waiting = _newest_operation(world, uuid).wait_reason
    refused = "n1: this host has served a newer operation of the instance than this live-migration"
    compared = "its copy on n1 (running) has a stamp that is newer than the record"
    assert waiting.startswith((refused, compared))


@pytest.mark.parametrize("behind_s", [0.0, 3600.0])
def test_a_request_after_the_restore_is_served_whatever_the_clock_says(
    make_world: MakeWorld, tmp_path: Path, behind_s: float
) -> None:
    """The database's new machine is an hour behind: what hosts tell counts."""
    world = make_world()
    uuid = built(world, "local")
    backup(world, tmp_path / "saved.db")
    moves.pause(world, uuid)  # leaves no newer stamp
    world.ask(lambda: requests.unpause(world.db, CALLER, uuid))
    world.run()
    restore(world, tmp_path / "saved.db")
    world.db._clock = lambda: world.time - behind_s
    moves.pass_time(world, 30)
    assert ("copy-newer", "n1", uuid) in open_alarms(world)
    say(world, uuid, "n1")
    moves.stop(world, uuid)
    last = _newest_operation(world, uuid)
    assert (last.kind, last.status, last.active) == ("stop", "completed", False)
    assert world.simulation.running_on(uuid) == []
