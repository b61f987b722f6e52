"""One step at a time: putting an instance down as it is wanted, undoing what was done for a cold move, pausing."""

import pytest

from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.errors import DriverError, StorageError
from migrator.protocol import (
    MEMORY,
    AbsentInputs,
    DomainState,
    Ensure,
    Message,
    PoweredInputs,
    Role,
    ShutOffInputs,
    TargetPowerState,
)
from tests.unit.compute.agent.cold_steps import NOW, copied, copy, offer, power, stop, sums, suspend
from tests.unit.compute.agent.two_hosts import MOVE, OTHER, SPEC, Killed, World, state

# --- powered --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "comes"),
    [(TargetPowerState.RUNNING, DomainState.RUNNING), (TargetPowerState.SHUT_OFF, DomainState.SHUT_OFF)],
)
def test_an_instance_is_put_down_as_it_is_wanted_and_its_disk_grows(
    world: World, wanted: TargetPowerState, comes: DomainState
) -> None:
    stop(world)
    copied(world, "vda")
    larger = SPEC.model_copy(update={"disks": (SPEC.disks[0].model_copy(update={"size_gb": 3}),)})
    inputs = PoweredInputs(power=wanted, machine="pc-i440fx-7.2")
    fact = world.act("b", Ensure.POWERED, inputs, instance=larger, role=Role.DESTINATION)
    assert state(fact) is comes
    assert fact.problem is None
    assert world.simulation.storages["local-b"].disks[SPEC.uuid, "vda"].virtual_bytes == 3 * 1024**3
    assert world.simulation.losses == []


def test_a_suspended_instance_goes_on_where_it_was_moved_to(world: World) -> None:
    suspend(world)
    assert set(sums(copied(world, "vda", MEMORY))) == {"vda", MEMORY}
    assert state(power(world, "b", TargetPowerState.RUNNING)) is DomainState.RUNNING
    assert world.simulation.executions[-1].host == "b"
    assert world.simulation.losses == []
    assert state(power(world, "a", TargetPowerState.SAVED)) is DomainState.SAVED


@pytest.mark.parametrize(
    ("method", "when"), [("define", "after"), ("restore_memory", "before"), ("restore_memory", "after")]
)
def test_killed_around_the_resume_it_runs_once_and_with_its_memory(world: World, method: str, when: str) -> None:
    suspend(world)
    copied(world, "vda", MEMORY)

    def kill(_host: str, name: str, at: str) -> None:
        if (name, at) == (method, when):
            raise Killed

    world.simulation.fault = kill
    with pytest.raises(Killed):
        power(world, "b", TargetPowerState.RUNNING)
    world.simulation.fault = world._record
    world.restart("b")
    assert state(power(world, "b", TargetPowerState.RUNNING)) is DomainState.RUNNING
    assert world.simulation.losses == []
    assert world.simulation.running_on(SPEC.uuid) == ["b"]


def test_a_memory_that_was_used_up_without_the_guest_running_is_noted(world: World) -> None:
    suspend(world)
    copied(world, "vda", MEMORY)
    power(world, "b", TargetPowerState.RUNNING)
    world.simulation.power_off("b")
    world.simulation.power_on("b")
    fact = power(world, "b", TargetPowerState.RUNNING)
    assert state(fact) is DomainState.RUNNING
    assert fact.note is not None
    assert "used up" in fact.note


def test_a_running_guest_is_not_put_down(world: World) -> None:
    fact = power(world, "a", TargetPowerState.SHUT_OFF)
    assert state(fact) is DomainState.RUNNING
    assert fact.problem is not None
    assert fact.problem.final


@pytest.mark.parametrize("wanted", TargetPowerState)
def test_what_has_a_process_is_neither_defined_anew_nor_are_its_disks_touched(
    world: World, wanted: TargetPowerState
) -> None:
    world.simulation.set_state("a", SPEC.uuid, DomainState.PAUSED, "migration", world.clock.now)
    world.calls.clear()
    fact = power(world, "a", wanted)
    assert state(fact) is DomainState.PAUSED
    assert fact.problem is not None
    assert fact.problem.final
    assert {"a.define", "a.define_and_start", "a.grow_disks", "a.restore_memory"}.isdisjoint(world.calls)


