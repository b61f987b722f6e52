"""A lost host's instances begin elsewhere: servers and agents crash, and the host returns in the middle."""

from typing import Any

import pytest

from migrator.db import hosts
from migrator.scheduler.fleet import requests as fleet
from migrator.scheduler.fleet.plan.model import Way
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest
from tests.world.conftest import MakeWorld
from tests.world.moves import force_down, pass_time
from tests.world.rules import broken
from tests.world.test_drains import Drained
from tests.world.world import CALLER, World

POOLS = ("shared", "shared", "local")


class Evacuated(Drained):
    """A world whose host n1 lost its power with three instances on it, of which one has its disk there."""

    def __init__(self, world: World, pools: tuple[str, ...] = POOLS, **more: Any) -> None:
        self.world, self.most = world, 0
        world.tick()
        self.uuids = [str(world.build(pool)) for pool in pools]
        world.run()
        world.handed_over.update(self.uuids)
        world.lose("n1")
        pass_time(world)
        force_down(world, "n1")
        for uuid, pool in zip(self.uuids, pools, strict=True):
            if pool == "local":
                world.treasure(uuid)
                world.simulation.settle_for(uuid, None)  # its data is not where it is brought back
        self.evacuate(**more)

    def evacuate(self, **more: Any) -> None:
        asked = DrainRequest([Way.EVACUATE], disable=False, **more)
        self.uuid = fleet.begin_evacuation(self.world.db, CALLER, "n1", asked, None, self.world.settings).uuid

    def running(self) -> list[int]:
        return [len(self.world.simulation.running_on(uuid)) for uuid in self.uuids]


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_every_instance_of_a_lost_host_runs_once_again_elsewhere(make_world: MakeWorld, seed: int | None) -> None:
    world = make_world(seed=seed, rate=0.0)
    evacuated = Evacuated(world, discard=True)
    world.faults.rate = 0.02 if seed is not None else 0.0
    for _ in range(60):
        evacuated.sweep()
        world.tick()
    world.faults.rate = 0.0
    evacuated.reach("completed")
    assert "n1" not in evacuated.places()
    assert evacuated.running() == [1, 1, 1]
    world.bring_back("n1")
    world.settle()
    assert evacuated.running() == [1, 1, 1]
    assert list(world.simulation.overlaps()) == []
    assert broken(world) == []


def test_what_only_the_lost_host_has_stays_until_that_is_wanted(make_world: MakeWorld) -> None:
    world = make_world()
    evacuated = Evacuated(world)
    evacuated.reach("blocked")
    assert evacuated.places().count("n1") == 1
    assert [move.instance_uuid for move in evacuated.moves() if move.state == "stuck"] == [evacuated.uuids[2]]
    fleet.ask(world.db, CALLER, evacuated.uuid, "cancel")
    evacuated.reach("cancelled")
    evacuated.evacuate(discard=True)
    evacuated.reach("completed")
    assert evacuated.running() == [1, 1, 1]
    world.bring_back("n1")
    world.settle()
    assert broken(world) == []


def test_a_host_that_returns_in_the_middle_keeps_what_had_not_begun(make_world: MakeWorld) -> None:
    world = make_world()
    evacuated = Evacuated(world, ("shared",) * 4, at_most=1)
    while not any(move.state == "done" for move in evacuated.moves()):
        evacuated.sweep()
        world.tick()
    world.bring_back("n1")
    with world.db.write() as connection:
        hosts.change(connection, "n1", {"forced_down": False})
    evacuated.run("incomplete")
    assert "n1 is back" in evacuated.row().note
    assert "n1" in evacuated.places()
    assert max(evacuated.running()) == 1
    assert list(world.simulation.overlaps()) == []
    assert broken(world) == []
