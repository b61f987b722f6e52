"""A live migration whose guest has arrived, and is found stopped: where it lives is known by its kept, stamped domain,
whatever the hypervisors have forgotten."""

from typing import Any

import pytest
from sqlalchemy import select

from migrator.db.tables import events, instances, operations
from migrator.scheduler.requests import requests
from tests.world import moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.world import CALLER, World


def newest(world: World) -> Any:
    with world.db.read() as connection:
        return connection.execute(select(operations).order_by(operations.c.id.desc()).limit(1)).one()


def timeline(world: World, name: str) -> list[str]:
    with world.db.read() as connection:
        return list(connection.execute(select(events.c.message).where(events.c.name == name)).scalars())


def record(world: World, uuid: str) -> tuple[str, str]:
    with world.db.read() as connection:
        row = connection.execute(select(instances).where(instances.c.uuid == uuid)).one()
    return row.vm_state, row.host


def arrived_unseen(world: World, pool: str) -> str:
    """A guest that has just arrived on n2, of which the server has not been told."""
    uuid = built(world, pool)
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.run(lambda: uuid in world.simulation.transfers)
    while uuid in world.simulation.transfers:
        world.time += 0.05
        world.simulation.advance()
    assert world.simulation.running_on(uuid) == ["n2"]
    return uuid


@pytest.mark.parametrize("pool", ["local", "shared"])
def test_a_guest_whose_new_host_loses_its_power_as_it_arrives_lives_there(make_world: MakeWorld, pool: str) -> None:
    world = make_world()
    uuid = arrived_unseen(world, pool)
    world.lose("n2")
    moves.pass_time(world, 30)
    assert newest(world).active
    world.bring_back("n2")
    world.settle()
    assert (newest(world).status, record(world, uuid)) == ("completed", ("stopped", "n2"))
    assert timeline(world, "guest") == [
        "the guest stopped; its hypervisor has forgotten why on n2, after it had arrived there"
    ]
    assert broken(world) == []


def test_a_guest_that_shuts_itself_down_where_it_arrived_is_said_to_have_done_so(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "shared")
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.run(lambda: uuid in world.simulation.transfers)
    world.away = True
    while world.simulation.running_on(uuid) != ["n2"]:
        world.tick()
    world.agents["n2"].driver.shut_down(uuid)
    moves.pass_time(world, 10)
    world.away = False
    world.without_server(1)
    world.settle()
    assert (newest(world).status, record(world, uuid)) == ("completed", ("stopped", "n2"))
    assert timeline(world, "guest") == ["the guest shut itself down on n2, after it had arrived there"]
    assert broken(world) == []


@pytest.mark.parametrize("pool", ["local", "shared"])
@pytest.mark.parametrize("fenced", [False, True])
def test_a_definition_that_a_power_cut_brought_back_is_not_taken_for_the_guest(
    make_world: MakeWorld, pool: str, fenced: bool
) -> None:
    """libvirt does not sync that it forgot a domain: the source has its old one again, stopped, without a reason."""
    world = make_world()
    uuid = arrived_unseen(world, pool)
    world.lose("n1")
    world.lose("n2")
    assert uuid in world.simulation.hosts["n1"].domains
    world.bring_back("n1")
    moves.pass_time(world)
    if fenced:
        moves.force_down(world, "n2")
        moves.pass_time(world)
    assert "may have moved to n2 before" in newest(world).wait_reason
    world.bring_back("n2")
    world.settle()
    assert (newest(world).status, record(world, uuid)) == ("completed", ("stopped", "n2"))
    assert broken(world) == []


def test_who_cancels_while_the_new_host_is_lost_gets_the_old_copy_and_the_newer_one_is_kept(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    uuid = arrived_unseen(world, "local")
    world.lose("n1")
    world.lose("n2")
    world.bring_back("n1")
    moves.pass_time(world)
    moves.force_down(world, "n2")
    moves.pass_time(world)
    requests.cancel(world.db, CALLER, newest(world).id)
    world.run(lambda: not newest(world).locks_instance)
    world.bring_back("n2")
    moves.pass_time(world)
    assert world.lost == []
    assert "the guest has arrived here" in newest(world).wait_reason
    world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    world.settle()
    assert [storage.identity for storage in world.simulation.storages.values() if storage.disks] == []


def test_a_guest_that_shuts_itself_down_on_the_way_ends_the_move_and_is_named(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "shared")
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.run(lambda: uuid in world.simulation.transfers)
    world.agents["n1"].driver.shut_down(uuid)
    world.settle()
    ended = newest(world)
    assert (ended.status, ended.error["code"]) == ("failed", "guest_stopped")
    assert ended.error["message"].startswith("the guest shut itself down on n1 in the middle of the migration")
    moves.pass_time(world, 30)
    assert record(world, uuid) == ("stopped", "n1")
