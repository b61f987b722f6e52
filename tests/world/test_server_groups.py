"""Members of a server group are built and moved at once, under faults: the group's rule holds after every commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection

from migrator.db import server_groups
from migrator.scheduler.requests import build as building
from migrator.scheduler.requests import cold_migration, requests
from migrator.scheduler.requests.build import NewInstance
from tests.world.clients import insist
from tests.world.conftest import MakeWorld
from tests.world.rules import broken, groups
from tests.world.world import CALLER, FLAVOR, World

SEEDS = range(1, 7)
RATE = 0.02


def watched(world: World) -> list[str]:
    """What was ever seen broken, filled as the world runs."""
    seen: list[str] = []
    write = world.db.write

    @contextmanager
    def looked_at() -> Iterator[Connection]:
        with write() as connection:
            yield connection
        seen.extend(groups(world))

    world.db.write = looked_at  # type: ignore[method-assign]
    return seen


def built(world: World, policy: str, count: int, **rules: int) -> list[str]:
    values = {"name": "g", "policy": policy, "rules": rules, "project_id": "project", "user_id": "user"}
    with world.db.write() as connection:
        ident = server_groups.create(connection, values).uuid
    flavor = {**FLAVOR, "extra_specs": {building.STORAGE_EXTRA_SPEC: "shared"}}
    new = NewInstance("guest", flavor, world.image, hints=building.Hints(group=ident))
    uuids = [world.ask(lambda: building.create_instance(world.db, CALLER, new))[0] for _ in range(count)]
    world.run()
    return uuids


def move(world: World, uuid: str, seed: int) -> None:
    def begin() -> int:
        if seed % 2:
            return requests.live_migrate(world.db, CALLER, uuid, host=None, block=None)
        return cold_migration.migrate(world.db, CALLER, uuid, host=None)

    insist(world, begin)


def found(world: World, uuids: list[str]) -> list[Any]:
    return [world.simulation.running_on(uuid) for uuid in uuids]


@pytest.mark.parametrize("seed", SEEDS)
def test_two_that_are_kept_apart_move_at_once_and_never_meet(make_world: MakeWorld, seed: int) -> None:
    world = make_world(seed=seed, rate=RATE)
    world.settings = world.settings.model_copy(update={"resize_confirm_window": 1})
    world.restart_server()
    world.tick()
    seen = watched(world)
    uuids = built(world, "anti-affinity", 2)
    assert len({str(hosts) for hosts in found(world, uuids)}) == 2
    world.faults.armed = True
    for uuid in uuids:
        move(world, uuid, seed)
    world.settle()
    assert [*seen, *groups(world)] == []


def test_those_that_belong_together_stay_together(make_world: MakeWorld) -> None:
    """The one can go nowhere while the other stays; a group of one goes where there is room."""
    world = make_world()
    world.tick()
    seen = watched(world)
    uuids = built(world, "affinity", 2)
    assert len({str(hosts) for hosts in found(world, uuids)}) == 1
    for uuid in uuids:
        move(world, uuid, 1)
    world.settle()
    assert [*seen, *broken(world)] == []
    (alone,) = built(world, "affinity", 1)
    before = found(world, [alone])
    move(world, alone, 1)
    world.settle()
    assert found(world, [alone]) != before
    assert [*seen, *broken(world)] == []
