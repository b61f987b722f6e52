"""Two storages with one marker, as a cloned disk or another site's replica has it: not shared, and said by name."""

import copy

import pytest
from sqlalchemy import select

from migrator.compute.simulated.state import Storage
from migrator.db.tables import alarms
from migrator.errors import Conflict
from migrator.scheduler.requests import requests
from tests.world import evacuations, moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.rules import harm
from tests.world.world import CALLER, World


def clone(world: World, of: str, *, stale: bool) -> None:
    """n2's pool "local" has the marker of this host's, and, if it was copied, what lay there."""
    own = world.simulation.storages[f"local-{of}"]
    found = Storage(own.identity, 20)
    if stale:
        found.disks, found.proofs = copy.deepcopy(own.disks), set(own.proofs)
    world.simulation.hosts["n2"].pools["local"] = found
    world.agents["n2"].registered = False
    moves.pass_time(world, 20)


def written_since(world: World, uuid: str) -> None:
    moves.stop(world, uuid)
    world.ask(lambda: requests.start(world.db, CALLER, uuid))
    world.run()


def raised(world: World) -> list[str]:
    with world.db.read() as connection:
        query = select(alarms.c.host).where(alarms.c.kind == "storage-marker", alarms.c.cleared_at.is_(None))
        return list(connection.execute(query).scalars())


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("how", ["live", "cold"])
def test_a_move_takes_no_copied_marker_for_shared_storage(make_world: MakeWorld, how: str, stale: bool) -> None:
    world = make_world()
    uuid = built(world, "local")
    clone(world, "n1", stale=stale)
    written_since(world, uuid)
    if how == "live":
        world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    else:
        moves.migrate(world, uuid)
    moves.pass_time(world, 60)
    assert harm(world) == []
    assert (uuid, "vda") in world.simulation.storages["local-n1"].disks
    assert raised(world) == ["n2"]


@pytest.mark.parametrize("stale", [False, True])
def test_an_evacuation_starts_nothing_from_a_copied_marker(make_world: MakeWorld, stale: bool) -> None:
    """Copied a while before the host died: its last proof is not there."""
    world = make_world()
    uuid = built(world, "local")
    clone(world, "n1", stale=stale)
    moves.pass_time(world, 400)
    written_since(world, uuid)
    world.lose("n1")
    moves.pass_time(world)
    moves.force_down(world, "n1")
    evacuations.evacuate(world, uuid, None)
    world.run(lambda: evacuations.is_over(world, uuid))
    assert harm(world) == []
    assert world.simulation.running_on(uuid) == []
    assert raised(world) == ["n2"]
    world.bring_back("n1")
    moves.pass_time(world, 60)
    assert (uuid, "vda") in world.simulation.storages["local-n1"].disks


def test_what_was_proven_too_long_before_the_host_died_is_no_proof(make_world: MakeWorld) -> None:
    world = make_world()
    world.settings = world.settings.model_copy(update={"shared_storage_proof_max_age": 100.0})
    uuid = built(world, "shared")
    moves.pass_time(world, 200)
    world.lose("n1")
    moves.pass_time(world)
    moves.force_down(world, "n1")
    with pytest.raises(Conflict, match="wrote its last proof there"):
        evacuations.ask(world, uuid)
    world.settings = world.settings.model_copy(update={"shared_storage_proof_max_age": 0.0})
    world.restart_server()
    evacuations.evacuate(world, uuid, None)
    world.run(lambda: evacuations.is_over(world, uuid))
    assert world.simulation.running_on(uuid) in (["n2"], ["n3"])
