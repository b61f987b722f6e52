"""A host still owes its cleaning while the instance, which is free, goes on living: moved again, stopped, deleted, and
hosts whose storage is not what it was. What is cleaned late must never be what the instance lives on."""

from typing import Any

import pytest

from migrator.compute.simulated.state import MIB, Behaviour
from migrator.db import hosts, instances, operations
from migrator.scheduler.requests import cold_migration, requests
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.evacuations import evacuate, is_over
from tests.world.moves import Step, as_it_is, confirm, force_down, newest_move, pass_time, stop
from tests.world.rules import broken
from tests.world.world import CALLER, World


def live(world: World, uuid: str, host: str) -> None:
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host=host, block=None))


def until_free(world: World, uuid: str) -> None:
    def free() -> bool:
        with world.db.read() as connection:
            return operations.active_of_instance(connection, uuid) is None

    world.run(free)


def on_other_storage(world: World, host: str, pool: str, identity: str) -> None:
    """The host's agent starts again and finds another storage in this pool's place."""
    world.simulation.hosts[host].pools[pool] = world.simulation.storage(identity, 20)
    if world.agents.pop(host, None) is not None:
        world.start_agent(host)
        world.run(lambda: world.agents[host].registered)


def owes_a_live_migration(world: World, pool: str) -> str:
    """n2 died in the middle of a live migration and was given up: the guest runs on n1, and n2 owes."""
    uuid = built(world, pool)
    world.simulation.behaviours[uuid] = Behaviour(dirty_bytes_per_s=400 * MIB)
    live(world, uuid, "n2")
    world.run(lambda: uuid in world.simulation.transfers)
    world.lose("n2")
    pass_time(world)
    force_down(world, "n2")
    until_free(world, uuid)
    world.simulation.behaviours[uuid] = Behaviour(dirty_bytes_per_s=1 * MIB)
    assert world.simulation.running_on(uuid) == ["n1"]
    return uuid


def delete(world: World, uuid: str) -> None:
    world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    until_free(world, uuid)


def move_cold(world: World, uuid: str) -> None:
    world.ask(lambda: cold_migration.migrate(world.db, CALLER, uuid, host="n3"))
    confirm(world, uuid)
    until_free(world, uuid)


@pytest.mark.parametrize("pool", ["local", "shared"])
@pytest.mark.parametrize("then", [delete, move_cold])
def test_what_became_of_the_instance_is_no_verdict_on_what_is_owed(make_world: MakeWorld, pool: str, then: Any) -> None:
    world = make_world()
    uuid = owes_a_live_migration(world, pool)
    then(world, uuid)
    pass_time(world)
    world.bring_back("n2")
    world.settle()
    assert broken(world) == []


@pytest.mark.parametrize("pool", ["local", "shared"])
def test_a_live_migration_elsewhere_is_not_taken_for_the_one_that_is_owed(make_world: MakeWorld, pool: str) -> None:
    """n2 is back in the very moment in which n1's domain is shut off because it migrated, to n3."""
    world = make_world()
    uuid = owes_a_live_migration(world, pool)
    live(world, uuid, "n3")
    world.run(lambda: world.simulation.running_on(uuid) == ["n3"])
    world.bring_back("n2")
    world.settle()
    assert broken(world) == []
    assert world.simulation.running_on(uuid) == ["n3"]


@pytest.mark.parametrize("before", [as_it_is, stop])
def test_shared_disks_survive_a_destination_that_has_lost_sight_of_them(make_world: MakeWorld, before: Step) -> None:
    """Evacuated on shared storage; the new home is restarted without its mount before the lost host returns. Of a
    stopped instance no lock keeps the disks."""
    world = make_world()
    uuid = built(world, "shared")
    before(world, uuid)
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    evacuate(world, uuid, "n2")
    world.run(lambda: is_over(world, uuid))
    shared = world.simulation.hosts["n1"].pools["shared"].identity
    on_other_storage(world, "n2", "shared", "not mounted")
    world.bring_back("n1")
    world.run(lambda: not newest_move(world, uuid).active)
    on_other_storage(world, "n2", "shared", shared)
    world.settle()
    assert broken(world) == []


def test_a_host_does_not_clean_where_the_instance_has_moved_since(make_world: MakeWorld) -> None:
    """n1 and n3 share a storage, n2 does not. n1 owes its cleaning after a move to n2: on n3 the instance would lie in
    the very directory that n1 is going to empty."""
    world = make_world()
    on_other_storage(world, "n2", "shared", "of another rack")
    uuid = built(world, "shared")
    world.ask(lambda: cold_migration.migrate(world.db, CALLER, uuid, host="n2"))
    assert newest_move(world, uuid).active
    world.run(lambda: newest_move(world, uuid).phase == "verify")
    world.lose("n1")
    confirm(world, uuid)
    until_free(world, uuid)
    first = newest_move(world, uuid).id
    world.ask(lambda: cold_migration.migrate(world.db, CALLER, uuid, host="n3"))
    world.run(lambda: newest_move(world, uuid).phase == "verify" or not newest_move(world, uuid).active)
    second = newest_move(world, uuid)
    assert second.id != first
    if second.active:
        confirm(world, uuid)
    else:
        assert "leftover" in second.error["message"]
    world.bring_back("n1")
    world.settle()
    assert broken(world) == []


