"""Whether a fact shows that an assignment has been made true: one predicate an ``Ensure``, in one table.

Pure. Answers from what the agent saw, never from what it claims to have done.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from migrator.protocol import AttemptState, DomainState, Ensure, Fact, TargetPowerState
from migrator.scheduler.decision.postcopy_failure import BROKEN_OFF, postcopy_dead
from migrator.scheduler.decision.verdict import job_active


class Progress(StrEnum):
    DONE = "done"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ConditionStatus:
    progress: Progress
    code: str = ""
    message: str = ""


_STOPPED = (DomainState.SHUT_OFF, DomainState.CRASHED, DomainState.SAVED)
# A saved memory may have been used up before the guest was stopped again: then it is shut off.
_POWERED: Mapping[TargetPowerState, tuple[DomainState, ...]] = {
    TargetPowerState.RUNNING: (DomainState.RUNNING,),
    TargetPowerState.SHUT_OFF: _STOPPED,
    TargetPowerState.SAVED: _STOPPED,
}

_BY_HAND = "someone acted by hand; cancel the move, and the instance is started where it was"

DONE = ConditionStatus(Progress.DONE)
PENDING = ConditionStatus(Progress.PENDING)


def _state(fact: Fact) -> DomainState | None:
    return fact.domain.state if fact.domain is not None else None


def _when(condition: bool) -> ConditionStatus:
    return DONE if condition else PENDING


def _checked(fact: Fact) -> ConditionStatus:
    """All checks hold; otherwise every one that fails is named, with what was found and what to do."""
    failed = [check for check in fact.checks if not check.ok]
    if failed:
        message = "; ".join(f"{c.name}: {c.found}{f' ({c.advice})' if c.advice else ''}" for c in failed)
        return ConditionStatus(Progress.FAILED, "check_failed", message)
    return _when(bool(fact.checks))


def _movable(fact: Fact) -> ConditionStatus:
    judgement = _checked(fact)
    return judgement if judgement.progress is Progress.FAILED or fact.guest is not None else PENDING


def _prepared(fact: Fact) -> bool:
    """An instance that has only volumes has no disks to see; one that could not be looked at has no domain either."""
    looked = bool(fact.disks) or (fact.domain is not None and fact.problem is None)
    return looked and all(disk.exists for disk in fact.disks)


def _not_migrating(fact: Fact) -> ConditionStatus:
    """A call that the other hypervisor does not answer is held by libvirt, and ends when it does."""
    if fact.domain is not None and job_active(fact):
        return ConditionStatus(Progress.PENDING, message="its transfer was told to end, and has not yet")
    ended = fact.attempt is not None and fact.attempt.state is not AttemptState.RUNNING
    return _when(fact.domain is not None and ended)


def _not_running(fact: Fact) -> ConditionStatus:
    return _when(_state(fact) in (*_STOPPED, DomainState.ABSENT))


def _offered(fact: Fact) -> ConditionStatus:
    """The driver has no other word for it than that the call did not fail."""
    state = _state(fact)
    if state is None or state in _STOPPED:
        return _when(fact.problem is None and state is not None)
    return ConditionStatus(Progress.PENDING, message=f"its domain there is {state.value}, and not shut off: {_BY_HAND}")


def _kept_restored(fact: Fact) -> ConditionStatus:
    """The same; a domain that an operator has undefined leaves its disks where they are."""
    return _when(fact.problem is None and _state(fact) in (*_STOPPED, DomainState.ABSENT))


def _lent(fact: Fact) -> ConditionStatus:
    """It names what it lends, and where; their checksums may come later."""
    return _when(fact.problem is None and fact.domain is not None and bool(fact.disks))


def _absent(fact: Fact) -> ConditionStatus:
    if _state(fact) is DomainState.RUNNING:
        return ConditionStatus(Progress.PENDING, message="its domain runs, and is left alone")
    if postcopy_dead(fact):
        return ConditionStatus(Progress.PENDING, message=BROKEN_OFF)
    return _when(_state(fact) is DomainState.ABSENT and not any(disk.exists for disk in fact.disks))


SATISFIED: Mapping[Ensure, Callable[[Fact], ConditionStatus]] = {
    Ensure.OBSERVED: lambda fact: _when(fact.domain is not None),
    Ensure.MOVABLE: _movable,
    Ensure.COMPATIBLE: _checked,
    Ensure.MEASURED: lambda fact: _when(fact.measurement is not None),
    Ensure.PREPARED: lambda fact: _when(_prepared(fact)),
    Ensure.NOT_MIGRATING: _not_migrating,
    Ensure.DISKS_PRESENT: lambda fact: _when(_prepared(fact)),
    Ensure.RUNNING: lambda fact: _when(_state(fact) is DomainState.RUNNING),
    Ensure.SHUT_OFF: lambda fact: _when(_state(fact) in _STOPPED),
    Ensure.ABSENT: _absent,
    Ensure.SET_ASIDE: _absent,
    Ensure.DESCRIBED: _movable,
    Ensure.OFFERED: _offered,
    Ensure.LENT: _lent,
    Ensure.WITHDRAWN: lambda fact: _when(fact.domain is not None and fact.problem is None),
    Ensure.KEPT_RESTORED: _kept_restored,
    Ensure.KEPT_UNRESTORED: lambda fact: _when(fact.domain is not None and fact.problem is None),
    Ensure.KEPT_DROPPED: lambda fact: _when(fact.domain is not None and fact.problem is None),
    Ensure.REBUILT: lambda fact: _when(all(disk.exists for disk in fact.disks) and fact.problem is None),
    Ensure.NOT_RUNNING: _not_running,
    Ensure.PAUSED: lambda fact: _when(_state(fact) is DomainState.PAUSED and fact.problem is None),
    Ensure.UNPAUSED: lambda fact: _when(_state(fact) is DomainState.RUNNING),
    Ensure.SUSPENDED: lambda fact: _when(_state(fact) is DomainState.SAVED and fact.problem is None),
}
"""``Ensure.MIGRATING`` is missing on purpose: only a verdict, from both hosts' facts, ends a transfer. So are
``COPIED`` (``judge_copy``), which both hosts' checksums end, ``POWERED``, which depends on what was wanted, and
``DISKS_WHOLE`` (``proof.judge_whole``), which depends on what the disks were."""


def judge(ensure: Ensure, fact: Fact, power: TargetPowerState = TargetPowerState.RUNNING) -> ConditionStatus:
    """``power``: how the instance is wanted where it is put."""
    met = _powered(fact, power) if ensure is Ensure.POWERED else SATISFIED[ensure](fact)
    return _with_problem(met, fact)


def _powered(fact: Fact, power: TargetPowerState) -> ConditionStatus:
    """A domain that does not run may be the one that was there before: it says nothing about what had to be done."""
    return _when(_state(fact) in _POWERED[power] and (power is TargetPowerState.RUNNING or fact.problem is None))


def judge_copy(offered: Fact | None, copied: Fact, targets: Sequence[str]) -> ConditionStatus:
    """Whether the destination holds what the source has: every one of ``targets``, with equal checksums. Whatever the
    source says later counts for nothing: its fact must be of this phase too."""
    here, there = _checksums(copied), _checksums(offered)
    differing = [t for t in targets if here.get(t) and there.get(t) and here[t] != there[t]]
    if differing:
        message = ", ".join(f"{t} is {here[t]}, but {there[t]} at the source" for t in differing)
        return ConditionStatus(Progress.FAILED, "checksum_mismatch", f"the copy differs: {message}")
    # Where nothing is to be compared, files are made all the same, and a process may stand in the way.
    if copied.domain is not None and copied.problem is None and all(here.get(t) and there.get(t) for t in targets):
        return DONE
    problems = [found for found in (_with_problem(PENDING, copied), _not_offered(offered)) if found.message]
    return next((p for p in problems if p.progress is Progress.FAILED), next(iter(problems), PENDING))


def _not_offered(offered: Fact | None) -> ConditionStatus:
    found = _with_problem(PENDING, offered)
    return replace(found, message=f"the source does not offer it any more: {found.message}") if found.code else found


def _checksums(fact: Fact | None) -> Mapping[str, str]:
    return {disk.target: disk.checksum for disk in fact.disks if disk.checksum} if fact is not None else {}


def _with_problem(judgement: ConditionStatus, fact: Fact | None) -> ConditionStatus:
    if judgement.progress is Progress.PENDING and fact is not None and fact.problem is not None:
        progress = Progress.FAILED if fact.problem.final else Progress.PENDING
        return ConditionStatus(progress, fact.problem.code, fact.problem.message)
    return judgement
