"""One step at a time: what the worker does for each assignment of a live move, and what it says it saw."""

import errno

import pytest

from migrator.compute.agent.assignment_admission import HARMLESS
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.compute.simulated.state import Behaviour
from migrator.errors import DriverError, HypervisorUnavailable
from migrator.protocol import PAUSED_BY_HAND, AbsentInputs, AttemptState, DomainState, Ensure, Role, ShutOffInputs
from tests.unit.compute.agent.two_hosts import MOVE, OTHER, SPEC, Killed, World, attempt, state


@pytest.fixture
def world() -> World:
    world = World()
    world.boot()
    return world


# --- staleness ----------------------------------------------------------------------------------------------------


def test_refuses_an_older_epoch_even_after_a_restart(world: World) -> None:
    world.act("a", Ensure.OBSERVED, epoch=3)
    world.restart("a")
    world.calls.clear()
    fact = world.act("a", Ensure.OBSERVED, epoch=2)
    assert fact.problem is not None
    assert (fact.problem.code, fact.problem.final, fact.domain) == ("stale_epoch", False, None)
    assert "knows epoch 3" in fact.problem.message
    assert world.calls == []


def test_acts_on_a_generation_that_went_back_for_a_database_may_lose_its_last_commits(world: World) -> None:
    world.act("a", Ensure.OBSERVED, generation=5)
    assert state(world.act("a", Ensure.OBSERVED, generation=4)) is DomainState.RUNNING


@pytest.mark.parametrize("ensure", [e for e in Ensure if e not in HARMLESS])
@pytest.mark.parametrize("restarted", [False, True])
def test_refuses_an_operation_older_than_the_newest_it_has_served(
    world: World, ensure: Ensure, restarted: bool
) -> None:
    assert world.act("a", Ensure.NOT_MIGRATING, operation_id=OTHER, serial=8).problem is None
    if restarted:
        world.restart("a")
    world.calls.clear()
    fact = world.act("a", ensure, serial=7)
    assert fact.problem is not None
    assert (fact.problem.code, fact.problem.final, fact.domain, fact.served) == ("operation_superseded", False, None, 8)
    assert world.calls == []
    assert state(world.act("a", Ensure.NOT_MIGRATING, serial=9)) is DomainState.RUNNING


@pytest.mark.parametrize("ensure", sorted(HARMLESS))
def test_an_operation_that_was_only_asked_for_words_supersedes_none(world: World, ensure: Ensure) -> None:
    world.act("a", ensure, operation_id=OTHER, serial=8)
    assert world.act("a", Ensure.NOT_MIGRATING, serial=7).problem is None


def test_facts_are_numbered_within_an_incarnation(world: World) -> None:
    first, second = world.act("a", Ensure.OBSERVED), world.act("a", Ensure.OBSERVED)
    assert (second.incarnation, second.sequence) == (first.incarnation, first.sequence + 1)
    world.restart("a")
    assert world.act("a", Ensure.OBSERVED).incarnation == first.incarnation + 1


# --- the transfer ---------------------------------------------------------------------------------------------------


def test_a_transfer_moves_the_guest_and_its_disk(world: World) -> None:
    world.prepare()
    assert attempt(world.transfer()) is AttemptState.RUNNING
    world.clock.now += 1
    watching = world.act("b", Ensure.OBSERVED, role=Role.DESTINATION)
    assert state(watching) is DomainState.INCOMING
    world.clock.now += 60
    gone = world.transfer()
    assert (state(gone), attempt(gone)) == (DomainState.ABSENT, AttemptState.ENDED)
    arrived = world.act("b", Ensure.OBSERVED, role=Role.DESTINATION)
    assert state(arrived) is DomainState.RUNNING
    assert arrived.job is not None
    assert arrived.job.downtime_ms is not None
    assert arrived.job.downtime_ms > 0
    assert world.fabric.running_on(SPEC.uuid) == ["b"]
    assert world.fabric.overlaps() == []
    assert world.fabric.losses == []


