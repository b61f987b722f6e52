"""A guest that somebody starts where a move has still to clean up runs beside the instance, and is an alarm."""

from tests.world import moves
from tests.world.conftest import MakeWorld
from tests.world.records import open_alarms
from tests.world.test_lapsed_proofs import confirmed_without_its_source


def test_a_guest_that_is_started_by_hand_where_a_confirmed_move_cleans_up_is_an_alarm(make_world: MakeWorld) -> None:
    world, uuid = confirmed_without_its_source(make_world)
    spec = world.fabric.hosts["n1"].domains[uuid].spec
    world.bring_back("n1")
    world.agents["n1"].driver.define_and_start(spec, "virsh", 1)
    moves.pass_time(world, 60)
    assert sorted(world.fabric.running_on(uuid)) == ["n1", "n2"]
    assert ("copy-elsewhere", "n1", uuid) in open_alarms(world)
    world.agents["n1"].driver.destroy(uuid)
    world.settle()
    assert open_alarms(world) == []
    assert world.fabric.running_on(uuid) == ["n2"]
