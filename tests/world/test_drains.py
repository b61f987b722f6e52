"""Drains with everything that is under them: simulated hosts, real agents and servers, and what goes wrong."""

from typing import Any

import pytest

from migrator.db import drains, hosts, instances, operations
from migrator.scheduler.fleet import requests as fleet
from migrator.scheduler.fleet.plan.model import Way
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest
from migrator.scheduler.fleet.runner import DrainRunner
from migrator.scheduler.requests import requests
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.test_server_groups import built as group_built
from tests.world.world import CALLER, World

LIVE_OR_COLD = (Way.LIVE, Way.COLD)
BUDGET = 2


class Drained:
    """A world with a drain of n1, which any server sweeps. ``most``: moves that were ever under way at once."""

    def __init__(self, world: World, count: int = 3, **more: Any) -> None:
        self.world, self.most = world, 0
        world.tick()
        self.uuids = [str(world.build("shared")) for _ in range(count)]
        world.run()
        self.begin(**more)

    def begin(self, strategies: tuple[Way, ...] = LIVE_OR_COLD, **more: Any) -> None:
        asked = DrainRequest(strategies, at_most=BUDGET, **more)
        self.uuid = fleet.begin(self.world.db, CALLER, "n1", asked, None, self.world.settings).uuid

    def sweep(self) -> None:
        world = self.world
        runner = DrainRunner(world.db, world.settings, world.server.reconciler)
        world.guarded(runner.sweep)
        with world.db.read() as connection:
            rows = operations.active_ids(connection)
        self.most = max(self.most, len(rows))

    def run(self, until: str = "completed") -> Any:
        self.reach(until)
        self.world.settle()
        return self.row()

    def reach(self, until: str, longest_s: float = 900.0) -> None:
        deadline = self.world.time + longest_s
        while self.row().state != until:
            assert self.world.time < deadline, (self.row(), self.moves(), self.told())
            self.sweep()
            self.world.tick()

    def row(self) -> Any:
        with self.world.db.read() as connection:
            return drains.get(connection, self.uuid)

    def moves(self) -> Any:
        with self.world.db.read() as connection:
            return drains.moves(connection, drains.get(connection, self.uuid).id)

    def told(self) -> list[str]:
        with self.world.db.read() as connection:
            found = drains.events(connection, drains.get(connection, self.uuid).id)
        return [f"{event.name}: {event.message}" for event in found]

    def places(self) -> list[Any]:
        with self.world.db.read() as connection:
            return [instances.get(connection, uuid).host for uuid in self.uuids]

    def restore(self) -> None:
        self.uuid = fleet.restore(self.world.db, CALLER, "n1", self.world.settings).uuid


def test_a_drain_empties_its_host_under_its_budget_and_a_restore_brings_all_back(make_world: MakeWorld) -> None:
    drained = Drained(make_world())
    drained.run()
    assert "n1" not in drained.places()
    assert 1 <= drained.most <= BUDGET
    assert {move.state for move in drained.moves()} == {"done"}
    drained.restore()
    drained.run()
    assert drained.places() == ["n1"] * 3
    assert broken(drained.world) == []


def test_what_does_not_run_goes_cold_and_is_confirmed_by_the_drain(make_world: MakeWorld) -> None:
    world = make_world()
    drained = Drained(world, 1, strategies=(Way.STOP,))
    drained.run()
    assert (drained.places(), [move.way for move in drained.moves()]) == (["n1"], ["stop"])
    with world.db.write() as connection:
        hosts.change(connection, "n1", {"disabled": False, "disabled_reason": None})
    drained.begin()
    drained.run()
    assert drained.places() != ["n1"]
    assert [move.way for move in drained.moves()] == ["cold"]
    assert broken(world) == []