@pytest.mark.parametrize("wanted", [TargetPowerState.RUNNING, TargetPowerState.SHUT_OFF])
def test_the_process_that_a_crash_left_ends_before_the_instance_is_put_down(
    world: World, wanted: TargetPowerState
) -> None:
    world.simulation.set_state("a", SPEC.uuid, DomainState.CRASHED, "panicked", world.clock.now)
    world.calls.clear()
    assert power(world, "a", wanted).problem is None
    assert world.calls.index("a.destroy") < world.calls.index("a.define")


@pytest.mark.parametrize("wanted", [TargetPowerState.RUNNING, TargetPowerState.SHUT_OFF, TargetPowerState.SAVED])
def test_without_its_disk_nothing_is_defined(world: World, wanted: TargetPowerState) -> None:
    fact = power(world, "b", wanted)
    assert state(fact) is DomainState.ABSENT
    assert fact.problem is not None
    assert fact.problem.code == "storage_error"
    assert "b.define" not in world.calls


def test_a_start_refuses_a_suspended_instance(world: World) -> None:
    suspend(world)
    fact = world.act("a", Ensure.RUNNING, kind="start", operation_id="op-start")
    assert state(fact) is DomainState.SAVED
    assert fact.problem is not None
    assert "suspended" in fact.problem.message


def test_a_memory_saved_for_an_agent_that_was_killed_is_brought_to_the_disk_by_the_next(world: World) -> None:
    suspend(world)
    world.restart("a")
    world.calls.clear()
    suspend(world)
    assert "a.save_memory" in world.calls


@pytest.mark.parametrize("ensure", [Ensure.SHUT_OFF, Ensure.NOT_RUNNING])
def test_memory_of_an_earlier_life_is_not_the_stopped_guest_s(world: World, ensure: Ensure) -> None:
    """Started by an operator, it ran on from its disks: its old memory would corrupt them."""
    suspend(world)
    SimulatedHypervisor("a", world.simulation).define_and_start(SPEC, "by-hand", 1)
    assert state(world.act("a", ensure, NOW)) is DomainState.SHUT_OFF


@pytest.mark.parametrize("ensure", [Ensure.RUNNING, Ensure.POWERED])
def test_memory_of_an_earlier_life_goes_when_the_guest_is_found_running(world: World, ensure: Ensure) -> None:
    suspend(world)
    SimulatedHypervisor("a", world.simulation).define_and_start(SPEC, "by-hand", 1)
    inputs = PoweredInputs(power=TargetPowerState.RUNNING) if ensure is Ensure.POWERED else None
    world.act("a", ensure, inputs, kind="start", operation_id="op-start")
    SimulatedHypervisor("a", world.simulation).destroy(SPEC.uuid)
    assert state(world.act("a", Ensure.OBSERVED)) is DomainState.SHUT_OFF


@pytest.mark.parametrize(
    ("ensure", "inputs"),
    [
        (Ensure.NOT_RUNNING, NOW),
        (Ensure.SHUT_OFF, NOW),
        (Ensure.ABSENT, AbsentInputs(delete_pools=("local",), destroy_running=True)),
    ],
)
def test_a_guest_is_ended_although_the_storage_fails(
    world: World, monkeypatch: pytest.MonkeyPatch, ensure: Ensure, inputs: Message
) -> None:
    """It was evacuated, perhaps, and its host is back without the mount: it must not run beside the other one."""

    def fail(*_: object) -> None:
        raise StorageError("the mount is gone")

    for method in ("stop_copy", "withdraw", "delete_saved_memory", "disks", "remove_files"):
        monkeypatch.setattr(SimulatedHypervisor, method, fail)
    fact = world.act("a", ensure, inputs)
    assert fact.problem is not None
    assert world.simulation.running_on(SPEC.uuid) == []


# --- the way back ---------------------------------------------------------------------------------------------------


def test_not_running_is_true_without_a_domain_and_ends_one_that_runs(world: World) -> None:
    assert state(world.act("b", Ensure.NOT_RUNNING, NOW)) is DomainState.ABSENT
    assert state(world.act("a", Ensure.NOT_RUNNING, NOW)) is DomainState.SHUT_OFF


def test_not_running_asks_before_it_cuts(world: World) -> None:
    soft = ShutOffInputs(soft=True, timeout_s=60)
    assert state(world.act("a", Ensure.NOT_RUNNING, soft)) is DomainState.RUNNING
    world.clock.now += 1
    assert state(world.act("a", Ensure.NOT_RUNNING, soft)) is DomainState.SHUT_OFF
    assert "a.destroy" not in world.calls


