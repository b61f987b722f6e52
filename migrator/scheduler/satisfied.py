"""Whether a fact shows that an assignment has been made true: one predicate an ``Ensure``, in one table.

Pure. Answers from what the agent saw, never from what it claims to have done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from migrator.protocol import AttemptState, DomainState, Ensure, Fact
from migrator.scheduler.verdict import job_active


class Progress(StrEnum):
    DONE = "done"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Judgement:
    progress: Progress
    code: str = ""
    message: str = ""


DONE = Judgement(Progress.DONE)
PENDING = Judgement(Progress.PENDING)


def _state(fact: Fact) -> DomainState | None:
    return fact.domain.state if fact.domain is not None else None


def _when(condition: bool) -> Judgement:
    return DONE if condition else PENDING


def _checked(fact: Fact) -> Judgement:
    """All checks hold; otherwise every one that fails is named, with what was found and what to do."""
    failed = [check for check in fact.checks if not check.ok]
    if failed:
        words = "; ".join(f"{c.name}: {c.found}{f' ({c.advice})' if c.advice else ''}" for c in failed)
        return Judgement(Progress.FAILED, "check_failed", words)
    return _when(bool(fact.checks))


def _movable(fact: Fact) -> Judgement:
    judgement = _checked(fact)
    return judgement if judgement.progress is Progress.FAILED or fact.guest is not None else PENDING


def _not_migrating(fact: Fact) -> Judgement:
    ended = fact.attempt is not None and fact.attempt.state is not AttemptState.RUNNING
    return _when(fact.domain is not None and ended and not job_active(fact))


def _absent(fact: Fact) -> Judgement:
    return _when(_state(fact) is DomainState.ABSENT and not any(disk.exists for disk in fact.disks))


SATISFIED: Mapping[Ensure, Callable[[Fact], Judgement]] = {
    Ensure.OBSERVED: lambda fact: _when(fact.domain is not None),
    Ensure.MOVABLE: _movable,
    Ensure.COMPATIBLE: _checked,
    Ensure.PREPARED: lambda fact: _when(bool(fact.disks) and all(disk.exists for disk in fact.disks)),
    Ensure.NOT_MIGRATING: _not_migrating,
    Ensure.DISKS_PRESENT: lambda fact: _when(all(disk.exists for disk in fact.disks)),
    Ensure.RUNNING: lambda fact: _when(_state(fact) is DomainState.RUNNING),
    Ensure.SHUT_OFF: lambda fact: _when(_state(fact) in (DomainState.SHUT_OFF, DomainState.CRASHED)),
    Ensure.ABSENT: _absent,
}
"""``Ensure.MIGRATING`` is missing on purpose: only a verdict, from both hosts' facts, ends a transfer."""


def judge(ensure: Ensure, fact: Fact) -> Judgement:
    judgement = SATISFIED[ensure](fact)
    if judgement.progress is Progress.PENDING and fact.problem is not None:
        progress = Progress.FAILED if fact.problem.final else Progress.PENDING
        return Judgement(progress, fact.problem.code, fact.problem.message)
    return judgement
