"""Domains that migrator did not make fill a host: nothing is built there, and nothing moves there by any way."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from migrator.db.tables import claims, instances, operations
from migrator.operations import VERIFY
from migrator.scheduler.requests import cold_migration, requests
from tests.world import evacuations
from tests.world.clients import built, insist
from tests.world.conftest import MakeWorld
from tests.world.moves import force_down
from tests.world.world import CALLER, HOSTS, World

FREE_MB = 4096 - 512
Way = Callable[[World, str], None]


def live(world: World, uuid: str) -> None:
    insist(world, lambda: requests.live_migrate(world.db, CALLER, uuid, host=None, block=None))


def cold(world: World, uuid: str) -> None:
    insist(world, lambda: cold_migration.migrate(world.db, CALLER, uuid, host=None))


def evacuation(world: World, uuid: str) -> None:
    world.lose("n1")
    force_down(world, "n1")
    evacuations.evacuate(world, uuid, None)


def decided(world: World, uuid: str) -> bool:
    """It has moved, and perhaps waits for its confirmation; or it has not."""
    return newest_phase(world) == VERIFY or evacuations.is_over(world, uuid) or world.at_rest()


def newest_phase(world: World) -> str:
    with world.db.read() as connection:
        query = select(operations.c.phase).order_by(operations.c.id.desc()).limit(1)
        return str(connection.execute(query).scalar_one())


@pytest.mark.parametrize("way", [live, cold, evacuation])
@pytest.mark.parametrize("room_mb", [31, 32])
def test_an_instance_moves_only_where_other_domains_leave_it_room(
    make_world: MakeWorld, way: Way, room_mb: int
) -> None:
    world = make_world()
    for name in HOSTS[1:]:
        world.simulation.hosts[name].foreign_memory_mb = FREE_MB - room_mb
    uuid = built(world, "shared")
    way(world, uuid)
    world.run(lambda: decided(world, uuid))
    with world.db.read() as connection:
        row = connection.execute(select(operations).order_by(operations.c.id.desc())).first()
        claimed = connection.execute(select(claims.c.host).where(claims.c.host != "n1")).scalars().all()
    assert row is not None
    if room_mb == 32:
        assert len(claimed) == 1
        return
    assert claimed == []
    assert row.error is not None
    assert "memory: 32 MiB needed, 31 MiB free" in row.error["message"]


def test_a_build_does_not_overfill_a_host(make_world: MakeWorld) -> None:
    world = make_world()
    world.simulation.hosts["n1"].foreign_memory_mb = FREE_MB - 31
    world.tick()
    uuid = world.build("local")
    world.run()
    with world.db.read() as connection:
        row = connection.execute(select(instances).where(instances.c.uuid == uuid)).one()
    assert (row.vm_state, row.host) == ("error", None)
    assert "memory: 32 MiB needed, 31 MiB free" in str(row.fault)