def test_journals_and_stamps_before_it_starts_and_starts_once(world: World) -> None:
    world.prepare()
    world.calls.clear()
    seen: list[bool] = []

    def watch(host: str, method: str, when: str) -> None:
        world._record(host, method, when)
        if method in ("stamp", "start_migration") and when == "before":
            seen.append(any(b"begun" in line for line in world.journals["a"]))

    world.fabric.fault = watch
    world.transfer()
    world.transfer()
    changes = [call for call in world.calls if call in ("a.stamp", "a.start_migration")]
    assert changes == ["a.stamp", "a.start_migration"]
    assert seen == [True, True]


@pytest.mark.parametrize(("method", "when"), [("stamp", "before"), ("stamp", "after"), ("start_migration", "before")])
def test_an_agent_killed_before_the_start_never_starts_and_settles(world: World, method: str, when: str) -> None:
    world.prepare()

    def kill(_host: str, name: str, at: str) -> None:
        if (name, at) == (method, when):
            raise Killed

    world.fabric.fault = kill
    with pytest.raises(Killed):
        world.transfer()
    world.fabric.fault = world._record
    world.restart("a")
    world.calls.clear()
    assert attempt(world.transfer()) is AttemptState.RUNNING  # it cannot know yet
    world.clock.now += 1.9
    assert attempt(world.transfer()) is AttemptState.RUNNING
    world.clock.now += 0.2
    assert attempt(world.transfer()) is AttemptState.ENDED
    assert "a.start_migration" not in world.calls


def test_an_agent_killed_after_the_start_attaches_again(world: World) -> None:
    world.prepare()
    world.transfer()
    world.clock.now += 1
    world.restart("a")
    world.calls.clear()
    fact = world.transfer()
    assert attempt(fact) is AttemptState.RUNNING
    assert fact.job is not None
    assert fact.job.active
    world.clock.now += 60
    assert attempt(world.transfer()) is AttemptState.ENDED
    assert "a.start_migration" not in world.calls
    assert world.fabric.running_on(SPEC.uuid) == ["b"]


def test_a_lost_journal_is_made_good_by_the_stamp(world: World) -> None:
    world.prepare()
    world.transfer()
    world.journals["a"].clear()
    world.restart("a")
    world.calls.clear()
    assert attempt(world.transfer()) is AttemptState.RUNNING
    assert "a.start_migration" not in world.calls
    assert any(b"begun" in line for line in world.journals["a"])


@pytest.mark.parametrize("look", [Ensure.MIGRATING, Ensure.NOT_MIGRATING, Ensure.ABSENT])
def test_the_job_is_looked_at_before_the_domain(world: World, look: Ensure) -> None:
    """A transfer that ends between both would read as one that never moved its guest, the other way round."""
    world.prepare()
    world.transfer()
    world.calls.clear()
    if look is Ensure.MIGRATING:
        world.transfer()
    else:
        world.act("a", look, AbsentInputs() if look is Ensure.ABSENT else None, operation_id=MOVE)
    seen = [call.removeprefix("a.") for call in world.calls]
    last_job = len(seen) - 1 - seen[::-1].index("job")
    assert "domain" in seen[last_job:]


def test_a_failed_transfer_ends_with_the_hypervisors_words(world: World) -> None:
    world.prepare()
    world.transfer()
    world.clock.now += 0.5
    world.fabric.kill_daemon("b")
    fact = world.transfer()
    assert (state(fact), attempt(fact)) == (DomainState.RUNNING, AttemptState.ENDED)
    assert fact.attempt is not None
    assert fact.attempt.error is not None
    assert "client socket is closed" in fact.attempt.error


