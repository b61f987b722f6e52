"""A move that waits for its confirmation: both of its hosts show what happens to its guest until then."""

from sqlalchemy import select

from migrator.db.tables import events, instances
from migrator.scheduler.requests import cold_migration as asked
from tests.world import moves
from tests.world.clients import built, insist
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.world import CALLER, World

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
    world.agents["n1"].driver.define_and_start(world.fabric.hosts["n1"].domains[uuid].spec, "virsh", 1)
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
