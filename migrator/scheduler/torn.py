"""A post-copy of which one half was lost with its host: nothing that is left of the guest can go on.

Pure. The verdict needs facts of both hosts, and a host that is lost will never give one.
"""

from migrator.protocol import DomainState, Fact
from migrator.scheduler import reading
from migrator.scheduler.snapshot import Snapshot
from migrator.scheduler.verdict import Verdict, job_active

_POST_COPY = ("postcopy", "postcopy-failed")


def half(fact: Fact | None) -> bool:
    """Whether this end of a post-copy holds a part of the guest, and executes none of it."""
    domain = fact.domain if fact is not None else None
    return domain is not None and domain.state is DomainState.PAUSED and domain.reason in _POST_COPY


def verdict_of(snapshot: Snapshot) -> Verdict:
    """The verdict by both hosts' facts, and TORN where a fenced host has taken the other half with it: undone, the
    move would take the destination's disks, which the guest has written to since."""
    source, destination = snapshot.operation.source, snapshot.operation.destination
    here, there = reading.fresh(snapshot, source), reading.fresh(snapshot, destination)
    left = half(here) and here is not None and not job_active(here) and reading.fenced(snapshot, destination)
    arrived = half(there) and reading.fenced(snapshot, source)
    return Verdict.TORN if left or arrived else reading.verdict_of(snapshot)