def test_the_sources_dead_daemon_makes_everything_unknown_then_settles(world: World) -> None:
    world.prepare()
    world.transfer()
    world.clock.now += 0.5
    world.fabric.kill_daemon("a")
    fact = world.transfer()
    assert fact.domain is None
    assert fact.problem is not None
    assert not fact.problem.final
    world.fabric.start_daemon("a")
    assert attempt(world.transfer()) is AttemptState.RUNNING
    world.clock.now += 2.1
    fact = world.transfer()
    assert (state(fact), attempt(fact)) == (DomainState.RUNNING, AttemptState.ENDED)


def test_a_source_that_does_not_run_begins_nothing(world: World) -> None:
    world.act("a", Ensure.SHUT_OFF, ShutOffInputs(soft=False), kind="stop", operation_id=OTHER)
    fact = world.transfer()
    assert attempt(fact) is AttemptState.NONE
    assert fact.problem is not None
    assert fact.problem.final


# --- turning back ---------------------------------------------------------------------------------------------------


def test_not_migrating_aborts_and_says_when_it_is_over(world: World) -> None:
    world.prepare()
    world.transfer()
    world.clock.now += 1
    fact = world.act("a", Ensure.NOT_MIGRATING, epoch=2)
    assert (state(fact), attempt(fact)) == (DomainState.RUNNING, AttemptState.ENDED)
    assert (problem := world.transfer(epoch=1).problem) is not None
    assert problem.code == "stale_epoch"
    assert state(world.act("b", Ensure.OBSERVED, role=Role.DESTINATION)) is DomainState.ABSENT


def test_not_migrating_after_a_restart_waits_until_it_is_sure(world: World) -> None:
    world.prepare()
    world.transfer()
    world.restart("a")
    assert attempt(world.act("a", Ensure.NOT_MIGRATING, epoch=2)) is AttemptState.RUNNING
    world.clock.now += 2.1
    assert attempt(world.act("a", Ensure.NOT_MIGRATING, epoch=2)) is AttemptState.ENDED


def test_not_migrating_leaves_a_job_alone_that_is_not_its_own(world: World) -> None:
    world.prepare()
    world.transfer()
    fact = world.act("a", Ensure.NOT_MIGRATING, operation_id=OTHER)
    assert attempt(fact) is AttemptState.RUNNING
    assert "a.abort_job" not in world.calls


def test_not_migrating_without_a_transfer_is_at_once_true(world: World) -> None:
    assert attempt(world.act("a", Ensure.NOT_MIGRATING, operation_id=MOVE, epoch=2)) is AttemptState.NONE


# --- absent ---------------------------------------------------------------------------------------------------------


def test_absent_without_kill_leaves_a_running_guest_and_its_files(world: World) -> None:
    fact = world.act("a", Ensure.ABSENT, AbsentInputs(delete_pools=("local",)), operation_id=MOVE)
    assert state(fact) is DomainState.RUNNING
    assert [disk.exists for disk in fact.disks] == [True]
    assert "a.remove_files" not in world.calls


def test_absent_with_kill_removes_everything(world: World) -> None:
    fact = world.act("a", Ensure.ABSENT, AbsentInputs(delete_pools=("local",), kill=True), operation_id=OTHER)
    assert state(fact) is DomainState.ABSENT
    assert [disk.exists for disk in fact.disks] == [False]


def test_absent_leaves_pools_alone_that_are_not_named(world: World) -> None:
    fact = world.act("a", Ensure.ABSENT, AbsentInputs(kill=True), operation_id=OTHER)
    assert fact.disks == ()
    assert world.fabric.holders_of_newest(SPEC.uuid, "vda") == ["local-a"]


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
    assert world.fabric.running_on(SPEC.uuid) == ["a"]


def test_absent_on_the_source_waits_for_the_end_of_the_transfer(world: World) -> None:
    world.prepare()
    world.transfer()
    fact = world.act("a", Ensure.ABSENT, AbsentInputs(delete_pools=("local",)), operation_id=MOVE)
    assert attempt(fact) is AttemptState.RUNNING
    assert [disk.exists for disk in fact.disks] == [True]