def test_what_a_drain_stopped_is_started_by_the_restore(make_world: MakeWorld) -> None:
    drained = Drained(make_world(), 1, strategies=(Way.STOP,))
    drained.run()
    assert drained.world.simulation.running_on(drained.uuids[0]) == []
    drained.restore()
    drained.run()
    assert drained.world.simulation.running_on(drained.uuids[0]) == ["n1"]


def test_a_drain_goes_on_after_its_destination_dies_and_says_so(make_world: MakeWorld) -> None:
    world = make_world()
    drained = Drained(world, 4)
    drained.sweep()
    dead = next(move.destination for move in drained.moves() if move.state == "waiting")
    world.silence(dead)
    with world.db.write() as connection:
        hosts.force_down(connection, dead, True, "operator")
    for _ in range(200):
        drained.sweep()
        world.tick()
    assert len([line for line in drained.told() if line.startswith("planned")]) > 1
    waiting = [move.destination for move in drained.moves() if move.state == "waiting"]
    assert dead not in waiting
    world.bring_back(dead)
    drained.run()
    assert "n1" not in drained.places()


def test_a_guest_that_is_deleted_is_gone_from_the_drain(make_world: MakeWorld) -> None:
    world = make_world()
    drained = Drained(world, 3)
    drained.sweep()
    waits = next(move.instance_uuid for move in drained.moves() if move.state == "waiting")
    world.ask(lambda: requests.delete_instance(world.db, CALLER, waits))
    drained.uuids.remove(waits)
    drained.run()
    assert sorted(move.state for move in drained.moves()) == ["done", "done", "gone"]
    assert any("was deleted" in line for line in drained.told())


def test_a_cancelled_drain_with_undo_brings_back_what_went(make_world: MakeWorld) -> None:
    world = make_world()
    drained = Drained(world, 3)
    while not any(move.state == "done" for move in drained.moves()):
        drained.sweep()
        world.tick()
    fleet.ask(world.db, CALLER, drained.uuid, "cancel", undo=True)
    drained.run("cancelled")
    with world.db.read() as connection:
        (back,) = drains.active_of(connection, ["n1"])
    drained.uuid = back.uuid
    drained.run()
    assert drained.places() == ["n1"] * 3
    with world.db.read() as connection:
        assert not hosts.get(connection, "n1").disabled
    assert broken(world) == []


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_drain_outlives_servers_and_agents_that_crash(make_world: MakeWorld, seed: int) -> None:
    world = make_world(seed=seed, rate=0.0)
    drained = Drained(world, 3)
    world.faults.rate = 0.02
    for _ in range(60):
        drained.sweep()
        world.tick()
    world.faults.rate = 0.0
    drained.run()
    assert "n1" not in drained.places()
    assert drained.most <= BUDGET
    assert broken(world) == []


def test_two_members_of_a_group_never_move_together(make_world: MakeWorld) -> None:
    world = make_world()
    world.tick()
    members = group_built(world, "anti-affinity", 2, max_server_per_host=2)
    with world.db.read() as connection:
        source = str(instances.get(connection, members[0]).host)
    asked = DrainRequest(LIVE_OR_COLD, at_most=BUDGET)
    drained = Drained.__new__(Drained)
    drained.world, drained.most, drained.uuids = world, 0, members
    drained.uuid = fleet.begin(world.db, CALLER, source, asked, None, world.settings).uuid
    drained.run()
    assert drained.most == 1
    assert source not in drained.places()


def test_a_drain_waits_while_its_host_is_silent_and_stops_no_guest_when_that_is_back(make_world: MakeWorld) -> None:
    world = make_world()
    drained = Drained(world)
    world.silence("n1")
    for _ in range(200):
        drained.sweep()
        world.tick()
    assert (drained.row().state, drained.row().note) == ("blocked", "host n1 is silent: bring it back, or evacuate it")
    world.bring_back("n1")
    drained.run()
    assert {(move.state, move.way) for move in drained.moves()} == {("done", "live")}
    assert "n1" not in drained.places()
