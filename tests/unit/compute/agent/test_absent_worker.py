"""One step at a time: a host forgets a guest and its files, and what it leaves alone."""

from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.errors import DriverError
from migrator.protocol import PAUSE_REASON_USER, AbsentInputs, AttemptState, DomainState, Ensure, Role
from tests.unit.compute.agent.two_hosts import MOVE, OTHER, SPEC, World, attempt, state


def test_absent_without_kill_leaves_a_running_guest_and_its_files(world: World) -> None:
    fact = world.act("a", Ensure.ABSENT, AbsentInputs(delete_pools=("local",)), operation_id=MOVE)
    assert state(fact) is DomainState.RUNNING
    assert [disk.exists for disk in fact.disks] == [True]
    assert "a.remove_files" not in world.calls


def test_absent_with_kill_removes_everything(world: World) -> None:
    fact = world.act(
        "a", Ensure.ABSENT, AbsentInputs(delete_pools=("local",), destroy_running=True), operation_id=OTHER
    )
    assert state(fact) is DomainState.ABSENT
    assert [disk.exists for disk in fact.disks] == [False]


def test_absent_leaves_pools_alone_that_are_not_named(world: World) -> None:
    fact = world.act("a", Ensure.ABSENT, AbsentInputs(destroy_running=True), operation_id=OTHER)
    assert fact.disks == ()
    assert world.simulation.holders_of_newest(SPEC.uuid, "vda") == ["local-a"]


def test_absent_removes_the_receiving_end_of_its_own_operation_only(world: World) -> None:
    world.prepare()
    world.transfer()
    world.clock.now += 0.5
    inputs = AbsentInputs(delete_pools=("local",))
    other = world.act("b", Ensure.ABSENT, inputs, operation_id=OTHER, role=Role.DESTINATION)
    assert state(other) is DomainState.INCOMING
    own = world.act("b", Ensure.ABSENT, inputs, operation_id=MOVE, role=Role.DESTINATION, epoch=2)
    assert state(own) is DomainState.ABSENT
    assert [disk.exists for disk in own.disks] == [False]
    assert world.simulation.running_on(SPEC.uuid) == ["a"]


def test_absent_on_the_source_waits_for_the_end_of_the_transfer(world: World) -> None:
    world.prepare()
    world.transfer()
    fact = world.act("a", Ensure.ABSENT, AbsentInputs(delete_pools=("local",)), operation_id=MOVE)
    assert attempt(fact) is AttemptState.RUNNING
    assert [disk.exists for disk in fact.disks] == [True]


def test_a_source_that_pauses_for_the_switch_over_is_no_leftover_while_its_transfer_is_active(world: World) -> None:
    world.prepare()
    world.transfer()
    world.simulation.set_state("a", SPEC.uuid, DomainState.PAUSED, "migration", world.clock.now)
    fact = world.act("a", Ensure.ABSENT, AbsentInputs(delete_pools=("local",)), operation_id=MOVE)
    assert state(fact) is DomainState.PAUSED
    assert SPEC.uuid in world.simulation.transfers
    assert [disk.exists for disk in fact.disks] == [True]


def test_absent_takes_a_guest_that_rests_for_a_leftover_only_of_a_move_that_found_it_so(world: World) -> None:
    world.simulation.set_state("a", SPEC.uuid, DomainState.PAUSED, PAUSE_REASON_USER, world.clock.now)
    SimulatedHypervisor("a", world.simulation).stamp(SPEC.uuid, MOVE, 2)
    inputs = AbsentInputs(delete_pools=("local",))
    kept = world.act("a", Ensure.ABSENT, inputs, operation_id=MOVE, epoch=2)
    assert state(kept) is DomainState.PAUSED
    inputs = inputs.model_copy(update={"paused": True})
    assert state(world.act("a", Ensure.ABSENT, inputs, operation_id=OTHER)) is DomainState.PAUSED
    assert state(world.act("a", Ensure.ABSENT, inputs, operation_id=MOVE, epoch=2)) is DomainState.ABSENT


def test_files_that_cannot_be_seen_are_never_reported_gone(world: World) -> None:
    def hide(_host: str, method: str, when: str) -> None:
        if (method, when) == ("disks", "before"):
            raise DriverError("the filesystem does not answer")

    world.simulation.fault = hide
    fact = world.act(
        "a", Ensure.ABSENT, AbsentInputs(delete_pools=("local",), destroy_running=True), operation_id=OTHER
    )
    assert fact.domain is None
    assert fact.problem is not None
