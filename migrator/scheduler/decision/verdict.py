"""Where an instance really runs during a live migration, worked out from both hosts' facts.

The table of DESIGN.md ("Verdict for a live migration") as one pure function. It takes fresh facts only; a host that
is silent, or whose domain could not be observed, is None. It never acts on what it finds.
"""

from enum import StrEnum
from typing import TypeGuard

from migrator.protocol import PAUSE_REASON_USER, POST_COPY, POST_COPY_FAILED, AttemptState, DomainState, Fact


class Verdict(StrEnum):
    SOURCE = "source"  # not moved
    DESTINATION = "destination"  # moved: from here on only forward
    IN_FLIGHT = "in_flight"  # a job is active
    WAIT = "wait"  # one side is silent and the other alone cannot tell
    SWITCHOVER = "hold"  # neither executes guest code at this instant: switch-over
    SPLIT = "split"  # both run: freeze, raise the alarm, destroy nothing
    LOST = "lost"  # neither has it: raise the alarm
    POSTCOPY_LOST = "torn"  # its post-copy failed for good, neither half can go on: raise the alarm


_NOT_STARTED = {
    DomainState.ABSENT,
    DomainState.INCOMING,
    DomainState.SHUT_OFF,
    DomainState.CRASHED,
    DomainState.SAVED,
}

_BACK_SOON = {DomainState.PAUSED, DomainState.INCOMING}


def job_active(fact: Fact) -> bool:
    """True while a transfer is, or may be, under way on the source: libvirt reports a job, or the attempt has not
    been seen to end. An attempt that was never begun is not active."""
    if fact.job is not None and fact.job.active:
        return True
    return fact.attempt is not None and fact.attempt.state is AttemptState.RUNNING


def arrived(destination: Fact | None) -> TypeGuard[Fact]:
    """Whether the guest came to this end of the transfer, whatever became of it since."""
    domain = destination.domain if destination is not None else None
    return destination is not None and domain is not None and domain.arrived(destination.operation_id)


def verdict(source: Fact | None, destination: Fact | None, *, paused: bool = False) -> Verdict:
    """``paused``: a user had paused the guest before. It executes nothing anywhere, so a whole copy of it that is
    paused for that reason counts for one that runs: the hypervisor gives an arriving copy that reason when it is whole.
    Two of them after the transfer are the same guest, and the destination's is kept."""
    if paused:
        if user_paused(source) and user_paused(destination) and not job_active(source):
            return Verdict.DESTINATION
        source, destination = _awake(source), _awake(destination)
    return _verdict(source, destination)


def user_paused(fact: Fact | None) -> TypeGuard[Fact]:
    """Whether the guest is there, as a user paused it."""
    domain = fact.domain if fact is not None else None
    return domain is not None and (domain.state, domain.reason) == (DomainState.PAUSED, PAUSE_REASON_USER)


def _awake(fact: Fact | None) -> Fact | None:
    if not user_paused(fact) or fact.domain is None:
        return fact
    return fact.model_copy(update={"domain": fact.domain.model_copy(update={"state": DomainState.RUNNING})})


def _verdict(source: Fact | None, destination: Fact | None) -> Verdict:
    at_source = source.domain.state if source is not None and source.domain is not None else None
    at_destination = destination.domain.state if destination is not None and destination.domain is not None else None
    here = at_destination is DomainState.RUNNING or arrived(destination)
    if at_source is None or source is None:
        return Verdict.DESTINATION if here else Verdict.WAIT
    if _migrated_away(source):
        return Verdict.DESTINATION
    if at_source is DomainState.RUNNING:
        return _while_source_runs(source, at_destination)
    if at_destination is None:
        # Not even a stopped source still has the guest: after a power cut its definition may be back, for libvirt does
        # not sync that it forgot it, and its reason is gone.
        return Verdict.WAIT
    if at_destination is DomainState.RUNNING:
        return Verdict.DESTINATION
    if here and not _switched(source):
        return Verdict.DESTINATION
    return _while_neither_runs(source, at_source, at_destination)


def _switched(source: Fact) -> bool:
    domain = source.domain
    return domain is not None and domain.state is DomainState.PAUSED and domain.reason in POST_COPY


def _migrated_away(source: Fact) -> bool:
    domain = source.domain
    return domain is not None and domain.state is DomainState.SHUT_OFF and domain.reason == "migrated"


def _while_source_runs(source: Fact, at_destination: DomainState | None) -> Verdict:
    if at_destination is None:
        return Verdict.WAIT
    if job_active(source):
        # "Running" on the destination beside an active job is the source's fact being a moment older: its next
        # one decides.
        return Verdict.IN_FLIGHT
    return Verdict.SPLIT if at_destination is DomainState.RUNNING else Verdict.SOURCE


def _while_neither_runs(source: Fact, at_source: DomainState, at_destination: DomainState) -> Verdict:
    domain = source.domain
    if _switched(source) and domain is not None:
        # libvirt keeps the job of one that failed, for it may be recovered: an active job says nothing then.
        lasts = job_active(source) and domain.reason != POST_COPY_FAILED
        return Verdict.SWITCHOVER if lasts or at_destination in _BACK_SOON else Verdict.POSTCOPY_LOST
    if at_source is DomainState.ABSENT:
        return Verdict.LOST if at_destination is DomainState.ABSENT else Verdict.SWITCHOVER
    if job_active(source):
        return Verdict.SWITCHOVER if at_source is DomainState.PAUSED else Verdict.IN_FLIGHT
    if at_source is DomainState.PAUSED and at_destination not in _NOT_STARTED - {DomainState.INCOMING}:
        return Verdict.SWITCHOVER
    return Verdict.SOURCE
