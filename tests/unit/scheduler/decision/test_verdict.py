"""Every combination of what two hosts may say about one live migration, against DESIGN.md's table as literals."""

import itertools

import pytest

from migrator.protocol import PAUSE_REASON_USER, AttemptFact, AttemptState, DomainFact, DomainState, Fact, JobFact
from migrator.scheduler.decision.verdict import Verdict, job_active, verdict

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
    "shut_off": (W, S, S, S, S, S, D, S),
    "saved": (W, S, S, S, S, S, D, S),
    "crashed": (W, S, S, S, S, S, D, S),
    "incoming": (W, S, S, S, S, S, D, S),
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
    return found.model_copy(update={"domain": found.domain.model_copy(update={"reason": PAUSE_REASON_USER})})


def came(state: str, reason: str | None = None, *, stamp: str = "o", persistent: bool | None = True) -> Fact:
    domain = DomainFact(state=DomainState(state), reason=reason, stamp_operation=stamp, persistent=persistent)
    found = fact(state)
    assert found is not None
    return found.model_copy(update={"domain": domain})


ARRIVED: list[tuple[str, str | None]] = [
    ("shut_off", None),
    ("shut_off", "shutdown"),
    ("shut_off", "crashed"),
    ("crashed", None),
    ("saved", None),
]
ARRIVED += [("running", None), ("paused", "io-error"), ("paused", PAUSE_REASON_USER)]
NOT_ARRIVED = [("incoming", "migration"), ("paused", "migration"), ("shut_off", "failed")]


@pytest.mark.parametrize(("state", "reason"), ARRIVED)
@pytest.mark.parametrize("source", [None, "unobserved", "absent", "shut_off", "crashed", "saved", "paused", "migrated"])
def test_a_kept_domain_with_the_operation_s_stamp_has_arrived_whatever_became_of_it(
    state: str, reason: str | None, source: str | None
) -> None:
    assert verdict(fact(source), came(state, reason)) is Verdict.DESTINATION


@pytest.mark.parametrize("source", ["shut_off", "absent", "paused", None])
def test_what_has_another_stamp_or_is_not_kept_or_was_never_let_go_has_not_arrived(source: str | None) -> None:
    here = fact(source)
    for state, reason in NOT_ARRIVED:
        assert verdict(here, came(state, reason)) is verdict(here, fact(state))
    for state, came_for in ARRIVED:
        for other in (came(state, came_for, stamp="another"), came(state, came_for, persistent=None)):
            assert verdict(here, other) is verdict(here, fact(state))


def test_a_guest_that_runs_at_its_source_has_not_left_it_whatever_the_destination_keeps() -> None:
    assert verdict(fact("running", "ended", False), came("shut_off")) is Verdict.SOURCE
    assert verdict(fact("running", "ended", False), came("running")) is Verdict.SPLIT


@pytest.mark.parametrize("half", ["postcopy", "postcopy-failed"])
def test_half_of_a_post_copy_is_no_guest_that_arrived(half: str) -> None:
    assert verdict(fact(half), came("shut_off")) is Verdict.POSTCOPY_LOST


PAUSED = {  # of a guest that a user had paused: the source rests, and the destination rests
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
    assert verdict(fact("paused"), resting()) is Verdict.SWITCHOVER
    assert verdict(fact("absent"), resting()) is Verdict.SWITCHOVER
    assert verdict(fact("absent"), resting(), paused=True) is Verdict.DESTINATION
    assert verdict(fact("absent"), fact("paused"), paused=True) is Verdict.SWITCHOVER
