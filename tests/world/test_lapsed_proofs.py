"""A proof counts while the host that gave it is heard: the one that keeps the instance's data dies, or loses its disks,
after it has shown them and before the other host has destroyed its own copy."""

from migrator.scheduler.decision import proof
from migrator.scheduler.requests import requests
from tests.world import moves
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.records import newest
from tests.world.rules import broken
from tests.world.test_proof import confirm, disks, move, revert, wipe
from tests.world.test_verify import record, waiting_move
from tests.world.world import CALLER, World


def confirmed_without_its_source(make_world: MakeWorld) -> tuple[World, str]:
    """A cold move that is confirmed while n1, which has still to clean up, is silent."""
    world, uuid = waiting_move(make_world)
    world.lose("n1")
    moves.pass_time(world)
    confirm(world, uuid)
    moves.pass_time(world, 30)
    assert disks(world, uuid) == ["local-n1", "local-n2"]
    return world, uuid


def test_a_confirmed_source_that_comes_back_keeps_its_copy_while_the_destination_is_dead(
    make_world: MakeWorld,
) -> None:
    world, uuid = confirmed_without_its_source(make_world)
    world.lose("n2")
    wipe(world, "n2")
    moves.pass_time(world, 120)
    world.bring_back("n1")
    moves.pass_time(world, 60)
    assert disks(world, uuid) == ["local-n1"]
    assert move(world, uuid).wait_reason.startswith("waiting for host n2, which is silent: what n1 has is kept")
    assert world.lost == []


def test_a_confirmed_source_that_comes_back_keeps_its_copy_while_the_destination_has_lost_its_own(
    make_world: MakeWorld,
) -> None:
    world, uuid = confirmed_without_its_source(make_world)
    world.agents["n2"].driver.destroy(uuid)
    wipe(world, "n2")
    moves.pass_time(world, 120)
    world.bring_back("n1")
    moves.pass_time(world, 60)
    assert disks(world, uuid) == ["local-n1"]
    assert "vda is missing" in move(world, uuid).wait_reason


def test_a_confirmed_source_that_comes_back_cleans_up_beside_a_destination_that_is_whole(make_world: MakeWorld) -> None:
    world, uuid = confirmed_without_its_source(make_world)
    world.bring_back("n1")
    world.settle()
    assert (disks(world, uuid), record(world, uuid)) == (["local-n2"], ("active", 1, "n2"))
    assert broken(world) == []


def arrived_beside_a_dead_libvirtd(make_world: MakeWorld) -> tuple[World, str]:
    """A live migration that has arrived and is proven; n1's agent speaks, and cannot clean up."""
    world = make_world()
    uuid = built(world, "local")
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))
    world.run(lambda: newest(world, uuid).phase == "attest")
    world.simulation.kill_daemon("n1")
    world.run(lambda: newest(world, uuid).phase == "cleanup")
    return world, uuid


def test_a_source_whose_libvirtd_comes_back_late_deletes_nothing_beside_a_destination_that_has_died(
    make_world: MakeWorld,
) -> None:
    world, uuid = arrived_beside_a_dead_libvirtd(make_world)
    moves.pass_time(world, 30)
    world.lose("n2")
    wipe(world, "n2")
    moves.pass_time(world, 120)
    world.simulation.start_daemon("n1")
    moves.pass_time(world, 60)
    assert disks(world, uuid) == ["local-n1"]
    assert world.lost == []


def test_a_proof_that_has_become_old_is_given_anew(make_world: MakeWorld) -> None:
    """The destination is heard all the time, and its disks vanish long after it has shown them."""
    world, uuid = arrived_beside_a_dead_libvirtd(make_world)
    wipe(world, "n2")
    moves.pass_time(world, proof.GOOD_FOR_S + 30)
    world.simulation.start_daemon("n1")
    moves.pass_time(world, 60)
    assert disks(world, uuid) == ["local-n1"]
    assert "vda is missing" in newest(world, uuid).wait_reason


def reverted_beside_a_source_that_died(make_world: MakeWorld) -> tuple[World, str]:
    """n1 has shown its disks for a revert, and dies before n2, whose libvirtd was down, could stop the guest."""
    world, uuid = waiting_move(make_world)
    world.simulation.kill_daemon("n2")
    moves.pass_time(world, 30)
    revert(world, uuid)
    world.run(lambda: move(world, uuid).phase in ("start", "copy"))
    world.lose("n1")
    moves.pass_time(world, 120)
    world.simulation.start_daemon("n2")
    moves.pass_time(world, 120)
    assert (disks(world, uuid), world.simulation.running_on(uuid)) == (["local-n1", "local-n2"], ["n2"])
    assert "nothing on n2 is deleted before n1 has shown its disks" in move(world, uuid).wait_reason
    return world, uuid


def test_a_revert_whose_source_died_after_it_had_shown_its_disks_can_be_confirmed(make_world: MakeWorld) -> None:
    world, uuid = reverted_beside_a_source_that_died(make_world)
    confirm(world, uuid)
    world.run(lambda: not move(world, uuid).locks_instance)
    world.bring_back("n1")
    world.settle()
    assert (disks(world, uuid), record(world, uuid)[2]) == (["local-n2"], "n2")
    assert broken(world) == []


def test_a_revert_goes_on_when_its_source_is_back_and_has_shown_its_disks_anew(make_world: MakeWorld) -> None:
    world, uuid = reverted_beside_a_source_that_died(make_world)
    world.bring_back("n1")
    world.settle()
    assert (disks(world, uuid), record(world, uuid)[2]) == (["local-n1"], "n1")
    assert world.simulation.running_on(uuid) == ["n1"]
