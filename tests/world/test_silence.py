"""A host whose agent is silent for longer than ``service_down_time`` in the middle of a move, and then comes back."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from migrator.compute.simulated.state import MIB, Behaviour
from migrator.db.tables import operations
from migrator.errors import BadRequest, Conflict
from migrator.scheduler.requests import requests
from tests.world import evacuations, moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.scenarios import outcome
from tests.world.world import CALLER, World


@pytest.mark.parametrize("host", ["n1", "n2"])
@pytest.mark.parametrize("pool", ["local", "shared"])
def test_a_silent_host_is_waited_for_by_name(make_world: MakeWorld, host: str, pool: str) -> None:
    world = make_world()
    world.tick()
    uuid = world.build(pool)
    assert uuid is not None
    world.run()
    world.simulation.behaviours[uuid] = Behaviour(dirty_bytes_per_s=400 * MIB)
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.run(lambda: uuid in world.simulation.transfers)
    agent = world.agents.pop(host)
    until = world.time + world.settings.service_down_time + 30
    world.run(lambda: world.time > until)
    with world.db.read() as connection:
        waiting = connection.execute(select(operations.c.wait_reason).where(operations.c.active)).scalar_one()
    assert host in waiting
    assert "silent" in waiting
    world.simulation.behaviours[uuid] = Behaviour(dirty_bytes_per_s=1 * MIB)
    world.start_agent(agent.host)
    world.settle()
    assert broken(world) == []
    assert outcome(world) == ("active", "n2", ["completed", "completed"])


OUTAGE_S = 150.0  # longer than service_down_time
Step = Callable[[World, str], None]


def live(world: World, uuid: str) -> None:
    world.simulation.behaviours[uuid] = Behaviour(dirty_bytes_per_s=400 * MIB)
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.run(lambda: uuid in world.simulation.transfers)
    world.simulation.behaviours[uuid] = Behaviour(dirty_bytes_per_s=1 * MIB)


def copying(world: World, uuid: str) -> None:
    moves.migrate(world, uuid)
    world.run(lambda: moves.copying(world, uuid))


@pytest.mark.parametrize(
    ("until", "ended"), [(live, "completed"), (moves.migrate, "confirmed"), (copying, "confirmed")]
)
def test_no_host_is_given_up_because_there_was_no_server(make_world: MakeWorld, until: Step, ended: str) -> None:
    world = make_world()
    uuid = built(world, "local")
    until(world, uuid)
    world.without_server(OUTAGE_S)
    if ended == "confirmed":
        moves.confirm(world, uuid)
    world.settle()
    with world.db.read() as connection:
        row = connection.execute(select(operations).order_by(operations.c.id.desc()).limit(1)).one()
    assert (row.status, row.error) == (ended, None)
    assert broken(world) == []


def test_a_build_waits_for_hosts_that_had_nobody_to_speak_to(make_world: MakeWorld) -> None:
    world = make_world()
    world.tick()
    world.without_server(OUTAGE_S)
    uuid = world.build("local")
    assert uuid is not None
    world.server.reconciler.sweep()  # before any agent has spoken
    with world.db.read() as connection:
        waiting = connection.execute(select(operations.c.wait_reason)).scalar_one()
    assert waiting == "waiting for n1 to speak to the servers, which just came back"
    world.run()
    assert outcome(world)[2] == ["completed"]


@pytest.mark.parametrize("policy", [False, True])
def test_no_host_is_evacuated_because_there_was_no_server(make_world: MakeWorld, policy: bool) -> None:
    world = make_world()
    world.settings = world.settings.model_copy(update={"evacuate_silent_hosts": policy})
    uuid = built(world, "shared")
    world.without_server(OUTAGE_S)
    with pytest.raises(Conflict, match="the servers came back 0 s ago"):
        evacuations.ask(world, uuid)
    spoken_at = world.time + 20
    world.run(lambda: world.time > spoken_at)
    with pytest.raises(BadRequest, match="still in use"):
        evacuations.ask(world, uuid)
