"""A guest that ends, or is ended by hand, while it is moved live: what is said of it, and where it may be.

Pure. Never decides where the guest lives: that is the verdict's.
"""

from collections.abc import Mapping

from migrator.event_types import EventType
from migrator.operations import Phase
from migrator.protocol import DomainState, Fact
from migrator.scheduler.decision import views
from migrator.scheduler.decision.snapshot import Snapshot, Timeline
from migrator.scheduler.decision.verdict import arrived

STOPPED = (DomainState.SHUT_OFF, DomainState.CRASHED, DomainState.SAVED)
# libvirt's reason -> what the guest did, or an operator did to it
_WORDS: Mapping[str, str] = {
    "shutdown": "the guest shut itself down",
    "crashed": "the guest crashed, or its process was killed",
    "panicked": "the guest panicked",
    "destroyed": "its power was cut",
    "saved": "its memory was saved to a file",
}
_CRASHES = ("crashed", "panicked")


def stopped(fact: Fact | None) -> bool:
    return views.state_of(fact) in STOPPED


def guest_on_source(fact: Fact) -> bool:
    """Also of a guest that runs because it migrated hither, once: only one that is shut off has migrated away."""
    domain = fact.domain
    if domain is None or domain.state in (DomainState.ABSENT, DomainState.INCOMING):
        return False
    return not (domain.state is DomainState.SHUT_OFF and domain.reason == "migrated")


def on_the_way(snapshot: Snapshot) -> str | None:
    """What ended the guest on its source while it was moved, which ended the move; None: nothing did."""
    source = snapshot.operation.source
    message = _job_message(views.fresh(snapshot, source))
    return f"{message} on {source} in the middle of the migration, which ended with it" if message else None


def after_arrival(snapshot: Snapshot) -> tuple[Timeline, ...]:
    """The timeline's line of a guest that had arrived, and was found stopped."""
    destination = snapshot.operation.destination
    fact = views.fresh(snapshot, destination)
    if not arrived(fact) or not stopped(fact):
        return ()
    message = _job_message(fact) or "the guest stopped; its hypervisor has forgotten why"
    return (
        Timeline(EventType.GUEST_STOPPED, f"{message} on {destination}, after it had arrived there", host=destination),
    )


def put_down(snapshot: Snapshot, phase: Phase, fact: Fact | None) -> tuple[Timeline, ...]:
    """The timeline's line of a guest that crashed while it was asked to stop, to be moved: the move goes on, and starts
    it where it goes, as it would have."""
    reason = fact.domain.reason if fact is not None and fact.domain is not None else None
    if fact is None or not phase.stops_guest or not stopped(fact) or reason not in _CRASHES:
        return ()
    host = snapshot.operation.source
    return (Timeline(EventType.GUEST_STOPPED, f"{_WORDS[reason]} on {host} while it was being stopped", host=host),)


def perhaps_arrived(snapshot: Snapshot) -> str:
    """Why a stopped source alone is not gone back to; "" where it is not that."""
    operation = snapshot.operation
    if not stopped(views.fresh(snapshot, operation.source)) or views.heard(snapshot, operation.destination):
        return ""
    fenced = views.fenced(snapshot, operation.destination)
    other = f", or cancel, to go on with what {operation.source} has" if fenced else ""
    return (
        f": the guest does not run on {operation.source}, and may have moved to {operation.destination} before. "
        f"Bring {operation.destination} back{other}"
    )


def _job_message(fact: Fact | None) -> str | None:
    """None for one that runs, and for one of which the hypervisor does not know why it stopped."""
    if not stopped(fact) or fact is None or fact.domain is None:
        return None
    return _WORDS.get(fact.domain.reason or "")