def test_a_fenced_source_of_a_live_migration_does_not_keep_the_instance(make_world: MakeWorld) -> None:
    """It arrived; the source died before it had cleaned up, and then the destination dies too."""
    world = make_world()
    uuid = built(world, "shared")
    live(world, uuid, "n2")
    world.run(lambda: world.simulation.running_on(uuid) == ["n2"])
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    until_free(world, uuid)
    world.lose("n2")
    pass_time(world)
    force_down(world, "n2")
    evacuate(world, uuid, "n3")
    world.run(lambda: is_over(world, uuid))
    assert world.simulation.running_on(uuid) == ["n3"]
    with world.db.write() as connection:
        assert hosts.change(connection, "n1", {"disabled": False})
    world.bring_back("n1")
    world.bring_back("n2")
    world.settle()
    assert broken(world) == []


def test_a_host_that_was_never_declared_down_keeps_what_it_runs_when_it_is_back(make_world: MakeWorld) -> None:
    """A silent minute, and an evacuation that still waits for the fence command: the guest and its local disk stay."""
    world = make_world()
    world.settings = world.settings.model_copy(update={"fence_command": "/bin/false"})  # no server runs it here
    uuid = built(world, "local")
    world.silence("n1")
    pass_time(world)
    evacuate(world, uuid, "n2")
    world.run(lambda: newest_move(world, uuid).phase == "fence")
    pass_time(world)
    assert "waiting for evidence" in newest_move(world, uuid).wait_reason
    world.bring_back("n1")
    world.settle()
    assert broken(world) == []
    assert world.simulation.running_on(uuid) == ["n1"]
    assert newest_move(world, uuid).error["code"] == "source_is_back"


def test_a_build_on_a_host_that_is_lost_has_failed_at_once(make_world: MakeWorld) -> None:
    """And not when the host is back to clean up."""
    world = make_world()
    world.tick()
    uuid = world.build("local")
    assert uuid is not None
    world.lose("n1")
    pass_time(world)
    force_down(world, "n1")
    until_free(world, uuid)
    with world.db.read() as connection:
        row = instances.get(connection, uuid)
    assert (row.vm_state, row.task_state) == ("error", None)
    assert "n1 is lost" in (row.fault or {})["details"]
    world.bring_back("n1")
    world.settle()
    assert broken(world) == []


def give_up(world: World, uuid: str, host: str, pool: str) -> None:
    """The host loses its power and is declared dead; what only it had is given up."""
    world.lose(host)
    pass_time(world)
    force_down(world, host)
    if pool == "local":
        world.simulation.settle_for(uuid, None)


@pytest.mark.parametrize("pool", ["local", "shared"])
@pytest.mark.parametrize("phase", ["check", "rebuild", "start", "cleanup"])
def test_the_first_home_returns_while_the_second_one_is_evacuated(make_world: MakeWorld, pool: str, phase: str) -> None:
    world = make_world()
    uuid = built(world, pool)
    give_up(world, uuid, "n1", pool)
    evacuate(world, uuid, "n2")
    world.run(lambda: is_over(world, uuid))
    give_up(world, uuid, "n2", pool)
    evacuate(world, uuid, "n3")
    world.run(lambda: newest_move(world, uuid).phase == phase or is_over(world, uuid))
    world.bring_back("n1")
    world.run(lambda: is_over(world, uuid))
    assert world.simulation.running_on(uuid) == ["n3"]
    world.bring_back("n2")
    world.settle()
    assert broken(world) == []
    assert newest_move(world, uuid).status == "completed"


@pytest.mark.parametrize("pool", ["local", "shared"])
def test_an_instance_goes_home_once_its_first_host_is_clean(make_world: MakeWorld, pool: str) -> None:
    """Not before: asked too early, the answer names what is in the way."""
    world = make_world()
    uuid = built(world, pool)
    give_up(world, uuid, "n1", pool)
    evacuate(world, uuid, "n2")
    world.run(lambda: is_over(world, uuid))
    with world.db.write() as connection:
        assert hosts.force_down(connection, "n1", False, "admin")
    live(world, uuid, "n1")
    until_free(world, uuid)
    with world.db.read() as connection:
        refused = operations.get(connection, newest_move(world, uuid).id + 1)
    assert "it has not cleaned up yet" in (refused.error or {})["message"]
    world.bring_back("n1")
    world.settle()
    live(world, uuid, "n1")
    world.settle()
    assert broken(world) == []
    assert world.simulation.running_on(uuid) == ["n1"]
