"""A move that waits for its confirmation: both of its hosts show what happens to its guest until then."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from migrator.db.tables import events, instances
from migrator.scheduler.requests import cold_migration as asked
from migrator.scheduler.requests import requests
from tests.world import moves
from tests.world.clients import built, insist
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.world import CALLER, World

Ask = Callable[[World, str], int]
OUTAGE_S = 60.0  # long enough for the servers to count as having been away
SEEN_S = 30.0  # longer than an agent waits between two polls, and than a record needs to be old enough


def waiting_move(make_world: MakeWorld, pool: str = "local") -> tuple[World, str]:
    """A world in which an instance waits in VERIFY_RESIZE on n2, its old copy stopped on n1."""
    world = make_world()
    uuid = built(world, pool)
    moves.migrate(world, uuid)
    assert moves.verified(world, uuid)
    return world, uuid


def alarms(world: World) -> list[str]:
    with world.db.read() as connection:
        return list(connection.execute(select(events.c.message).where(events.c.name == "alarm")).scalars())


def record(world: World, uuid: str) -> tuple[str, int, str]:
    columns = (instances.c.vm_state, instances.c.power_state, instances.c.host)
    with world.db.read() as connection:
        found = connection.execute(select(*columns).where(instances.c.uuid == uuid)).one()
    return found.vm_state, found.power_state, found.host


def test_a_guest_that_somebody_starts_on_the_source_raises_an_alarm(make_world: MakeWorld) -> None:
    world, uuid = waiting_move(make_world)
    assert alarms(world) == []
    world.agents["n1"].driver.define_and_start(world.simulation.hosts["n1"].domains[uuid].spec, "virsh", 1)
    moves.pass_time(world, SEEN_S)
    assert len(alarms(world)) == 1
    assert "n1" in alarms(world)[0]


def test_a_guest_that_stops_by_itself_is_recorded_and_stays_to_be_confirmed(make_world: MakeWorld) -> None:
    world, uuid = waiting_move(make_world)
    world.agents["n2"].driver.destroy(uuid)
    moves.pass_time(world, SEEN_S)
    assert record(world, uuid) == ("resized", 4, "n2")
    insist(world, lambda: asked.confirm(world.db, CALLER, uuid))
    world.settle()
    assert record(world, uuid) == ("stopped", 4, "n2")
    assert broken(world) == []


def waiting_move_beside_a_silent_source(make_world: MakeWorld, pool: str) -> tuple[World, str]:
    """The same, and the source's agent is away since before a break of all servers."""
    world, uuid = waiting_move(make_world, pool)
    world.silence("n1")
    world.without_server(OUTAGE_S)
    moves.pass_time(world, SEEN_S)
    return world, uuid


def confirm(world: World, uuid: str) -> int:
    return asked.confirm(world.db, CALLER, uuid)


def reverse_and_confirm(world: World, uuid: str) -> int:
    """The client takes a revert back, which waits for the source."""
    world.ask(lambda: asked.revert(world.db, CALLER, uuid))
    moves.pass_time(world, SEEN_S)
    waiting = moves.newest_move(world, uuid).wait_reason
    assert waiting.startswith("waiting for host n1, which is silent")
    assert waiting.endswith("or confirm, which keeps the instance there")
    return confirm(world, uuid)


def by_its_window(world: World, uuid: str) -> int:
    world.settings = world.settings.model_copy(update={"resize_confirm_window": 60})
    world.restart_server()
    moves.pass_time(world, 100)
    return int(moves.newest_move(world, uuid).id)


@pytest.mark.parametrize("ask", [confirm, reverse_and_confirm, by_its_window])
@pytest.mark.parametrize("pool", ["local", "shared"])
def test_a_move_is_confirmed_while_its_source_is_silent_since_before_the_servers_were_away(
    make_world: MakeWorld, pool: str, ask: Ask
) -> None:
    world, uuid = waiting_move_beside_a_silent_source(make_world, pool)
    world.ask(lambda: ask(world, uuid))
    moves.pass_time(world, SEEN_S)
    assert record(world, uuid)[::2] == ("active", "n2")
    assert not moves.newest_move(world, uuid).locks_instance
    if pool == "local":
        assert (uuid, "vda") in world.simulation.storages["local-n1"].disks
    world.bring_back("n1")
    world.settle()
    assert moves.newest_move(world, uuid).status == "confirmed"
    assert broken(world) == []


def test_an_instance_in_verify_resize_begins_to_be_deleted_while_its_source_is_silent(make_world: MakeWorld) -> None:
    world, uuid = waiting_move_beside_a_silent_source(make_world, "local")
    world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    moves.pass_time(world, SEEN_S)
    assert not moves.newest_move(world, uuid).locks_instance
    assert uuid not in world.simulation.hosts["n2"].domains
    world.bring_back("n1")
    world.settle()
    assert uuid not in world.simulation.hosts["n1"].domains
    assert broken(world) == []
