"""One step at a time: a live migration's source begins the transfer once, watches it, and turns it back."""

import pytest

from migrator.protocol import PAUSE_REASON_USER, AbsentInputs, AttemptState, DomainState, Ensure, Role, ShutOffInputs
from tests.unit.compute.agent.two_hosts import MOVE, OTHER, SPEC, Killed, World, attempt, state


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
    assert world.simulation.running_on(SPEC.uuid) == ["b"]
    assert world.simulation.overlaps() == []
    assert world.simulation.losses == []


def test_journals_and_stamps_before_it_starts_and_starts_once(world: World) -> None:
    world.prepare()
    world.calls.clear()
    seen: list[bool] = []

    def watch(host: str, method: str, when: str) -> None:
        world._record(host, method, when)
        if method in ("stamp", "start_migration") and when == "before":
            seen.append(any(b"begun" in line for line in world.journals["a"]))

    world.simulation.fault = watch
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

    world.simulation.fault = kill
    with pytest.raises(Killed):
        world.transfer()
    world.simulation.fault = world._record
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
    assert world.simulation.running_on(SPEC.uuid) == ["b"]


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
    world.simulation.kill_daemon("b")
    fact = world.transfer()
    assert (state(fact), attempt(fact)) == (DomainState.RUNNING, AttemptState.ENDED)
    assert fact.attempt is not None
    assert fact.attempt.error is not None
    assert "client socket is closed" in fact.attempt.error


def test_the_sources_dead_daemon_makes_everything_unknown_then_settles(world: World) -> None:
    world.prepare()
    world.transfer()
    world.clock.now += 0.5
    world.simulation.kill_daemon("a")
    fact = world.transfer()
    assert fact.domain is None
    assert fact.problem is not None
    assert not fact.problem.final
    world.simulation.start_daemon("a")
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


def test_only_what_was_found_paused_moves_paused(world: World) -> None:
    world.prepare()
    world.simulation.set_state("a", SPEC.uuid, DomainState.PAUSED, PAUSE_REASON_USER, world.clock.now)
    refused = world.transfer()
    assert refused.problem is not None
    assert "only a guest that runs, or that was paused before" in refused.problem.message
    assert not world.simulation.transfers


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

    world.simulation.fault = kill
    try:
        world.transfer()
    except Killed:
        world.simulation.fault = world._record
        world.restart("a")
        return world, True
    world.simulation.fault = world._record
    return world, False


@pytest.mark.parametrize("back", [False, True], ids=["goes on", "turns back"])
@pytest.mark.parametrize("boundary", range(BOUNDARIES))
def test_killed_at_any_boundary_it_comes_to_rest_with_one_guest(boundary: int, back: bool) -> None:
    world, killed = _transfer_killed_at(boundary)
    assert killed
    begun_before = SPEC.uuid in world.simulation.transfers
    world.calls.clear()
    ensure = Ensure.NOT_MIGRATING if back else Ensure.MIGRATING
    for _ in range(200):
        fact = world.act("a", ensure, epoch=2) if back else world.transfer()
        if attempt(fact) is not AttemptState.RUNNING:
            break
        world.clock.now += 0.25
    assert attempt(fact) is AttemptState.ENDED or (back and attempt(fact) is AttemptState.NONE)
    assert world.calls.count("a.start_migration") + begun_before <= 1
    assert len(world.simulation.running_on(SPEC.uuid)) == 1
    assert world.simulation.overlaps() == []
    assert world.simulation.losses == []
    if back:
        assert world.simulation.running_on(SPEC.uuid) == ["a"]


def test_every_boundary_was_tried() -> None:
    _, killed = _transfer_killed_at(BOUNDARIES)
    assert not killed
