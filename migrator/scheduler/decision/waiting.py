"""Plans that change nothing but what is said: a named reason to wait, or an alarm."""

import math
from dataclasses import replace

from migrator.event_types import EventType
from migrator.operations import OPERATIONS
from migrator.scheduler.decision import views
from migrator.scheduler.decision.operation_data import ContextUpdate
from migrator.scheduler.decision.snapshot import NOTHING, Plan, Snapshot, Timeline
from migrator.scheduler.decision.verdict import Verdict

CONFIRM_S = 6.0  # an agent looks again at what has settled within 5 s, and tells what changed
LATE_S = 1.0  # a fact may be so much older than its arrival
REPEATING = 2  # the protocol from which on an agent sends unchanged facts again
ALARMS = {
    Verdict.SPLIT: "the instance runs on both hosts; nothing is touched until an operator has looked",
    Verdict.LOST: "neither host has the instance; nothing is touched until an operator has looked",
    Verdict.POSTCOPY_LOST: "its post-copy failed, and one of its halves is lost: the other cannot go on, and newer "
    "data of copied disks is the destination's; nothing is touched until an operator has looked",
}


def wait(snapshot: Snapshot, reason: str) -> Plan:
    """Write the named reason down when it changed; otherwise do nothing."""
    if (snapshot.operation.wait_reason or "") == reason:
        return NOTHING
    line = (Timeline(EventType.BLOCKED, reason),) if reason else (Timeline(EventType.BLOCKED, "moving again"),)
    return Plan(wait_reason=reason, timeline=line)


def set_free(snapshot: Snapshot, host: str) -> Plan:
    """Wait for a host that is lost, which only has to clean up: the instance need not."""
    waiting = wait(snapshot, views.silence(snapshot, host))
    if not snapshot.operation.locks_instance:
        return waiting
    line = Timeline(
        EventType.CLEANUP_DEFERRED, f"{host} is lost: what is left behind is cleaned up when it returns", host
    )
    return replace(waiting, locks_instance=False, timeline=(*waiting.timeline, line))


def alarm(snapshot: Snapshot, found: Verdict) -> Plan:
    if not _confirmed(snapshot):
        return NOTHING
    reason = f"{found.value.upper()}: {ALARMS[found]}"
    if snapshot.operation.wait_reason == reason:
        return NOTHING
    kept: ContextUpdate = {"torn": True} if found is Verdict.POSTCOPY_LOST else {}
    return Plan(wait_reason=reason, context=kept, timeline=(Timeline(EventType.ALARM, reason),))


def _confirmed(snapshot: Snapshot) -> bool:
    """Whether both hosts have spoken long enough after the newer of the two facts that the older one, too, would have
    been replaced if it were no longer true. Facts of two moments can look like a split or a loss."""
    ends = (snapshot.operation.source, snapshot.operation.destination)
    hosts = [host for host in ends if host is not None and not _lost(snapshot, host)]
    newest = min((snapshot.ages.get(host, math.inf) for host in hosts), default=math.inf)
    return all(_stands(snapshot, host, newest) for host in hosts if host in snapshot.hosts)


def _stands(snapshot: Snapshot, host: str, newest_s: float) -> bool:
    """Whether the host's fact would have been replaced by now. That its agent polls does not tell: the step that looks
    at the guest may hang beside that. So an older fact counts once it was repeated."""
    view, age_s = snapshot.hosts[host], snapshot.ages.get(host, 0.0)
    if newest_s - view.silent_s < CONFIRM_S:
        return False
    is_newest = age_s <= newest_s or view.report.protocol < REPEATING
    return is_newest or newest_s - snapshot.told.get(host, 0.0) >= LATE_S


def _lost(snapshot: Snapshot, host: str) -> bool:
    """Fenced, it says no more."""
    return host in snapshot.hosts and snapshot.hosts[host].fenced


def queue_wait(snapshot: Snapshot) -> Plan | None:
    """For an operation that others go before, at its source or where it waits to come in; None: it may be placed."""
    return _outbound(snapshot) or _inbound(snapshot)


def _inbound(snapshot: Snapshot) -> Plan | None:
    """The first operation that any host would do for is placed anew each time: another host may be free by now."""
    operation, place = snapshot.operation, snapshot.inbound
    if operation.destination is None or not snapshot.inbound_limit or place.ahead < snapshot.inbound_limit:
        return None
    host = snapshot.hosts.get(operation.destination)
    if host is None or not host.up or host.disabled or (place.foremost and operation.requested_host is None):
        return None
    return wait_in_queue(snapshot, operation.destination, place.ahead)


def wait_in_queue(snapshot: Snapshot, host: str, ahead: int) -> Plan:
    """Wait to come into the host, where ``ahead`` others go first. Its place changes often: only that it began to wait
    there is in the timeline."""
    limit = snapshot.inbound_limit
    plan = wait(
        snapshot,
        f"queued: position {ahead - limit + 1} of what comes into {host}, of which {limit} may be under way "
        "(max_concurrent_builds)",
    )
    if snapshot.operation.destination != host:
        return replace(plan, destination=host)
    return replace(plan, timeline=())


def _outbound(snapshot: Snapshot) -> Plan | None:
    """For a live migration that others of its source go before."""
    operation, limit = snapshot.operation, snapshot.outbound_limit
    if not OPERATIONS[operation.kind].live or not limit or snapshot.ahead < limit:
        return None
    place = snapshot.ahead - limit + 1
    return wait(
        snapshot,
        f"queued: position {place} of the live migrations from {operation.source}, of which {limit} may be under way "
        "(max_concurrent_live_migrations)",
    )