def test_not_running_cuts_what_cannot_hear(world: World) -> None:
    world.prepare()
    world.transfer()
    world.clock.now += 0.5
    assert state(world.act("b", Ensure.OBSERVED, role=Role.DESTINATION)) is DomainState.INCOMING
    fact = world.act("b", Ensure.NOT_RUNNING, ShutOffInputs(soft=True, timeout_s=60), operation_id=OTHER)
    assert state(fact) is DomainState.ABSENT
    assert world.simulation.running_on(SPEC.uuid) == ["a"]


def test_a_stopped_guest_has_no_memory_to_save(world: World) -> None:
    stop(world)
    fact = world.act("a", Ensure.SUSPENDED, kind="suspend", operation_id=OTHER)
    assert fact.problem is not None
    assert fact.problem.final
    back = world.act("b", Ensure.SUSPENDED, forward=False)  # nothing ran there yet
    assert back.problem is None


def test_a_host_that_is_to_run_nothing_copies_nothing_either(world: World) -> None:
    stop(world)
    offer(world, "vda")
    copy(world, "vda")
    assert world.simulation.copies
    world.act("b", Ensure.NOT_RUNNING, NOW, role=Role.DESTINATION, epoch=2)
    assert world.simulation.copies == {}


def test_absent_ends_a_copy_first(world: World) -> None:
    stop(world)
    offer(world, "vda")
    copy(world, "vda")
    fact = world.act("b", Ensure.ABSENT, AbsentInputs(delete_pools=("local",)), role=Role.DESTINATION, epoch=2)
    assert world.simulation.copies == {}
    assert state(fact) is DomainState.ABSENT
    world.clock.now += 60
    assert world.simulation.holders_of_newest(SPEC.uuid, "vda") == ["local-a"]


def test_a_copy_that_does_not_end_keeps_its_host_from_being_called_clean(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrator.compute.simulated.driver.SimulatedHypervisor.stop_copy", lambda *_: False)
    fact = world.act("b", Ensure.ABSENT, AbsentInputs(delete_pools=("local",)), role=Role.DESTINATION)
    assert fact.domain is None
    assert "b.remove_files" not in world.calls


def test_absent_keeps_storage_where_the_instance_lives_on(world: World) -> None:
    stop(world)
    inputs = AbsentInputs(delete_pools=("local",), preserve_storage_ids=("local-a",))
    fact = world.act("a", Ensure.ABSENT, inputs)
    assert state(fact) is DomainState.ABSENT
    assert fact.disks == ()  # what is kept is no leftover
    assert world.simulation.holders_of_newest(SPEC.uuid, "vda") == ["local-a"]


def test_withdrawn_is_said_only_when_it_was_done(world: World) -> None:
    stop(world)
    offer(world, "vda")
    assert world.simulation.hosts["a"].offers
    assert world.act("a", Ensure.WITHDRAWN, operation_id=MOVE).problem is None
    assert world.simulation.hosts["a"].offers == {}

    def refuse(_host: str, method: str, when: str) -> None:
        if (method, when) == ("withdraw", "before"):
            raise DriverError("the pool is busy")

    world.simulation.fault = refuse
    assert world.act("a", Ensure.WITHDRAWN, operation_id=MOVE).problem is not None


# --- paused ---------------------------------------------------------------------------------------------------------


def test_what_stopped_meanwhile_is_neither_paused_nor_started(world: World) -> None:
    SimulatedHypervisor("a", world.simulation).destroy(SPEC.uuid)
    for ensure in (Ensure.PAUSED, Ensure.UNPAUSED):
        fact = world.act("a", ensure, operation_id=OTHER)
        assert fact.problem is not None
        assert fact.problem.final
        assert state(fact) is DomainState.SHUT_OFF


def test_half_of_a_move_is_not_unpaused(world: World) -> None:
    for reason in ("migration", "postcopy", "postcopy-failed", "starting-up", None):
        world.simulation.set_state("a", SPEC.uuid, DomainState.PAUSED, reason, world.clock.now)
        fact = world.act("a", Ensure.UNPAUSED, operation_id=OTHER)
        assert fact.problem is not None
        assert fact.problem.final
        assert state(fact) is DomainState.PAUSED
    assert "a.unpause" not in world.calls  # the hypervisor may not know what paused it
