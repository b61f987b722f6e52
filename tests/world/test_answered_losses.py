"""Losses whose answer a person has a part in: words taken back, own evacuations, and clocks that are set."""

import pytest

from migrator.alarms import AlarmKind
from migrator.db import drains, hosts, instances
from migrator.db.drain_rows import DrainMoveRow, DrainRow
from migrator.scheduler.fleet import recovery
from migrator.scheduler.fleet import requests as fleet
from migrator.scheduler.fleet.plan.ha_policy import HA_KEY
from migrator.scheduler.fleet.plan.model import Way
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest
from migrator.scheduler.fleet.views import move_views
from tests.world.conftest import MakeWorld
from tests.world.moves import force_down, pass_time
from tests.world.test_recoveries import Watched
from tests.world.world import CALLER

STEP_S = 7200.0


def evacuate(watched: Watched) -> str:
    world, request = watched.world, DrainRequest([Way.EVACUATE], disable=False, to=["n3"])
    return str(fleet.begin_evacuation(world.db, CALLER, "n1", request, None, world.settings).uuid)


def cancel(watched: Watched, uuid: str) -> None:
    world = watched.world
    fleet.ask(world.db, CALLER, uuid, "cancel")
    while any(row.uuid == uuid for row in active(watched)):
        watched.sweep()
        world.tick()


def active(watched: Watched) -> list[DrainRow]:
    with watched.world.db.read() as connection:
        return list(drains.active_of(connection, ["n1"]))


def test_a_word_that_is_taken_back_does_not_bring_a_dead_host_back(make_world: MakeWorld) -> None:
    watched = Watched(make_world(), 4, drain_at_most_in_fleet=1)
    world = watched.world
    world.lose("n1")
    pass_time(world, 18.0)
    force_down(world, "n1")
    while len(set(watched.places())) < 2:
        watched.sweep()
        world.tick()
    with world.db.write() as connection:
        hosts.force_down(connection, "n1", False, "admin")
    watched.run(100)
    assert (watched.found()[0].state, "n1" in watched.places()) == ("blocked", True)
    assert "nothing says any more that n1 runs nothing" in watched.alarms()[AlarmKind.RECOVERY_STUCK]
    force_down(world, "n1")
    watched.reach("completed")
    assert (len(watched.found()), "n1" in watched.places()) == (1, False)
    watched.end()


def test_an_instance_that_a_recovery_has_left_is_an_alarm_once_its_policy_is_to_evacuate(make_world: MakeWorld) -> None:
    watched = Watched(make_world(), 1)
    world = watched.world
    with world.db.write() as connection:
        instances.change(connection, watched.uuids[0], {"metadata": {HA_KEY: "restart"}})
    other = str(world.build("shared"))
    world.run()
    watched.uuids.append(other)
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    watched.reach("completed")
    assert watched.alarms() == {}
    with world.db.write() as connection:
        instances.change(connection, watched.uuids[0], {"metadata": {}})
    watched.run(2)
    assert "the recovery of host n1 is over" in watched.alarms()[AlarmKind.RECOVERY_HELD]


def test_an_evacuation_that_a_person_began_is_not_replaced_when_a_late_poll_arrives(make_world: MakeWorld) -> None:
    watched = Watched(make_world())
    world = watched.world
    force_down(world, "n1")
    mine = evacuate(watched)
    world.wake(["n1"])  # a poll that was under way
    pass_time(world, 1.0)
    world.lose("n1")
    watched.run(90)
    assert (watched.found(), set(watched.places())) == ([], {"n3"})
    with world.db.read() as connection:
        assert drains.get(connection, mine).state == "completed"
    watched.end()


@pytest.mark.parametrize("by_s", [-STEP_S, STEP_S])
def test_a_clock_that_is_set_neither_takes_a_loss_in_hand_nor_gives_one_back(
    make_world: MakeWorld, by_s: float
) -> None:
    watched = Watched(make_world())
    world = watched.world
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    cancel(watched, evacuate(watched))
    world.clock_error_s += by_s
    watched.run(60)
    assert watched.found() == [], "a person has answered this loss"
    with world.db.write() as connection:
        hosts.force_down(connection, "n1", False, "admin")
    world.bring_back("n1")
    world.settle()
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    watched.reach("completed")
    assert "n1" not in watched.places()


def test_a_recovery_goes_by_the_policy_of_the_server_that_began_it(make_world: MakeWorld) -> None:
    watched = Watched(make_world())
    world = watched.world
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    recovery.check(world.db, world.settings)
    world.settings = world.settings.model_copy(update={"ha_policy": "off"})  # of another server
    watched.reach("completed")
    assert "n1" not in watched.places()


@pytest.mark.parametrize(("by_s", "pauses"), [(-1.0, False), (10.0, True), (86400.0, False)])
def test_a_pause_that_no_rule_makes_is_none(by_s: float, pauses: bool) -> None:
    move = DrainMoveRow(1, "u", "a", "n1", "waiting", "evacuate", None, 0, {}, None, 1, None, None, 1000.0 + by_s)
    (view,) = move_views([move], {}, {}, 1000.0)
    assert view.pauses is pauses
