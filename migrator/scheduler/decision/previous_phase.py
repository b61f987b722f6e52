"""A phase is left upward: which one is undone next, what a host is left owing, and how the way back ends.

Pure. Owns the step itself, and never whether it may be taken; and the way out that tries another host.
"""

from typing import Any

from migrator.event_types import EventType
from migrator.operations import Effect, End, Loss, Operation, Phase
from migrator.protocol import Fact
from migrator.scheduler.decision import views
from migrator.scheduler.decision.context_update import observed
from migrator.scheduler.decision.snapshot import OperationView, Plan, Snapshot, Timeline

MAX_ATTEMPTS = 3  # hosts tried for one operation, where the request named none


def owed_phases(operation: OperationView) -> list[str]:
    """Names of the phases whose undoing was put off, in the order in which they will be undone."""
    return list(operation.context.deferred_undos)


def leave_phase(
    snapshot: Snapshot, table: Operation, phase: Phase, effect: Effect | None = None, owing: str | None = None
) -> Plan:
    """Leave ``phase`` upward; above the first one the operation is over, or waits for what is owed."""
    operation = snapshot.operation
    if phase.claims_host and effect is not None and _may_retry(table, operation):
        return _retry(operation, effect)
    owed = [*owed_phases(operation), *([owing] if owing else [])]
    common: dict[str, Any] = {
        "effect": effect,
        "effect_fact": observed(snapshot, phase) if effect is not None else None,
        "context": {"owed": owed} if owing else {},
        "wait_reason": "" if operation.wait_reason else None,
    }
    above = _turned_above(table, phase, operation)
    above = above or _above(snapshot, table, phase, owed if not operation.locks_instance else None)
    if above is not None:
        entering = Timeline(EventType.PHASE_ENTERED, f"undo {above.name}", host=views.host_of(operation, above.actor))
        clear = phase.claims_host and effect is not None and not table.moves
        lines = (entering,) if above.undo is not None else ()
        return Plan(phase=above.name, clear_destination=clear, timeline=lines, **common)
    if operation.locks_instance and owed:
        return _owing(snapshot, table, owed, common)
    return _over(snapshot, table, common)


def _above(snapshot: Snapshot, table: Operation, phase: Phase, owed: list[str] | None) -> Phase | None:
    """The next phase to undo: the one above, or the next deferred one."""
    if owed is not None:
        later = owed[owed.index(phase.name) + 1 :]
        return table.phase(later[0]) if later else None
    before = table.phases[: table.index(phase.name)]
    return next((p for p in reversed(before) if not (p.lends and views.left_out(snapshot, p))), None)


def _turned_above(table: Operation, phase: Phase, operation: OperationView) -> Phase | None:
    """From the proof on to where the operation turned round: what is between them was never done."""
    failed = str((operation.error or {}).get("phase", ""))
    proves = phase.undo_end is End.PROOF and operation.locks_instance
    if not proves or not any(p.name == failed and p.undo_proof == phase.name for p in table.phases):
        return None
    return table.phase(failed)


def _owing(snapshot: Snapshot, table: Operation, owed: list[str], common: dict[str, Any]) -> Plan:
    """Everything that concerns the instance is undone: it is free, and the operation stays for the silent host. What is
    deleted there, perhaps much later, needs a new proof of the copy that stays."""
    error = snapshot.operation.error or {}
    line = Timeline(
        EventType.CLEANUP_DEFERRED,
        f"{error.get('message', '')}; what is left behind is cleaned up when its host returns",
    )
    first = next((n for n in owed if table.phase(n).undo_proof and table.phase(n).undo_destroys is Loss.COPY), None)
    if first is not None and (proves := table.phase(first).undo_proof) not in owed:
        owed = [*owed[: owed.index(first)], proves, *owed[owed.index(first) :]]
    common |= {"context": {**common["context"], "owed": owed}, "bump_epoch": True}
    return Plan(phase=owed[0], locks_instance=False, timeline=(line,), **common)


def _over(snapshot: Snapshot, table: Operation, common: dict[str, Any]) -> Plan:
    error = snapshot.operation.error or {}
    if common["effect"] is None and table.recorded_on_failure is not None:
        common |= {"effect": table.recorded_on_failure, "effect_fact": _last_power(snapshot)}
    status = str(error.get("status", "error"))
    return Plan(
        final_status=status, timeline=(Timeline(EventType.FINISHED, f"{status}: {error.get('message', '')}"),), **common
    )


def _last_power(snapshot: Snapshot) -> Fact | None:
    return views.newest(snapshot, snapshot.operation.source, snapshot.operation.epoch - 1)


def _may_retry(table: Operation, operation: OperationView) -> bool:
    error = operation.error or {}
    failed = error.get("phase")
    tried = operation.context.refused
    return (
        operation.requested_host is None
        and not operation.cancel_requested
        and operation.destination is not None
        and operation.locks_instance
        and failed in {phase.name for phase in table.phases if phase.reschedule_on_failure}
        and len(tried) + 1 < MAX_ATTEMPTS
    )


def _retry(operation: OperationView, effect: Effect) -> Plan:
    """The host refused, and no client asked for it by name: let the scheduler choose another one."""
    error = operation.error or {}
    assert operation.destination is not None
    refused = dict(operation.context.refused) | {operation.destination: [str(error.get("message", ""))]}
    return Plan(
        forward=True,
        bump_epoch=True,
        effect=effect,
        clear_destination=True,
        context={"refused": refused},
        error={},
        wait_reason="" if operation.wait_reason else None,
        timeline=(
            Timeline(
                EventType.RESCHEDULED, f"trying another host than {operation.destination}", host=operation.destination
            ),
        ),
    )
