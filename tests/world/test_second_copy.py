"""A guest that an operator starts where a move does not have it run, or has still to clean up, is a second one."""

from migrator.scheduler.requests import requests
from tests.world import moves
from tests.world.clients import insist
from tests.world.conftest import MakeWorld
from tests.world.records import newest, open_alarms, record
from tests.world.test_lapsed_proofs import confirmed_without_its_source
from tests.world.test_proof import disks, move, revert
from tests.world.test_verify import waiting_move
from tests.world.world import CALLER, World


def start_by_hand(world: World, uuid: str, host: str) -> None:
    world.agents[host].driver.define_and_start(world.simulation.hosts[host].domains[uuid].spec, "virsh", 1)


def test_a_guest_that_is_started_by_hand_where_a_confirmed_move_cleans_up_is_an_alarm(make_world: MakeWorld) -> None:
    world, uuid = confirmed_without_its_source(make_world)
    world.bring_back("n1")
    start_by_hand(world, uuid, "n1")
    moves.pass_time(world, 60)
    assert sorted(world.simulation.running_on(uuid)) == ["n1", "n2"]
    assert ("copy-elsewhere", "n1", uuid) in open_alarms(world)
    world.agents["n1"].driver.destroy(uuid)
    world.settle()
    assert open_alarms(world) == []
    assert world.simulation.running_on(uuid) == ["n2"]


def test_a_guest_that_is_started_by_hand_on_the_source_while_a_revert_waits_is_an_alarm(make_world: MakeWorld) -> None:
    world, uuid = waiting_move(make_world)
    world.silence("n2")
    moves.pass_time(world, 30)
    revert(world, uuid)
    moves.pass_time(world, 60)
    assert "n2" in move(world, uuid).wait_reason
    start_by_hand(world, uuid, "n1")
    moves.pass_time(world, 60)
    assert ("copy-elsewhere", "n1", uuid) in open_alarms(world)
    assert f"migrator reconcile {uuid}" in move(world, uuid).wait_reason
    world.agents["n1"].driver.destroy(uuid)
    world.bring_back("n2")
    world.settle()
    assert (move(world, uuid).status, world.simulation.running_on(uuid)) == ("reverted", ["n1"])
    assert open_alarms(world) == []


def test_a_deletion_waits_for_a_guest_that_runs_where_a_confirmed_move_cleans_up(make_world: MakeWorld) -> None:
    world, uuid = confirmed_without_its_source(make_world)
    world.bring_back("n1")
    start_by_hand(world, uuid, "n1")
    insist(world, lambda: requests.delete_instance(world.db, CALLER, uuid))
    moves.pass_time(world, 120)
    assert not record(world, uuid).deleted
    assert "n1" in newest(world, uuid).wait_reason
    world.agents["n1"].driver.destroy(uuid)
    world.settle()
    assert record(world, uuid).deleted
    assert disks(world, uuid) == []
    assert open_alarms(world) == []
