"""When a fact satisfies an assignment: every ``Ensure`` against every state of a domain, and against every problem."""

from typing import Any

import pytest

from migrator.protocol import (
    MEMORY,
    AttemptFact,
    AttemptState,
    CheckResult,
    DiskFact,
    DomainFact,
    DomainState,
    Ensure,
    Fact,
    GuestDescription,
    JobFact,
    Measurement,
    Problem,
    TargetPowerState,
)
from migrator.scheduler.decision.completion import SATISFIED, Progress, judge, judge_copy

FIT = CheckResult(name="cpu", ok=True)
UNFIT = CheckResult(name="cpu", ok=False, found="no avx", advice="choose a host with it")
ENDED = AttemptFact(state=AttemptState.ENDED)


def disks(*exist: bool) -> tuple[DiskFact, ...]:
    return tuple(DiskFact(target=f"vd{n}", path="/d", pool="local", exists=e) for n, e in enumerate(exist))


def fact(state: str | None = None, problem: str | None = None, **more: Any) -> Fact:
    """``problem``: "final" or "transient"; ``state`` None: libvirt did not answer."""
    return Fact(
        operation_id="o",
        epoch=1,
        phase="p",
        incarnation=1,
        sequence=1,
        domain=DomainFact(state=DomainState(state)) if state else None,
        problem=Problem(code="x", message="m", final=problem == "final") if problem else None,
        **more,
    )


STATES = (None, "absent", "incoming", "shut_off", "saved", "crashed", "paused", "running")
LETTERS = {Progress.DONE: "D", Progress.PENDING: ".", Progress.FAILED: "F"}
PROBLEMS = (None, "transient", "final")

