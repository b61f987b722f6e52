"""Two machines with one host name and credential, as a cloned image makes them: one acts, whatever is under way."""

import pytest
from sqlalchemy import select

from migrator.db.tables import alarms
from migrator.protocol import DomainState
from tests.world import evacuations, moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.disasters import CLONE, twin
from tests.world.rules import broken
from tests.world.scenarios import SCENARIOS, outcome
from tests.world.world import HOSTS, World

UNDER_WAY = ("build", "delete", "reboot-soft", "live-block", "cold-shared-confirmed")  # the rest: ``test_mishaps.py``


def raised(world: World) -> list[str]:
    with world.db.read() as connection:
        query = select(alarms.c.host).where(alarms.c.kind == "second-machine", alarms.c.cleared_at.is_(None))
        return list(connection.execute(query).scalars())


@pytest.mark.parametrize("name", UNDER_WAY)
@pytest.mark.parametrize("of", ["n1", "n2"])
def test_a_second_machine_acts_on_nothing(make_world: MakeWorld, name: str, of: str) -> None:
    plain = make_world()
    SCENARIOS[name](plain)
    expected = outcome(plain)
    world = make_world()
    world.tick()
    clone = twin(world, of)
    world.tick()
    SCENARIOS[name](world)
    assert world.simulation.overlaps() == []
    assert broken(world) == []
    assert outcome(world) == expected
    assert clone.held == {}
    assert world.simulation.hosts[CLONE].domains == {}
    assert raised(world) == [of]


def test_a_second_machine_that_never_registers_gets_no_assignment(make_world: MakeWorld) -> None:
    world = make_world()
    world.tick()
    clone = twin(world, "n1")
    clone.registered = True
    uuid = built(world, "local")
    assert world.simulation.running_on(uuid) == ["n1"]
    assert clone.held == {}


def test_guests_that_somebody_started_on_the_second_machine_are_stopped(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "shared")
    clone = twin(world, "n1")
    spec = world.simulation.hosts["n1"].domains[uuid].spec
    world.simulation.hosts["n1"].domains[uuid].state = DomainState.RUNNING
    clone.driver.define(spec, "cloned", 1)
    world.simulation.set_state(CLONE, uuid, DomainState.PAUSED, "starting-up", world.time)  # its disk is locked by n1
    moves.pass_time(world, 20)
    assert world.simulation.hosts[CLONE].domains[uuid].state is DomainState.SHUT_OFF
    assert world.simulation.running_on(uuid) == ["n1"]


def test_a_silent_machine_is_not_replaced_while_its_instances_are_recorded(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "shared")
    clone = twin(world, "n1")
    world.silence("n1")  # cut off, and its guest runs on
    moves.pass_time(world)
    assert not clone.registered
    with pytest.raises(Exception, match="silent, but nothing says"):
        evacuations.ask(world, uuid)
    assert world.simulation.running_on(uuid) == ["n1"]
    world.agents.pop(CLONE)
    world.names = HOSTS
    world.bring_back("n1")
    world.run()
    assert broken(world) == []


def test_a_machine_that_restarts_its_agent_is_the_same_machine(make_world: MakeWorld) -> None:
    world = make_world()
    built(world, "local")
    for _ in range(3):
        world.killed("n1")
        world.run(lambda: "n1" in world.agents and world.agents["n1"].registered, longest=5)
    assert raised(world) == []
