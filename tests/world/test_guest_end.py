"""A guest that stops, reboots or crashes while it is moved: the end of the move names that cause."""

import pytest

from migrator.protocol import DomainState
from migrator.scheduler.requests import requests
from tests.world import moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.test_arrival import newest, record, timeline
from tests.world.world import CALLER, World

ENDS = {
    "shutdown": "the guest shut itself down",
    "crashed": "the guest crashed, or its process was killed",
    "panicked": "the guest panicked",
    "destroyed": "its power was cut",
}


def end_by_itself(world: World, uuid: str, reason: str) -> None:
    state = DomainState.CRASHED if reason == "panicked" else DomainState.SHUT_OFF
    world.simulation.set_state("n1", uuid, state, reason, world.time)


@pytest.mark.parametrize("reason", ENDS)
@pytest.mark.parametrize("begun", [True, False], ids=["on the way", "before its first byte"])
def test_a_live_migration_names_the_guest_that_ended_it(make_world: MakeWorld, reason: str, begun: bool) -> None:
    world = make_world()
    uuid = built(world, "local")
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    if begun:
        world.run(lambda: uuid in world.simulation.transfers)
    else:
        world.run(lambda: newest(world).phase == "transfer")
    end_by_itself(world, uuid, reason)
    world.settle()
    ended = newest(world)
    assert (ended.status, ended.error["code"]) == ("failed", "guest_stopped")
    assert ended.error["message"].startswith(f"{ENDS[reason]} on n1 in the middle of the migration")
    assert ended.error["message"] in timeline(world, "reverse")
    moves.pass_time(world, 30)
    assert record(world, uuid) == ("stopped", "n1")
    assert broken(world) == []


def test_a_guest_that_reboots_on_the_way_arrives(make_world: MakeWorld) -> None:
    """Its process stays, and so does the transfer: a reboot is nothing that ends a move."""
    world = make_world()
    uuid = built(world, "shared")
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.run(lambda: uuid in world.simulation.transfers)
    world.simulation.set_state("n1", uuid, DomainState.RUNNING, "booted", world.time)
    world.settle()
    assert (newest(world).status, record(world, uuid)) == ("completed", ("active", "n2"))
    assert broken(world) == []


@pytest.mark.parametrize("reason", ENDS)
def test_a_cold_migration_goes_on_where_the_guest_stops_before_it_was_asked_to(
    make_world: MakeWorld, reason: str
) -> None:
    world = make_world()
    uuid = built(world, "local")
    world.ask(lambda: moves.migrate(world, uuid))
    world.run(lambda: newest(world).phase == "stop")
    end_by_itself(world, uuid, reason)
    world.run(lambda: newest(world).phase == "verify")
    crashed = reason in ("crashed", "panicked")
    assert timeline(world, "guest") == ([f"{ENDS[reason]} on n1 while it was being stopped"] if crashed else [])
    assert world.simulation.running_on(uuid) == [newest(world).destination]
    moves.confirm(world, uuid)
    world.settle()
    assert broken(world) == []
