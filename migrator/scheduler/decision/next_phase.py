"""A phase is left downward: what is applied, what is kept, and which phase follows.

Pure. Owns the step itself, and never whether it may be taken.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from migrator.event_types import EventType
from migrator.operations import Effect, Operation, Phase, Record
from migrator.protocol import Fact
from migrator.scheduler.decision import evacuated_disks, guest_end, strategy_choice, views
from migrator.scheduler.decision.context_update import context_update, observed, strategy
from migrator.scheduler.decision.operation_data import ContextUpdate
from migrator.scheduler.decision.snapshot import Plan, Snapshot, Timeline
from migrator.scheduler.decision.transfer_outcome import outcome_of


def next_phase(
    snapshot: Snapshot,
    table: Operation,
    phase: Phase,
    *,
    fact: Fact | None = None,
    outcome: Mapping[str, Any] | None = None,
) -> Plan:
    """Leave ``phase`` downward; past the last one the operation is over."""
    operation, learnt = snapshot.operation, context_update(snapshot, phase, fact)
    following = _following(snapshot, table, phase, learnt)
    chosen = strategy(snapshot, phase, fact)
    turned = table.moves and phase.name == table.point_of_no_return
    common: dict[str, Any] = {
        "effect": phase.effect,
        "effect_fact": fact if phase.effect is None else observed(snapshot, phase, turned=turned),
        "context": {**learnt, **({"strategy": chosen[0]} if chosen else {})},
        "outcome": outcome_of(snapshot) or None if phase.records is Record.COPY else outcome,
        "wait_reason": "" if operation.wait_reason else None,
    }
    if following is None:
        compared = strategy_choice.forecast_vs_actual(snapshot)
        return Plan(
            final_status=table.completed, timeline=(*compared, Timeline(EventType.FINISHED, table.completed)), **common
        )
    lines = (
        *((chosen[1],) if chosen else ()),
        *guest_end.put_down(snapshot, phase, fact),
        *evacuated_disks.set_aside(fact),
        _entering(snapshot, following),
    )
    free = operation.locks_instance and not following.locks_instance
    return Plan(phase=following.name, timeline=lines, locks_instance=False if free else None, **common)


def _following(snapshot: Snapshot, table: Operation, phase: Phase, learnt: ContextUpdate) -> Phase | None:
    """The next one that is for this operation, by what is known now."""
    operation = snapshot.operation
    wiser = replace(snapshot, operation=replace(operation, context=operation.context.updated(learnt)))
    later = table.phases[table.index(phase.name) + 1 :]
    return next((phase for phase in later if not views.left_out(wiser, phase)), None)


def _entering(snapshot: Snapshot, phase: Phase) -> Timeline:
    host = views.host_of(snapshot.operation, phase.actor)
    doing = "" if phase.do is Effect.NONE else f": {phase.do.value.replace('_', ' ')}"
    return Timeline(EventType.PHASE_ENTERED, f"{phase.name}{doing}", host=host)
