"""Hosts are lost, and the servers evacuate their instances on their own: with evidence, and never without."""

from typing import Any

import pytest

from migrator.alarms import AlarmKind
from migrator.db import alarms, drains, hosts, instances, recoveries
from migrator.db.hosts import UNDER_WAY_S
from migrator.scheduler.fleet import recovery
from migrator.scheduler.fleet import requests as fleet
from migrator.scheduler.fleet.plan.ha_policy import HA_KEY
from migrator.scheduler.fleet.plan.model import Way
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest
from migrator.scheduler.fleet.runner import DrainRunner
from tests.world.conftest import MakeWorld
from tests.world.moves import force_down, pass_time
from tests.world.rules import broken
from tests.world.world import CALLER, World


class Watched:
    """A world whose servers evacuate on their own, with instances on n1. Each ``sweep`` is that of one server."""

    def __init__(self, world: World, count: int = 3, **more: Any) -> None:
        self.world = world
        world.settings = world.settings.model_copy(update={"ha_policy": "evacuate", "ha_backoff": 1.0} | more)
        world.restart_server()
        world.tick()
        self.uuids = [str(world.build("shared")) for _ in range(count)]
        world.run()
        world.handed_over.update(self.uuids)

    def sweep(self) -> None:
        world = self.world
        world.guarded(lambda: recovery.check(world.db, world.settings))
        world.guarded(DrainRunner(world.db, world.settings, world.server.reconciler).sweep)

    def run(self, seconds: float) -> None:
        until = self.world.time + seconds
        while self.world.time < until:
            self.sweep()
            self.world.tick()

    def reach(self, state: str, longest_s: float = 900.0) -> None:
        deadline = self.world.time + longest_s
        while not (found := self.found()) or found[0].state != state:
            assert self.world.time < deadline, (found, self.told(), self.alarms())
            self.sweep()
            self.world.tick()

    def found(self) -> list[Any]:
        """The newest first."""
        with self.world.db.read() as connection:
            return list(recoveries.listed(connection, None, None, 10))

    def told(self) -> list[str]:
        with self.world.db.read() as connection:
            return [event.message for row in self.found() for event in drains.events(connection, row.id)]

    def alarms(self) -> dict[str, str]:
        kinds = [AlarmKind.HOSTS_LOST, AlarmKind.RECOVERY_HELD, AlarmKind.RECOVERY_STUCK]
        with self.world.db.read() as connection:
            return {row.kind: row.message for row in alarms.listed(connection, kinds=kinds)}

    def places(self) -> list[Any]:
        with self.world.db.read() as connection:
            return [instances.get(connection, uuid).host for uuid in self.uuids]

    def end(self) -> None:
        """The lost host is back: every instance runs once, and always did."""
        with self.world.db.write() as connection:
            hosts.force_down(connection, "n1", False, "admin")
        self.world.bring_back("n1")
        self.world.settle()
        assert max(len(self.world.simulation.running_on(uuid)) for uuid in self.uuids) == 1
        assert list(self.world.simulation.overlaps()) == []
        assert broken(self.world) == []


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_a_lost_host_is_recovered_by_itself_once_there_is_evidence(make_world: MakeWorld, seed: int | None) -> None:
    watched = Watched(make_world(seed=seed, rate=0.0))
    world = watched.world
    world.lose("n1")
    pass_time(world)
    watched.run(30)
    assert watched.found() == []
    assert "nothing says that its guests do not run any more" in watched.alarms()[AlarmKind.RECOVERY_HELD]
    force_down(world, "n1")
    world.faults.rate = 0.02 if seed is not None else 0.0
    watched.run(60)
    world.faults.rate = 0.0
    watched.reach("completed")
    assert "n1" not in watched.places()
    assert [len(world.simulation.running_on(uuid)) for uuid in watched.uuids] == [1, 1, 1]
    assert watched.alarms() == {}
    watched.run(60)
    assert len(watched.found()) == 1
    watched.end()


def test_nothing_is_recovered_where_no_policy_says_so_and_no_alarm_is_raised(make_world: MakeWorld) -> None:
    watched = Watched(make_world(), ha_policy="restart")
    watched.world.lose("n1")
    pass_time(watched.world)
    force_down(watched.world, "n1")
    watched.run(60)
    assert (watched.found(), watched.alarms(), set(watched.places())) == ([], {}, {"n1"})


