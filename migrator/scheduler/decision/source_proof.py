"""The source shows its disks, on the way back of a cold move, before the destination's copy is stopped or deleted.

Pure. Owns what follows where it cannot: the instance stays where it has arrived.
"""

from collections.abc import Sequence
from dataclasses import replace

from migrator.event_types import EventType
from migrator.operations import OPERATIONS, Actor, End, Operation, Phase
from migrator.protocol import Fact, TargetPowerState
from migrator.scheduler.decision import proof, views
from migrator.scheduler.decision.completion import Progress
from migrator.scheduler.decision.operation_data import ContextUpdate
from migrator.scheduler.decision.previous_phase import leave_phase
from migrator.scheduler.decision.snapshot import OperationView, Plan, Snapshot, Timeline
from migrator.scheduler.decision.waiting import wait


def prove_source(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    """The source shows its disks before the destination's copy is stopped or deleted. Where it cannot, the instance
    stays where it has arrived."""
    operation, host = snapshot.operation, snapshot.operation.source
    assert host is not None
    if not operation.locks_instance and (
        snapshot.deleted or snapshot.record_host != host
    ):  # it lives elsewhere, or nowhere
        return leave_phase(snapshot, table, phase)
    if not operation.locks_instance and not views.heard(snapshot, operation.destination):  # so that the proof is fresh
        return wait(snapshot, views.silence(snapshot, operation.destination or ""))
    reverted = operation.locks_instance and (operation.error or {}).get("status") == "reverted"
    called_off = operation.confirm_requested and not _gone(snapshot)  # of what is deleted already nothing can stay
    if reverted and (called_off or snapshot.deleting):
        return _stay(snapshot, "the revert was called off: it is confirmed instead", confirm=True)
    if snapshot.deleting:
        return leave_phase(snapshot, table, phase)
    fact = views.fresh(snapshot, host)
    if fact is None:
        return _keeper_unheard(snapshot, table, phase, host)
    if views.taken_over(snapshot, fact):  # a newer operation of the instance has had its own proofs
        return leave_phase(snapshot, table, phase)
    judged = proof.judge_whole(snapshot, Actor.SOURCE, fact)
    if judged.progress is Progress.DONE:
        plan = leave_phase(snapshot, table, phase)
        line = Timeline(EventType.COPY_PROVEN, f"{host} has its disks whole: {_shown(fact)}", host)
        context: ContextUpdate = {**plan.context, proof.UNDOING: True}
        return replace(plan, timeline=(line, *plan.timeline), context=context, confirm=False)
    reason = f"{host} has not what it should have: {judged.message}"
    if judged.progress is Progress.FAILED and operation.locks_instance and proof.may_stay(snapshot):
        return _stay(snapshot, f"not undone, for {reason}; the instance stays on {operation.destination}")
    return wait(snapshot, f"{reason}; {_untouched(operation)}" if judged.message else "")


def _shown(fact: Fact) -> str:
    return ", ".join(f"{disk.target} {disk.virtual_bytes} bytes {disk.checksum or ''}".strip() for disk in fact.disks)


def _untouched(operation: OperationView) -> str:
    reverted = (operation.error or {}).get("status") == "reverted"
    way_out = "; wait, or confirm, which keeps the instance there" if reverted else ""
    return f"nothing on {operation.destination} is deleted before {operation.source} has shown its disks{way_out}"


def _keeper_unheard(snapshot: Snapshot, table: Operation, phase: Phase, host: str) -> Plan:
    operation = snapshot.operation
    if views.heard(snapshot, host):
        return wait(snapshot, "")
    silent = f"{views.silence(snapshot, host)}: {_untouched(operation)}"
    if views.awaited(snapshot, host) or not operation.locks_instance or not views.fenced(snapshot, host):
        return wait(snapshot, silent)
    if proof.may_stay(snapshot):
        return _stay(snapshot, f"not undone, for {host} is lost; the instance stays on {operation.destination}")
    if not proof.arrived(snapshot) or views.fenced(snapshot, operation.destination):
        # The instance is free to be evacuated, and the copy stays until it lives elsewhere, or the source has shown it.
        return leave_phase(snapshot, table, phase, owing=phase.name)
    return wait(snapshot, silent)


def _stay(snapshot: Snapshot, message: str, *, confirm: bool | None = None) -> Plan:
    """Forward again, to where an operator is waited for: the copy at the destination is the one that is proven. A guest
    that the way back may have stopped is started there; what could not be is put down there, stopped."""
    operation = snapshot.operation
    if operation.context.undoing and (undone := _undoing(snapshot)):
        return wait(snapshot, undone)
    table = OPERATIONS[operation.kind]
    again = not proof.recorded(snapshot) or operation.context.undoing
    waiting = table.ended_by(End.OPERATOR)
    assert waiting is not None
    context: ContextUpdate = {proof.WINDOW: None, "owed": [], proof.UNDOING: False}
    if not proof.recorded(snapshot):
        context |= {"power": TargetPowerState.SHUT_OFF.value, proof.STAYED: True}
    return Plan(
        phase=table.stays_from if again else waiting.name,
        forward=True,
        bump_epoch=True,
        error={},
        cancel=False,
        confirm=confirm,
        context=context,
        wait_reason="" if operation.wait_reason else None,
        timeline=(Timeline(EventType.ROLLBACK_STARTED, message, operation.destination),),
    )


def _undoing(snapshot: Snapshot) -> str:
    """Why an instance whose copy at the destination was to be stopped and deleted cannot stay there yet: until its host
    answers under this epoch it may still do what it was asked before."""
    host = snapshot.operation.destination or ""
    fact = views.fresh(snapshot, host)
    if fact is None or fact.domain is None:
        return f"{views.silence(snapshot, host)}: it was asked to delete its copy, and has not said what is left"
    gone = _gone(snapshot)
    return f"{host} has deleted {', '.join(gone)}: the instance cannot stay there" if gone else ""


def _gone(snapshot: Snapshot) -> Sequence[str]:
    """What the destination has not got any more of that which it was asked to delete."""
    fact = views.fresh(snapshot, snapshot.operation.destination)
    undoing = snapshot.operation.context.undoing
    return [disk.target for disk in fact.disks if not disk.exists] if fact is not None and undoing else ()
