"""A host whose agent is silent for longer than ``service_down_time`` in the middle of a move, and then comes back."""

import pytest
from sqlalchemy import select

from migrator.compute.simulated_world import MIB, Behaviour
from migrator.db.tables import operations
from migrator.scheduler import requests
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.scenarios import outcome
from tests.world.world import CALLER


@pytest.mark.parametrize("host", ["n1", "n2"])
@pytest.mark.parametrize("pool", ["local", "shared"])
def test_a_silent_host_is_waited_for_by_name(make_world: MakeWorld, host: str, pool: str) -> None:
    world = make_world()
    world.tick()
    uuid = world.build(pool)
    assert uuid is not None
    world.run()
    world.fabric.behaviours[uuid] = Behaviour(dirty_bytes_per_s=400 * MIB)
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.run(lambda: uuid in world.fabric.transfers)
    agent = world.agents.pop(host)
    until = world.time + world.settings.service_down_time + 30
    world.run(lambda: world.time > until)
    with world.db.read() as connection:
        waiting = connection.execute(select(operations.c.waiting).where(operations.c.active)).scalar_one()
    assert host in waiting
    assert "silent" in waiting
    world.fabric.behaviours[uuid] = Behaviour(dirty_bytes_per_s=1 * MIB)
    world.start_agent(agent.host)
    world.settle()
    assert broken(world) == []
    assert outcome(world) == ("active", "n2", ["completed", "completed"])