def test_a_source_that_pauses_for_the_switch_over_is_no_leftover_while_its_transfer_is_active(world: World) -> None:
    world.prepare()
    world.transfer()
    world.fabric.set_state("a", SPEC.uuid, DomainState.PAUSED, "migration", world.clock.now)
    fact = world.act("a", Ensure.ABSENT, AbsentInputs(delete_pools=("local",)), operation_id=MOVE)
    assert state(fact) is DomainState.PAUSED
    assert SPEC.uuid in world.fabric.transfers
    assert [disk.exists for disk in fact.disks] == [True]


def test_absent_takes_a_guest_that_rests_for_a_leftover_only_of_a_move_that_found_it_so(world: World) -> None:
    world.fabric.set_state("a", SPEC.uuid, DomainState.PAUSED, PAUSED_BY_HAND, world.clock.now)
    SimulatedHypervisor("a", world.fabric).stamp(SPEC.uuid, MOVE, 2)
    inputs = AbsentInputs(delete_pools=("local",))
    kept = world.act("a", Ensure.ABSENT, inputs, operation_id=MOVE, epoch=2)
    assert state(kept) is DomainState.PAUSED
    inputs = inputs.model_copy(update={"paused": True})
    assert state(world.act("a", Ensure.ABSENT, inputs, operation_id=OTHER)) is DomainState.PAUSED
    assert state(world.act("a", Ensure.ABSENT, inputs, operation_id=MOVE, epoch=2)) is DomainState.ABSENT


def test_only_what_was_found_paused_moves_paused(world: World) -> None:
    world.prepare()
    world.fabric.set_state("a", SPEC.uuid, DomainState.PAUSED, PAUSED_BY_HAND, world.clock.now)
    refused = world.transfer()
    assert refused.problem is not None
    assert "only a guest that runs, or that was paused before" in refused.problem.message
    assert not world.fabric.transfers


def test_what_stopped_meanwhile_is_neither_paused_nor_started(world: World) -> None:
    SimulatedHypervisor("a", world.fabric).destroy(SPEC.uuid)
    for ensure in (Ensure.PAUSED, Ensure.UNPAUSED):
        fact = world.act("a", ensure, operation_id=OTHER)
        assert fact.problem is not None
        assert fact.problem.final
        assert state(fact) is DomainState.SHUT_OFF


def test_half_of_a_move_is_not_unpaused(world: World) -> None:
    for reason in ("migration", "postcopy", "postcopy-failed", "starting-up", None):
        world.fabric.set_state("a", SPEC.uuid, DomainState.PAUSED, reason, world.clock.now)
        fact = world.act("a", Ensure.UNPAUSED, operation_id=OTHER)
        assert fact.problem is not None
        assert fact.problem.final
        assert state(fact) is DomainState.PAUSED
    assert "a.unpause" not in world.calls  # the hypervisor may not know what paused it


def test_files_that_cannot_be_seen_are_never_reported_gone(world: World) -> None:
    def hide(_host: str, method: str, when: str) -> None:
        if (method, when) == ("disks", "before"):
            raise DriverError("the filesystem does not answer")

    world.fabric.fault = hide
    fact = world.act("a", Ensure.ABSENT, AbsentInputs(delete_pools=("local",), kill=True), operation_id=OTHER)
    assert fact.domain is None
    assert fact.problem is not None


# --- power ----------------------------------------------------------------------------------------------------------


def test_shut_off_asks_again_until_the_guest_hears(world: World) -> None:
    world.fabric.behaviours[SPEC.uuid] = Behaviour(boot_s=5)
    for _ in range(8):
        world.act("a", Ensure.SHUT_OFF, ShutOffInputs(timeout_s=60), kind="stop", operation_id=OTHER)
        world.clock.now += 1
    fact = world.act("a", Ensure.SHUT_OFF, ShutOffInputs(timeout_s=60), kind="stop", operation_id=OTHER)
    assert state(fact) is DomainState.SHUT_OFF
    assert "a.destroy" not in world.calls
    assert world.calls.count("a.shut_down") == 3


