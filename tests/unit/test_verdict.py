"""Every combination of what two hosts may say about one live migration, against DESIGN.md's table as literals."""

import itertools

import pytest

from migrator.protocol import PAUSED_BY_HAND, AttemptFact, AttemptState, DomainFact, DomainState, Fact, JobFact
from migrator.scheduler.verdict import Verdict, job_active, verdict

SIDES = (None, "unobserved", *(s.value for s in DomainState))
ATTEMPTS = (None, "none", "running", "ended")
JOBS = (None, False, True)

# Source, destination -> verdict without an active job, verdict with one. "silent" is no fact or no observed domain.
S, D, F, W, H, X, L, T = "source", "destination", "in_flight", "wait", "hold", "split", "lost", "torn"
COLUMNS = ("silent", "absent", "shut_off", "crashed", "incoming", "paused", "running", "saved")
QUIET = {
    "silent": (W, W, W, W, W, W, D, W),
    "running": (W, S, S, S, S, S, X, S),
    "paused": (W, S, S, S, H, H, D, S),
    "shut_off": (S, S, S, S, S, S, D, S),
    "saved": (S, S, S, S, S, S, D, S),
    "crashed": (S, S, S, S, S, S, D, S),
    "incoming": (S, S, S, S, S, S, D, S),
    "absent": (W, L, H, H, H, H, D, H),
    "migrated": (D, D, D, D, D, D, D, D),
    "postcopy": (W, T, T, T, H, H, D, T),
    "postcopy-failed": (W, T, T, T, H, H, D, T),
}
REASONED = {"migrated": "shut_off", "postcopy": "paused", "postcopy-failed": "paused"}
BUSY = QUIET | {
    "running": (W, F, F, F, F, F, F, F),
    "paused": (W, H, H, H, H, H, D, H),
    "shut_off": (W, F, F, F, F, F, D, F),
    "saved": (W, F, F, F, F, F, D, F),
    "crashed": (W, F, F, F, F, F, D, F),
    "incoming": (W, F, F, F, F, F, D, F),
    "postcopy": (W, H, H, H, H, H, D, H),  # of one that failed, libvirt keeps the job
}


def fact(state: str | None, attempt: str | None = None, job: bool | None = None) -> Fact | None:
    if state is None:
        return None
    reason = state if state in REASONED else None
    domain = None
    if state != "unobserved":
        domain = DomainFact(state=DomainState(REASONED.get(state, state)), reason=reason)
    return Fact(
        operation_id="o",
        epoch=1,
        phase="transfer",
        incarnation=1,
        sequence=1,
        domain=domain,
        attempt=AttemptFact(state=AttemptState(attempt)) if attempt else None,
        job=JobFact(active=job) if job is not None else None,
    )


@pytest.mark.parametrize(("attempt", "job"), list(itertools.product(ATTEMPTS, JOBS)))
def test_every_combination(attempt: str | None, job: bool | None) -> None:
    table = BUSY if job or attempt == "running" else QUIET
    wrong = []
    for source, destination in itertools.product((*SIDES, *REASONED), SIDES):
        row = "silent" if source in (None, "unobserved") else str(source)
        column = "silent" if destination in (None, "unobserved") else str(destination)
        wanted = Verdict(table[row][COLUMNS.index(column)])
        found = verdict(fact(source, attempt, job), fact(destination))
        if found is not wanted:
            wrong.append((source, destination, found.value, wanted.value))
    assert wrong == []


def test_the_tables_are_whole() -> None:
    rows = {"silent", *REASONED, *(s.value for s in DomainState)}
    assert QUIET.keys() == BUSY.keys() == rows
    assert all(len(row) == len(COLUMNS) for row in (*QUIET.values(), *BUSY.values()))


@pytest.mark.parametrize(("attempt", "job"), list(itertools.product(ATTEMPTS, JOBS)))
def test_a_job_is_active_until_it_was_seen_to_end(attempt: str | None, job: bool | None) -> None:
    found = fact("running", attempt, job)
    assert found is not None
    assert job_active(found) is (job is True or attempt == "running")


def test_what_the_destination_says_of_jobs_never_counts() -> None:
    for state, job in itertools.product(DomainState, JOBS):
        assert verdict(fact("running"), fact(state.value, "running", job)) == verdict(
            fact("running"), fact(state.value)
        )


def resting(attempt: str | None = None, job: bool | None = None) -> Fact:
    found = fact("paused", attempt, job)
    assert found is not None
    assert found.domain is not None
    return found.model_copy(update={"domain": found.domain.model_copy(update={"reason": PAUSED_BY_HAND})})


PAUSED = {  # of a guest that somebody had paused: the source rests, and the destination rests
    False: {"source rests": (W, S, S, S, S, S, X, S, D), "destination rests": (D, D, D, D, D, D, X, D, D)},
    True: {"source rests": (W, F, F, F, F, F, F, F, F), "destination rests": (D, D, D, D, D, D, F, D, F)},
}
ENDS = ("silent", "absent", "shut_off", "crashed", "incoming", "paused", "running", "saved", "rests")


@pytest.mark.parametrize("busy", [False, True])
def test_a_paused_guest_rests_where_it_is_whole(busy: bool) -> None:
    def other(state: str, *, source: bool) -> Fact | None:
        job = busy if source else None
        if state == "rests":
            return resting("ended", job)
        return fact(None if state == "silent" else state, "ended", job)

    mine = resting("ended", busy)
    found = [verdict(mine, other(state, source=False), paused=True) for state in ENDS]
    assert found == list(PAUSED[busy]["source rests"])
    found = [verdict(other(state, source=True), resting(), paused=True) for state in ENDS]
    assert found == list(PAUSED[busy]["destination rests"])


def test_only_of_a_guest_that_was_paused_before_a_paused_copy_is_whole() -> None:
    assert verdict(fact("paused"), resting()) is Verdict.HOLD
    assert verdict(fact("absent"), resting()) is Verdict.HOLD
    assert verdict(fact("absent"), resting(), paused=True) is Verdict.DESTINATION
    assert verdict(fact("absent"), fact("paused"), paused=True) is Verdict.HOLD
