"""When an operation is to be looked at again, and the alarm of a phase that lasts longer than the table allows it.

Pure. Owns times only: what follows when one of them has passed is decided where the phase is.
"""

from collections.abc import Iterator
from dataclasses import replace

from migrator.event_types import EventType
from migrator.operations import End, Phase
from migrator.scheduler.decision import proof, timeouts
from migrator.scheduler.decision.assignments import asked
from migrator.scheduler.decision.operation_data import ContextUpdate
from migrator.scheduler.decision.snapshot import Plan, Snapshot, Timeline
from migrator.scheduler.decision.transition import enters_phase

_LATER_S = 0.1  # than the deadline: clocks are read one after the other


def timed(snapshot: Snapshot, phase: Phase, plan: Plan) -> Plan:
    """``plan``, with the time at which to look again, and the alarm where the phase is overdue."""
    operation = snapshot.operation
    if plan.asks is not None:
        return plan
    if plan.final_status is not None or enters_phase(plan):
        over: ContextUpdate = {**plan.context, "overdue": ""}
        return replace(plan, context=over) if operation.context.overdue else plan
    if overdue(snapshot, phase) and operation.context.overdue != phase.name:
        late: ContextUpdate = {**plan.context, "overdue": phase.name}
        line = Timeline(EventType.ALARM, overdue_message(snapshot, phase))
        plan = replace(plan, context=late, timeline=(*plan.timeline, line))
    return replace(plan, requeue_after=min(_due(snapshot, phase), default=None))


def overdue(snapshot: Snapshot, phase: Phase) -> bool:
    return bool(phase.deadline_s) and snapshot.operation.phase_age_s >= phase.deadline_s


def overdue_message(snapshot: Snapshot, phase: Phase) -> str:
    """The alarm's: which phase, for how long, and what it waits for."""
    operation = snapshot.operation
    way = phase.name if operation.forward else f"undo {phase.name}"
    reason = f": {operation.wait_reason}" if operation.wait_reason else ""
    return f"OVERDUE: {operation.kind} is in phase {way!r} for more than {phase.deadline_s:g} s{reason}"


def _due(snapshot: Snapshot, phase: Phase) -> Iterator[float]:
    """Seconds until each of the times at which something else may be decided, although no agent reports anything."""
    age_s = snapshot.operation.phase_age_s
    for limit_s in _limits(snapshot, phase):
        if limit_s > age_s:
            yield limit_s - age_s + _LATER_S
    transfers = phase.end is End.VERDICT and snapshot.operation.forward
    if transfers and (stalled_s := timeouts.progress_due_s(snapshot)) is not None:
        yield stalled_s + _LATER_S
    window_s = snapshot.confirm_window_s
    if phase.end is End.OPERATOR and snapshot.operation.forward and window_s:
        yield proof.counting_s(window_s) + _LATER_S


def _limits(snapshot: Snapshot, phase: Phase) -> Iterator[float]:
    """Since the phase began, s."""
    yield phase.deadline_s
    if asked(snapshot.operation):
        yield snapshot.report_timeout_s
    if phase.proof or phase.undo_proof:
        yield proof.GOOD_FOR_S
    if phase.end is End.VERDICT and snapshot.operation.forward:
        yield timeouts.completion_limit_s(snapshot)
