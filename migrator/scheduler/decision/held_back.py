"""Whether an operation waits before anything is decided: it is not known where the instance is.

Pure. Owns the reason. That a dispute is over is found out elsewhere: an operator says so, or a host is heard.
"""

from migrator.operations import OPERATIONS, End, Phase
from migrator.protocol import AttemptState
from migrator.scheduler.decision import views
from migrator.scheduler.decision.snapshot import HostView, Snapshot


def held_back(snapshot: Snapshot, phase: Phase) -> str:
    """Why the operation waits, and no host is asked for anything, until it is known where the instance is, or which
    copy of it is the right one; "": it does not. A transfer that is under way is libvirt's, and ends first."""
    operation, table = snapshot.operation, OPERATIONS[snapshot.operation.kind]
    if snapshot.disputed and not (phase.end is End.VERDICT and _begun(snapshot)):
        return f"{snapshot.disputed}; compare both with `migrator reconcile {operation.instance_uuid}`"
    given_up = operation.cancel_requested and table.builds  # an evacuation undoes what it finds
    if snapshot.perhaps_built_on is not None and not given_up:
        return _may_run_on(snapshot.perhaps_built_on)
    home = views.view_of(snapshot, snapshot.record_host)
    if table.trusts_record and home is not None and home.heard and not home.listed:
        return _unlisted(home)
    if table.cold and operation.locks_instance:
        # Also one that was asked for nothing yet, over a database that was restored from a backup.
        hosts = (operation.destination,) if _arrived(snapshot, phase) else (operation.source, operation.destination)
        ends = (views.view_of(snapshot, host) for host in hosts)
        return next((_unlisted(end) for end in ends if end and not (end.listed or end.fenced)), "")
    return ""


def _arrived(snapshot: Snapshot, phase: Phase) -> bool:
    """Whether the instance is at the destination by its record, and what comes next asks the source first where it is
    about what the source has: going on deletes nothing there before the destination has shown its disks, and going back
    stops nothing at the destination before the source has shown its own."""
    table = OPERATIONS[snapshot.operation.kind]
    if snapshot.operation.forward:
        return table.index(phase.name) > table.index(table.recorded_by)
    return any(one.undo_end is End.PROOF for one in table.phases[: table.index(phase.name) + 1])


def _unlisted(host: HostView) -> str:
    if not host.heard:
        return f"waiting for host {host.name}, which is silent"
    return f"waiting for host {host.name}: it has not listed its guests since the servers are back"


def _may_run_on(host: HostView) -> str:
    """With what ends it, where that is an operator's to say: evidence of before the servers were last away is none."""
    waiting = f"{_unlisted(host)}; the instance may run there"
    if host.heard or host.evidence is not None:
        return waiting
    again = " (again: it was forced down before the servers were last away)" if host.forced_down else ""
    return f"{waiting}: bring it back or, if it is lost, `migrator service-force-down {host.name}`{again}"


def _begun(snapshot: Snapshot) -> bool:
    operation = snapshot.operation
    fact = views.newest(snapshot, operation.source, operation.epoch)
    begun = fact is not None and fact.attempt is not None and fact.attempt.state is not AttemptState.NONE
    return begun or not operation.forward