# Whatever else the fact holds, a state of the domain after another: without a problem, with a passing one, with a
# final one.
RUN, OFF, SAVED = TargetPowerState.RUNNING, TargetPowerState.SHUT_OFF, TargetPowerState.SAVED
DESCRIBED = {"checks": (FIT,), "guest": GuestDescription()}
BUSY = {"attempt": ENDED, "job": JobFact(active=True)}
WHOLE, HALF = {"disks": disks(True, True)}, {"disks": disks(True, False)}
GRID: list[tuple[Ensure, TargetPowerState, dict[str, Any], tuple[str, str, str]]] = [
    (Ensure.OBSERVED, RUN, {}, (".DDDDDDD", ".DDDDDDD", "FDDDDDDD")),
    (Ensure.MOVABLE, RUN, {}, ("........", "........", "FFFFFFFF")),
    (Ensure.MOVABLE, RUN, DESCRIBED, ("DDDDDDDD", "DDDDDDDD", "DDDDDDDD")),
    (Ensure.MOVABLE, RUN, {"checks": (UNFIT,)}, ("FFFFFFFF", "FFFFFFFF", "FFFFFFFF")),
    (Ensure.DESCRIBED, RUN, {}, ("........", "........", "FFFFFFFF")),
    (Ensure.DESCRIBED, RUN, DESCRIBED, ("DDDDDDDD", "DDDDDDDD", "DDDDDDDD")),
    (Ensure.DESCRIBED, RUN, {"checks": (UNFIT,)}, ("FFFFFFFF", "FFFFFFFF", "FFFFFFFF")),
    (Ensure.COMPATIBLE, RUN, {}, ("........", "........", "FFFFFFFF")),
    (Ensure.COMPATIBLE, RUN, {"checks": (FIT,)}, ("DDDDDDDD", "DDDDDDDD", "DDDDDDDD")),
    (Ensure.COMPATIBLE, RUN, {"checks": (FIT, UNFIT)}, ("FFFFFFFF", "FFFFFFFF", "FFFFFFFF")),
    (Ensure.MEASURED, RUN, {}, ("........", "........", "FFFFFFFF")),
    (Ensure.MEASURED, RUN, {"measurement": Measurement()}, ("DDDDDDDD", "DDDDDDDD", "DDDDDDDD")),
    (Ensure.PREPARED, RUN, {}, (".DDDDDDD", "........", "FFFFFFFF")),
    (Ensure.PREPARED, RUN, WHOLE, ("DDDDDDDD", "DDDDDDDD", "DDDDDDDD")),
    (Ensure.PREPARED, RUN, HALF, ("........", "........", "FFFFFFFF")),
    (Ensure.DISKS_PRESENT, RUN, WHOLE, ("DDDDDDDD", "DDDDDDDD", "DDDDDDDD")),
    (Ensure.DISKS_PRESENT, RUN, HALF, ("........", "........", "FFFFFFFF")),
    (Ensure.REBUILT, RUN, WHOLE, ("DDDDDDDD", "........", "FFFFFFFF")),
    (Ensure.REBUILT, RUN, HALF, ("........", "........", "FFFFFFFF")),
    (Ensure.NOT_MIGRATING, RUN, {}, ("........", "........", "FFFFFFFF")),
    (Ensure.NOT_MIGRATING, RUN, {"attempt": ENDED}, (".DDDDDDD", ".DDDDDDD", "FDDDDDDD")),
    (Ensure.NOT_MIGRATING, RUN, BUSY, ("........", "........", "FFFFFFFF")),
    (Ensure.RUNNING, RUN, {}, (".......D", ".......D", "FFFFFFFD")),
    (Ensure.SHUT_OFF, RUN, {}, ("...DDD..", "...DDD..", "FFFDDDFF")),
    (Ensure.NOT_RUNNING, RUN, {}, (".D.DDD..", ".D.DDD..", "FDFDDDFF")),
    (Ensure.SUSPENDED, RUN, {}, ("....D...", "........", "FFFFFFFF")),
    (Ensure.PAUSED, RUN, {}, ("......D.", "........", "FFFFFFFF")),
    (Ensure.UNPAUSED, RUN, {}, (".......D", ".......D", "FFFFFFFD")),
    (Ensure.OFFERED, RUN, {}, ("...DDD..", "........", "FFFFFFFF")),
    (Ensure.LENT, RUN, {}, ("........", "........", "FFFFFFFF")),
    (Ensure.LENT, RUN, WHOLE, (".DDDDDDD", "........", "FFFFFFFF")),
    (Ensure.WITHDRAWN, RUN, {}, (".DDDDDDD", "........", "FFFFFFFF")),
    (Ensure.ABSENT, RUN, {"disks": disks(False)}, (".D......", ".D......", "FDFFFFFF")),
    (Ensure.ABSENT, RUN, {"disks": disks(True)}, ("........", "........", "FFFFFFFF")),
    (Ensure.SET_ASIDE, RUN, {"disks": disks(False)}, (".D......", ".D......", "FDFFFFFF")),
    (Ensure.SET_ASIDE, RUN, {"disks": disks(True)}, ("........", "........", "FFFFFFFF")),
    (Ensure.KEPT_RESTORED, RUN, {}, (".D.DDD..", "........", "FFFFFFFF")),
    (Ensure.KEPT_UNRESTORED, RUN, {}, (".DDDDDDD", "........", "FFFFFFFF")),
    (Ensure.KEPT_DROPPED, RUN, {}, (".DDDDDDD", "........", "FFFFFFFF")),
    (Ensure.POWERED, RUN, {}, (".......D", ".......D", "FFFFFFFD")),
    (Ensure.POWERED, OFF, {}, ("...DDD..", "........", "FFFFFFFF")),
    (Ensure.POWERED, SAVED, {}, ("...DDD..", "........", "FFFFFFFF")),
]


def row(ensure: Ensure, power: TargetPowerState, more: dict[str, Any], problem: str | None) -> str:
    return "".join(LETTERS[judge(ensure, fact(state, problem, **more), power).progress] for state in STATES)


@pytest.mark.parametrize(("ensure", "power", "more", "rows"), GRID)
def test_every_state_and_every_problem(
    ensure: Ensure, power: TargetPowerState, more: dict[str, Any], rows: tuple[str, str, str]
) -> None:
    assert tuple(row(ensure, power, more, problem) for problem in PROBLEMS) == rows


def test_the_grid_is_whole() -> None:
    assert {ensure for ensure, *_ in GRID} == SATISFIED.keys() | {Ensure.POWERED}
    assert set(STATES) - {None} == {state.value for state in DomainState}
    tried = {power for ensure, power, *_ in GRID if ensure is Ensure.POWERED}
    assert tried == set(TargetPowerState) - {TargetPowerState.PAUSED}


