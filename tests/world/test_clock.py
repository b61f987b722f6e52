"""The database's clock is set back or forward, in every kind of operation: no host counts as heard or dead for it."""

import pytest
from sqlalchemy import select

from migrator.db import hosts
from migrator.db.tables import alarms
from migrator.scheduler.requests import requests
from tests.world import evacuations, moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.moves import Step, as_it_is, force_down, pass_time
from tests.world.rules import broken
from tests.world.scenarios import SCENARIOS, outcome
from tests.world.world import CALLER, World

STEPS_S = (-3600.0, 3600.0)
UNDER_WAY = ("live-shared", "live-block", "cold-local-confirmed", "cold-local-reverted", "resize-local-confirmed")
OF_POWER = ("build", "suspend", "delete")  # the rest: ``test_mishaps.py``


def step(world: World, by_s: float) -> None:
    world.clock_error_s += by_s


def heard(world: World, host: str) -> bool:
    with world.db.read() as connection:
        return bool(hosts.get(connection, host).silent_s <= world.settings.service_down_time)


def raised(world: World) -> list[str]:
    with world.db.read() as connection:
        return list(connection.execute(select(alarms.c.message).where(alarms.c.kind == "clock-stepped")).scalars())


@pytest.mark.parametrize("by_s", STEPS_S)
def test_a_dead_host_does_not_count_as_heard_and_a_living_one_is_not_given_up(
    make_world: MakeWorld, by_s: float
) -> None:
    world = make_world()
    uuid = built(world, "shared")
    world.lose("n1")
    step(world, by_s)
    for _ in range(200):
        world.tick()
        assert heard(world, "n2")
        assert heard(world, "n3")
    pass_time(world)
    assert not heard(world, "n1")
    assert len(raised(world)) == 1
    force_down(world, "n1")
    evacuations.evacuate(world, uuid, None)
    world.run(lambda: evacuations.is_over(world, uuid))
    assert world.simulation.running_on(uuid) in (["n2"], ["n3"])
    world.bring_back("n1")
    world.settle()
    assert broken(world) == []


@pytest.mark.parametrize("by_s", STEPS_S)
@pytest.mark.parametrize("name", UNDER_WAY + OF_POWER)
def test_an_operation_goes_on_as_if_nobody_had_set_the_clock(make_world: MakeWorld, name: str, by_s: float) -> None:
    plain = make_world()
    SCENARIOS[name](plain)
    expected = outcome(plain)
    world = make_world()
    world.at(1.0, lambda: step(world, by_s))  # hosts are registered, and the instance is being built or moved
    world.at(9.0, lambda: step(world, -by_s / 2))
    SCENARIOS[name](world)
    assert broken(world) == []
    assert outcome(world) == expected
    assert plain.time - world.time < 60


@pytest.mark.parametrize("by_s", STEPS_S)
@pytest.mark.parametrize("before", [as_it_is, moves.pause])
def test_a_silent_host_in_a_live_migration_is_waited_for_however_the_clock_is_set(
    make_world: MakeWorld, before: Step, by_s: float
) -> None:
    world = make_world()
    uuid = built(world, "local")
    before(world, uuid)
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.run(lambda: uuid in world.simulation.transfers)
    world.silence("n2")
    step(world, by_s)
    pass_time(world, 30)
    world.bring_back("n2")
    world.settle()
    assert broken(world) == []
    assert outcome(world)[1:] == ("n2", ["completed"] * len(outcome(world)[2]))
