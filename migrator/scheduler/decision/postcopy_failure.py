"""A post-copy of which one half was lost with its host: nothing that is left of the guest can go on.

Pure. The verdict needs facts of both hosts, and a host that is lost will never give one.
"""

from migrator.operations import Operation, Phase
from migrator.protocol import POST_COPY, POST_COPY_FAILED, DomainState, Fact
from migrator.scheduler.decision import views
from migrator.scheduler.decision.snapshot import Snapshot
from migrator.scheduler.decision.verdict import Verdict, job_active

BROKEN_OFF = "the post-copy broke off; its domain keeps a half of the guest, and is left alone until that goes on"
_ALIVE = (DomainState.RUNNING, DomainState.PAUSED, DomainState.INCOMING)


def postcopy_half(fact: Fact | None) -> bool:
    """Whether this end of a post-copy holds a part of the guest, and executes none of it."""
    domain = fact.domain if fact is not None else None
    return domain is not None and domain.state is DomainState.PAUSED and domain.reason in POST_COPY


def postcopy_dead(fact: Fact | None) -> bool:
    """Whether this end of a post-copy goes on no more. libvirt keeps the job of one that failed, for it may be
    recovered while both of its halves live."""
    if not postcopy_half(fact) or fact is None or fact.domain is None:
        return False
    return fact.domain.reason == POST_COPY_FAILED or not job_active(fact)


def verdict_of(snapshot: Snapshot) -> Verdict:
    """The verdict by both hosts' facts, and ``TORN`` where a fenced host has taken the other half with it: undone, the
    move would take the destination's disks, which the guest has written to since."""
    source, destination = snapshot.operation.source, snapshot.operation.destination
    here, there = views.fresh(snapshot, source), views.fresh(snapshot, destination)
    left = postcopy_dead(here) and views.fenced(snapshot, destination)
    arrived = postcopy_half(there) and views.fenced(snapshot, source)
    found = Verdict.POSTCOPY_LOST if left or arrived else views.verdict_of(snapshot)
    return _after_the_alarm(snapshot, here, there, found) if snapshot.operation.context.postcopy_lost else found


def _after_the_alarm(snapshot: Snapshot, here: Fact | None, there: Fact | None, found: Verdict) -> Verdict:
    """A lost post-copy is not rolled back when an operator has ended the halves: the newest disks are the
    destination's. Where that is silent their state is unknown, and only an operator's request brings the older ones."""
    operation = snapshot.operation
    if found in (Verdict.DESTINATION, Verdict.SPLIT):
        return found
    if any(views.state_of(end) in _ALIVE for end in (here, there)):
        return Verdict.POSTCOPY_LOST
    if there is None:
        return found if operation.cancel_requested else Verdict.POSTCOPY_LOST
    untold = here is None and not views.fenced(snapshot, operation.source)
    return Verdict.WAIT if untold else Verdict.DESTINATION


def torn_after_arrival(snapshot: Snapshot, table: Operation, phase: Phase) -> bool:
    """A post-copied guest has arrived as soon as it runs at the destination, and can be lost there with its memory on
    the way: nothing is left of it but the half that the source would clean up."""
    arrived = views.judged_by_verdict(table, phase) and not table.reversible(phase.name)
    return arrived and verdict_of(snapshot) is Verdict.POSTCOPY_LOST