def test_an_instance_of_another_policy_stays_and_is_named(make_world: MakeWorld) -> None:
    watched = Watched(make_world())
    world = watched.world
    with world.db.write() as connection:
        instances.change(connection, watched.uuids[0], {"metadata": {HA_KEY: "restart"}})
        instances.change(connection, watched.uuids[1], {"metadata": {HA_KEY: "evacaute"}})
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    watched.reach("completed")
    assert [place == "n1" for place in watched.places()] == [True, True, False]
    with world.db.read() as connection:
        moves = {move.instance_uuid: move for move in drains.moves(connection, watched.found()[0].id)}
    assert moves[watched.uuids[0]].plan["why"] == "migrator:ha of its metadata is restart"
    assert "is evacaute, and expected is one of off, restart, evacuate" in moves[watched.uuids[1]].plan["why"]
    watched.end()


def test_a_host_that_returns_in_the_middle_keeps_the_rest_and_the_next_loss_is_another_one(
    make_world: MakeWorld,
) -> None:
    watched = Watched(make_world(), 4, drain_at_most_in_fleet=1)
    world = watched.world
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    pass_time(world, 2 * UNDER_WAY_S)  # what is heard sooner may have been sent before the word
    while "n1" not in watched.places() or len(set(watched.places())) < 2:
        watched.sweep()
        world.tick()
    world.bring_back("n1")
    watched.reach("incomplete")
    assert "n1 is back" in watched.found()[0].note
    assert "n1" in watched.places()
    world.settle()
    assert max(len(world.simulation.running_on(uuid)) for uuid in watched.uuids) == 1
    world.lose("n1")
    pass_time(world)
    watched.run(60)
    assert len(watched.found()) == 1, "the old word says nothing of the new loss"
    force_down(world, "n1")
    watched.reach("completed")
    assert len(watched.found()) == 2
    assert "n1" not in watched.places()
    watched.end()


def test_more_lost_hosts_than_ha_max_lost_stop_all_until_they_are_fewer(make_world: MakeWorld) -> None:
    watched = Watched(make_world(), 4, drain_at_most_in_fleet=1)
    world = watched.world
    world.lose("n1")
    world.lose("n2")
    pass_time(world)
    force_down(world, "n1")
    watched.run(60)
    expected = "2 hosts are silent together (n1, n2), and ha_max_lost is 1: nothing is recovered without a person"
    assert (watched.found(), watched.alarms()) == ([], {AlarmKind.HOSTS_LOST: expected})
    world.bring_back("n2")
    watched.reach("running")
    world.lose("n2")
    watched.reach("blocked")
    watched.run(2)
    assert "ha_max_lost is 1" in watched.alarms()[AlarmKind.RECOVERY_STUCK]
    world.bring_back("n2")
    watched.reach("completed")
    assert "n1" not in watched.places()
    watched.run(5)
    assert watched.alarms() == {}
    watched.end()


def test_hosts_that_one_switch_cuts_off_are_lost_together_however_far_apart_they_were_last_heard(
    make_world: MakeWorld,
) -> None:
    watched = Watched(make_world(), evacuate_silent_hosts=True)
    world = watched.world
    world.lose("n1")
    world.at(6.0, lambda: world.lose("n2"))
    watched.run(120)
    with world.db.read() as connection:
        apart_s = hosts.get(connection, "n2").last_seen - hosts.get(connection, "n1").last_seen
    assert 3 < apart_s < 20
    assert (watched.found(), set(watched.places())) == ([], {"n1"})
    assert "2 hosts are silent together (n1, n2)" in watched.alarms()[AlarmKind.HOSTS_LOST]


def test_a_drain_of_the_lost_host_gives_way(make_world: MakeWorld) -> None:
    watched = Watched(make_world())
    world = watched.world
    fleet.begin(world.db, CALLER, "n1", DrainRequest([Way.LIVE], at_most=1), None, world.settings)
    watched.sweep()
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    watched.reach("completed")
    assert "n1" not in watched.places()
    watched.end()


def test_a_server_that_ends_in_the_middle_forgets_nothing_and_a_break_of_all_asks_for_the_word_anew(
    make_world: MakeWorld,
) -> None:
    watched = Watched(make_world(), 4, drain_at_most_in_fleet=1)
    world = watched.world
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    watched.reach("running")
    world.restart_server()
    while len(set(watched.places())) < 2:
        watched.sweep()
        world.tick()
    world.without_server(60.0)
    watched.run(90)
    assert "It was forced down before the servers were last away" in watched.found()[0].note
    assert "n1" in watched.places()
    force_down(world, "n1")
    watched.reach("completed")
    assert (len(watched.found()), "n1" in watched.places()) == (1, False)
    watched.end()


def test_a_lapsed_lease_is_enough(make_world: MakeWorld) -> None:
    watched = Watched(make_world(lease_s=60.0))
    watched.world.lose("n1")
    watched.run(30)
    assert watched.found() == []
    watched.reach("completed")
    assert watched.found()[0].note == "nothing is left to do"
    assert "n1" not in watched.places()
