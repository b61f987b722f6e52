"""What an agent tells by the second, and what it only looks at often."""

import pytest

from migrator.compute.agent import poll_interval
from migrator.protocol import AttemptFact, AttemptState, DomainFact, DomainState, Ensure, Fact, JobFact, Role
from tests.unit.compute.agent.two_hosts import assignment

RUNNING = AttemptFact(state=AttemptState.RUNNING)


def fact(state: DomainState, reason: str, job: JobFact | None = None, attempt: AttemptFact | None = None) -> Fact:
    domain = DomainFact(state=state, reason=reason)
    parts = {"operation_id": "o", "epoch": 1, "phase": "transfer", "incarnation": 1, "sequence": 1}
    return Fact.model_validate(parts | {"domain": domain, "job": job, "attempt": attempt})


@pytest.mark.parametrize(("state", "reason"), [(DomainState.RUNNING, "booted"), (DomainState.PAUSED, "postcopy")])
def test_a_transfer_under_way_is_told_by_the_second(state: DomainState, reason: str) -> None:
    seen = fact(state, reason, JobFact(active=True), RUNNING)
    assert poll_interval.progresses(seen)
    assert poll_interval.in_flight(assignment(Ensure.MIGRATING), seen)


def test_a_post_copy_that_broke_off_is_told_once_though_its_job_stays() -> None:
    """Told by the second it would look new for ever, and no alarm would be raised."""
    seen = fact(DomainState.PAUSED, "postcopy-failed", JobFact(active=True), RUNNING)
    assert not poll_interval.progresses(seen)
    assert not poll_interval.in_flight(assignment(Ensure.ABSENT), seen)
    assert poll_interval.pause_s(assignment(Ensure.ABSENT), seen, 20) > poll_interval.FAST_S


def test_a_guest_that_is_awaited_is_looked_at_often_and_told_when_it_comes() -> None:
    wanted = assignment(Ensure.OBSERVED, role=Role.DESTINATION).model_copy(update={"phase": "transfer"})
    seen = fact(DomainState.ABSENT, "")
    assert poll_interval.in_flight(wanted, seen)
    assert not poll_interval.progresses(seen)