def test_only_a_verdict_ends_a_transfer_and_both_ends_a_copy() -> None:
    others = {Ensure.MIGRATING, Ensure.COPIED, Ensure.POWERED, Ensure.DISKS_WHOLE}
    assert set(Ensure) - SATISFIED.keys() == others


def test_a_failed_check_names_what_was_found_and_what_to_do() -> None:
    found = judge(Ensure.COMPATIBLE, fact("absent", checks=(FIT, UNFIT)))
    assert (found.code, found.message) == ("check_failed", "cpu: no avx (choose a host with it)")


def test_a_domain_that_is_left_running_is_a_reason_to_wait() -> None:
    assert "runs" in judge(Ensure.ABSENT, fact("running")).message
    assert judge(Ensure.ABSENT, fact("running", "final")).message == "m"


# --- copies: what the source offers, what the destination has, and of what -------------------------------------------


def summed(problem: str | None = None, **sums: str | None) -> Fact:
    found = tuple(DiskFact(target=t, path="/d", pool="local", exists=True, checksum=c) for t, c in sums.items())
    return fact("shut_off", problem, disks=found)


COPIES = [
    (summed(vda="1"), summed(vda="1"), ("vda",), "D"),
    (summed(vda="1"), summed(vda="2"), ("vda",), "F"),
    (summed(vda="1"), summed(vda=None), ("vda",), "."),
    (summed(vda=None), summed(vda="1"), ("vda",), "."),
    (summed(vda=None), summed(vda=None), ("vda",), "."),
    (None, summed(vda="1"), ("vda",), "."),
    (None, summed(), (), "D"),
    (None, summed("final"), (), "F"),
    (None, summed("transient"), (), "."),
    (summed(), fact(), (), "."),
    (summed(vda="1"), summed(vda="1"), ("vda", "vdb"), "."),
    (summed(vda="1", vdb="1"), summed(vda="1", vdb="2"), ("vda", "vdb"), "F"),
    (summed(vda="1", vdb="1"), summed(vda="1", vdb="2"), ("vda",), "D"),
    (summed(vda="1", memory="1"), summed(vda="1"), ("vda", MEMORY), "."),
    (summed(vda="1", memory="1"), summed(vda="1", memory="1"), ("vda", MEMORY), "D"),
    (summed(vda="1"), summed("final", vda=None), ("vda",), "F"),
    (summed(vda="1"), summed("transient", vda=None), ("vda",), "."),
    (summed("final"), summed(vda="1"), ("vda",), "F"),
    (summed("final"), summed("transient", vda=None), ("vda",), "F"),
    (summed("transient"), summed("final", vda=None), ("vda",), "F"),
    (summed("transient"), summed(vda="1"), ("vda",), "."),
]


@pytest.mark.parametrize(("offered", "copied", "targets", "wanted"), COPIES)
def test_a_copy_is_what_both_ends_summed(
    offered: Fact | None, copied: Fact, targets: tuple[str, ...], wanted: str
) -> None:
    assert LETTERS[judge_copy(offered, copied, targets).progress] == wanted


def test_a_source_that_has_become_unreadable_is_named() -> None:
    found = judge_copy(summed("transient"), summed(vda="1"), ("vda",))
    assert (found.code, found.message) == ("x", "the source does not offer it any more: m")


def test_a_copy_that_differs_says_which_disk_and_how() -> None:
    found = judge_copy(summed(vda="1", vdb="x"), summed(vda="1", vdb="y"), ("vda", "vdb"))
    assert (found.code, found.message) == ("checksum_mismatch", "the copy differs: vdb is y, but x at the source")


def test_a_transfer_that_does_not_end_although_it_was_told_to_says_so() -> None:
    """libvirt holds a call whose other end does not answer."""
    held = Fact(
        operation_id="o",
        epoch=1,
        phase="transfer",
        incarnation=1,
        sequence=1,
        domain=DomainFact(state=DomainState.RUNNING),
        job=JobFact(active=True),
    )
    found = judge(Ensure.NOT_MIGRATING, held)
    assert (found.progress, found.message) == (Progress.PENDING, "its transfer was told to end, and has not yet")
