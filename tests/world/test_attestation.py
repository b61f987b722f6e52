"""A live migration of copied disks: the source's are deleted only after the destination has shown its own, freshly, and
the destination's half copies only after the source has said that it still has the guest."""

import pytest

from migrator.compute.simulated.state import MIB, Behaviour
from migrator.scheduler.decision import proof
from migrator.scheduler.decision.completion import DONE
from migrator.scheduler.requests import requests
from tests.world import moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.rules import broken
from tests.world.test_arrival import newest, record
from tests.world.test_proof import damage, disks, wipe
from tests.world.world import CALLER, World


def migrating(world: World, dirty: int = 1) -> str:
    uuid = built(world, "local")
    world.simulation.behaviours[uuid] = Behaviour(dirty_bytes_per_s=dirty * MIB)
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    return uuid


def arrived(make_world: MakeWorld, phase: str = "attest") -> tuple[World, str]:
    """The record has moved to n2, and no agent has shown or deleted anything yet."""
    world = make_world()
    uuid = migrating(world)
    world.run(lambda: newest(world).phase == phase)
    return world, uuid


def lose_the_disks(world: World, uuid: str) -> None:
    world.agents["n2"].driver.destroy(uuid)
    wipe(world, "n2")


def test_the_sources_disks_stay_while_the_destination_is_silent(make_world: MakeWorld) -> None:
    world, uuid = arrived(make_world)
    world.lose("n2")
    moves.pass_time(world)
    assert disks(world, uuid) == ["local-n1", "local-n2"]
    assert newest(world).wait_reason == (
        "waiting for host n2, which is silent: what n1 has is kept until n2 has shown its disks"
    )
    world.bring_back("n2")
    world.settle()
    assert newest(world).status == "completed"
    assert disks(world, uuid) == ["local-n2"]


@pytest.mark.parametrize("kind", ["cut", "image gone"])
def test_the_sources_disks_stay_while_the_destinations_are_not_whole(make_world: MakeWorld, kind: str) -> None:
    world, uuid = arrived(make_world)
    damage(world, uuid, "n2", kind)
    moves.pass_time(world)
    assert disks(world, uuid) == ["local-n1", "local-n2"]
    said = newest(world).wait_reason
    assert "n2 has not what it should have: " in said
    assert said.endswith("what n1 has is kept until n2 has shown its disks")
    storage = world.simulation.storages["local-n2"]
    storage.lost_images.clear()
    storage.disks[uuid, "vda"].cut = False
    world.settle()
    assert (newest(world).status, disks(world, uuid)) == ("completed", ["local-n2"])


def test_the_sources_disks_stay_where_the_destinations_are_gone_and_the_instance_can_be_deleted(
    make_world: MakeWorld,
) -> None:
    world, uuid = arrived(make_world)
    lose_the_disks(world, uuid)
    moves.pass_time(world)
    assert disks(world, uuid) == ["local-n1"]
    assert "n2 has not what it should have: vda is missing" in newest(world).wait_reason
    world.ask(lambda: requests.delete_instance(world.db, CALLER, uuid))
    world.settle()
    assert disks(world, uuid) == []
    assert broken(world) == []


@pytest.mark.parametrize("phase", ["attest", "cleanup"])
def test_a_source_that_was_silent_deletes_nothing_before_the_destination_has_shown_its_disks_anew(
    make_world: MakeWorld, phase: str
) -> None:
    world, uuid = arrived(make_world, phase)
    world.silence("n1")
    moves.pass_time(world, 150)
    assert newest(world).wait_reason.startswith("waiting for host n1, which is silent")
    lose_the_disks(world, uuid)
    moves.pass_time(world, 30)
    world.bring_back("n1")
    moves.pass_time(world)
    assert disks(world, uuid) == ["local-n1"]
    assert "vda is missing" in newest(world).wait_reason
    assert world.lost == []


def test_a_source_that_was_silent_cleans_up_when_it_is_back(make_world: MakeWorld) -> None:
    world, uuid = arrived(make_world, "cleanup")
    world.silence("n1")
    moves.pass_time(world, 150)
    assert disks(world, uuid) == ["local-n1", "local-n2"]
    world.bring_back("n1")
    world.settle()
    assert (newest(world).status, disks(world, uuid)) == ("completed", ["local-n2"])
    assert broken(world) == []


@pytest.mark.parametrize("lost", ["n1", "n2"])
def test_an_instance_that_has_arrived_is_free_when_one_of_its_hosts_is_fenced(make_world: MakeWorld, lost: str) -> None:
    world, uuid = arrived(make_world)
    world.lose(lost)
    moves.pass_time(world)
    moves.force_down(world, lost)
    world.run(lambda: not newest(world).locks_instance)
    assert disks(world, uuid) == ["local-n1", "local-n2"]
    world.bring_back(lost)
    world.settle()
    assert (newest(world).status, disks(world, uuid)) == ("completed", ["local-n2"])
    assert record(world, uuid)[1] == "n2"


def test_a_cleanup_without_a_proof_is_found(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "judge_whole", lambda *_: DONE)
    world, uuid = arrived(make_world, "cleanup")
    world.silence("n1")
    moves.pass_time(world, 120)
    lose_the_disks(world, uuid)
    world.bring_back("n1")
    moves.pass_time(world)
    assert any("destroyed version" in line for line in world.lost), world.lost


def test_half_a_copy_stays_at_the_destination_until_the_source_has_said_that_it_has_the_guest(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    uuid = migrating(world, dirty=400)
    world.run(lambda: uuid in world.simulation.transfers)
    world.silence("n1")
    moves.pass_time(world, 30)
    requests.cancel(world.db, CALLER, newest(world).id)
    world.simulation.kill_daemon("n2")
    world.simulation.start_daemon("n2")
    moves.pass_time(world, 120)
    assert disks(world, uuid) == ["local-n1", "local-n2"]
    assert "n1" in newest(world).wait_reason
    world.bring_back("n1")
    world.settle()
    assert disks(world, uuid) == ["local-n1"]
    assert broken(world) == []
