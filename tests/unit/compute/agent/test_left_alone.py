"""What a worker leaves alone: another operation's transfer, and files that a domain could still be using."""

import pytest

from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.protocol import AbsentInputs, Ensure, Role
from tests.unit.compute.agent.two_hosts import OTHER, SPEC, World


@pytest.fixture
def world() -> World:
    world = World()
    world.boot()
    return world


def test_no_transfer_is_begun_beside_another_one(world: World) -> None:
    world.prepare()
    world.transfer()
    written = list(world.journals["a"])
    world.calls.clear()
    fact = world.transfer(epoch=2)
    assert fact.problem is not None
    assert (fact.problem.final, fact.problem.message) == (True, "another job is active on the domain")
    assert {"a.stamp", "a.start_migration"}.isdisjoint(world.calls)  # the stamp stays that of the one which runs
    assert not any(b"begun" in line for line in world.journals["a"][len(written) :])
    world.clock.now += 60
    assert world.simulation.running_on(SPEC.uuid) == ["b"]


def test_files_stay_while_their_domain_is_still_defined(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedHypervisor, "undefine", lambda *_: None)
    everything = AbsentInputs(delete_pools=("local",), destroy_running=True)
    fact = world.act("a", Ensure.ABSENT, everything, operation_id=OTHER)
    assert "a.remove_files" not in world.calls
    assert [disk.exists for disk in fact.disks] == [True]


@pytest.mark.parametrize("stopped", [False, True])
def test_a_guest_that_has_arrived_is_no_leftover_of_its_move_unless_the_instance_is_deleted(
    world: World, stopped: bool
) -> None:
    world.prepare()
    world.transfer()
    world.clock.now += 60
    if stopped:
        SimulatedHypervisor("b", world.simulation).destroy(SPEC.uuid)
    cleaning = {"role": Role.DESTINATION, "epoch": 2}
    fact = world.act("b", Ensure.ABSENT, AbsentInputs(delete_pools=("local",)), **cleaning)
    assert fact.problem is not None
    assert "has arrived here by this migration" in fact.problem.message
    assert [disk.exists for disk in fact.disks] == [True]
    everything = AbsentInputs(delete_pools=("local",), destroy_running=True, arrived=True)
    assert [disk.exists for disk in world.act("b", Ensure.ABSENT, everything, **cleaning).disks] == [False]


def test_disks_are_not_set_aside_under_a_guest_that_runs(world: World) -> None:
    fact = world.act("a", Ensure.SET_ASIDE, AbsentInputs(delete_pools=("local",)), operation_id=OTHER)
    assert fact.note == "the domain is running: left alone"
    assert fact.kept == ()
    assert world.simulation.running_on(SPEC.uuid) == ["a"]
    assert world.simulation.holders_of_newest(SPEC.uuid, "vda") == ["local-a"]
    assert "a.set_aside" not in world.calls