def test_shut_off_cuts_the_power_when_the_time_is_up(world: World) -> None:
    world.fabric.behaviours[SPEC.uuid] = Behaviour(ignores_shutdown=True)
    inputs = ShutOffInputs(timeout_s=10)
    assert state(world.act("a", Ensure.SHUT_OFF, inputs, operation_id=OTHER)) is DomainState.RUNNING
    world.clock.now += 10
    fact = world.act("a", Ensure.SHUT_OFF, inputs, operation_id=OTHER)
    assert state(fact) is DomainState.SHUT_OFF
    assert fact.note is not None


def test_a_missing_disk_is_never_made_anew_for_a_start(world: World) -> None:
    world.act("a", Ensure.SHUT_OFF, ShutOffInputs(soft=False), operation_id=OTHER)
    world.fabric.storages["local-a"].disks.clear()
    fact = world.act("a", Ensure.RUNNING, kind="start", operation_id="op-start")
    assert state(fact) is DomainState.SHUT_OFF
    assert fact.problem is not None
    assert fact.problem.final
    assert fact.problem.code == "storage_error"
    assert world.fabric.storages["local-a"].disks == {}


def test_an_unreachable_hypervisor_is_not_final(world: World) -> None:
    def down(_host: str, _method: str, _when: str) -> None:
        raise HypervisorUnavailable("no answer")

    world.fabric.fault = down
    fact = world.act("a", Ensure.RUNNING, kind="start", operation_id="op-start")
    assert fact.domain is None
    assert fact.problem is not None
    assert not fact.problem.final


# --- killed at every boundary ---------------------------------------------------------------------------------------


BOUNDARIES = 12  # before and after each call that beginning a transfer makes


def _transfer_killed_at(boundary: int) -> tuple[World, bool]:
    """A world whose source agent died at the n-th call boundary of beginning a transfer; False: it got through."""
    world = World()
    world.boot()
    world.prepare()
    left = [boundary]

    def kill(_host: str, _method: str, _when: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    world.fabric.fault = kill
    try:
        world.transfer()
    except Killed:
        world.fabric.fault = world._record
        world.restart("a")
        return world, True
    world.fabric.fault = world._record
    return world, False


@pytest.mark.parametrize("back", [False, True], ids=["goes on", "turns back"])
@pytest.mark.parametrize("boundary", range(BOUNDARIES))
def test_killed_at_any_boundary_it_comes_to_rest_with_one_guest(boundary: int, back: bool) -> None:
    world, killed = _transfer_killed_at(boundary)
    assert killed
    begun_before = SPEC.uuid in world.fabric.transfers
    world.calls.clear()
    ensure = Ensure.NOT_MIGRATING if back else Ensure.MIGRATING
    for _ in range(200):
        fact = world.act("a", ensure, epoch=2) if back else world.transfer()
        if attempt(fact) is not AttemptState.RUNNING:
            break
        world.clock.now += 0.25
    assert attempt(fact) is AttemptState.ENDED or (back and attempt(fact) is AttemptState.NONE)
    assert world.calls.count("a.start_migration") + begun_before <= 1
    assert len(world.fabric.running_on(SPEC.uuid)) == 1
    assert world.fabric.overlaps() == []
    assert world.fabric.losses == []
    if back:
        assert world.fabric.running_on(SPEC.uuid) == ["a"]


def test_every_boundary_was_tried() -> None:
    _, killed = _transfer_killed_at(BOUNDARIES)
    assert not killed


def test_a_disk_that_fails_where_nobody_expected_it_is_a_reason_and_not_silence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOTCONN, "the mount is gone")

    monkeypatch.setattr(SimulatedHypervisor, "disks", fail)
    fact = world.act("a", Ensure.RUNNING)
    assert fact.problem is not None
    assert (fact.problem.code, fact.domain) == ("storage_error", None)
    assert "the mount is gone" in fact.problem.message
