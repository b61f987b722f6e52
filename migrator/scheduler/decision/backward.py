"""The way back: the kind's table read upward, from where the operation turned round.

Pure. Owns what ends the undoing of each phase, when a host that cannot be reached is left owing it, and the way out
where the instance turns out to run on the destination after all.
"""

from dataclasses import replace

from migrator.event_types import EventType
from migrator.operations import Actor, Deferral, Effect, End, Loss, Operation, Phase
from migrator.protocol import Fact
from migrator.scheduler.decision import guest_end, proof, views
from migrator.scheduler.decision.completion import Progress
from migrator.scheduler.decision.phase_judgement import judge_undone
from migrator.scheduler.decision.postcopy_failure import verdict_of
from migrator.scheduler.decision.previous_phase import leave_phase, owed_phases
from migrator.scheduler.decision.snapshot import Plan, Snapshot, Timeline
from migrator.scheduler.decision.source_proof import prove_source
from migrator.scheduler.decision.transfer_outcome import outcome_of
from migrator.scheduler.decision.verdict import Verdict
from migrator.scheduler.decision.waiting import ALARMS, alarm, wait


def rollback(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    operation = snapshot.operation
    if (back := _back_from_the_dead(snapshot, table)) is not None:
        return back
    if phase.undo is None or views.skipped(operation, phase) or views.left_out(snapshot, phase):
        return leave_phase(snapshot, table, phase)
    if phase.undo_end is End.PROOF:
        return prove_source(snapshot, table, phase)
    if snapshot.deleting and phase.undo_left_to_delete:
        return leave_phase(snapshot, table, phase)
    if phase.undo_proof in owed_phases(operation) and operation.locks_instance and _deferrable(phase):
        return leave_phase(snapshot, table, phase, owing=phase.name)  # not before the copy that stays is proven
    # Once the instance is free, where it is says nothing about this operation: it may have moved on, or be deleted.
    judged = operation.locks_instance and views.judged_by_verdict(table, phase)
    found = verdict_of(snapshot) if judged else None
    if found is Verdict.DESTINATION:
        return _forward_again(snapshot, table)
    if found in ALARMS:
        return alarm(snapshot, found)
    if isinstance(phase.undo, Effect):
        return _undo_effect(snapshot, table, phase, phase.undo)
    host = views.host_of(operation, phase.actor)
    if host is None:
        return leave_phase(snapshot, table, phase)
    fact = views.fresh(snapshot, host)
    if fact is None:
        return _unheard(snapshot, table, phase, host)
    judgement = judge_undone(snapshot, phase, fact)
    if judgement.progress is not Progress.DONE and proof.lapsed(snapshot, table, phase, phase.undo_proof):
        return replace(wait(snapshot, ""), phase=phase.undo_proof, bump_epoch=True)
    if judgement.progress is not Progress.DONE:
        return wait(snapshot, f"{host}: {judgement.message}" if judgement.message else "")
    if phase.undo_end is End.VERDICT and not _stayed(snapshot, fact):
        # No job, and no guest that runs on the source either: only the destination's fact can tell where it is.
        destination = operation.destination
        silent = views.missing(snapshot) + guest_end.perhaps_arrived(snapshot)
        return wait(snapshot, silent or f"waiting to hear from {destination} where it runs")
    return leave_phase(snapshot, table, phase)


def _stayed(snapshot: Snapshot, fact: Fact) -> bool:
    """Whether the source still has its guest. A stopped one may be what a power cut brought back: it counts with the
    destination's word beside it, or where an operator, who knows that the destination is lost, has cancelled."""
    if not guest_end.guest_on_source(fact):
        return False
    destination = snapshot.operation.destination
    told = views.state_of(views.fresh(snapshot, destination)) is not None
    given_up = snapshot.operation.cancel_requested and views.fenced(snapshot, destination)
    return told or given_up or not guest_end.stopped(fact)


def _back_from_the_dead(snapshot: Snapshot, table: Operation) -> Plan | None:
    """A fenced host that is heard again before the instance is put back: its guest may never have ended, and holds the
    disk. So that is undone first, and all above it once more."""
    operation, owed = snapshot.operation, owed_phases(snapshot.operation)
    for place, name in enumerate(owed if operation.locks_instance else []):
        host = views.host_of(operation, table.phase(name).actor)
        if table.phase(name).undo_destroys is Loss.GUEST and views.heard(snapshot, host):
            return Plan(
                phase=name,
                bump_epoch=True,
                context={"owed": owed[:place]},
                wait_reason="" if operation.wait_reason else None,
                timeline=(Timeline(EventType.PHASE_ENTERED, f"{host} is back: undo {name} first", host=host),),
            )
    return None


def _deferrable(phase: Phase) -> bool:
    """Whether the undo may be put off at all, be it only while its host is fenced."""
    return phase.undo_deferrable is not Deferral.NEVER


def _undo_effect(snapshot: Snapshot, table: Operation, phase: Phase, effect: Effect) -> Plan:
    """A claim stays while its host still has something to clean up."""
    operation = snapshot.operation
    owes = any(table.phase(name).actor is Actor.DESTINATION for name in owed_phases(operation))
    if phase.claims_host and operation.locks_instance and owes:
        return leave_phase(snapshot, table, phase, owing=phase.name)
    return leave_phase(snapshot, table, phase, effect=effect)


def _unheard(snapshot: Snapshot, table: Operation, phase: Phase, host: str) -> Plan:
    """A silent host is waited for, unless its part can be owed: nothing that it did could run the guest, or the host
    is fenced."""
    gone = not views.heard(snapshot, host)
    if not gone and proof.lapsed(snapshot, table, phase, phase.undo_proof):
        return replace(wait(snapshot, ""), phase=phase.undo_proof, bump_epoch=True)
    if gone and not snapshot.operation.locks_instance and phase.undo_proof in owed_phases(snapshot.operation):
        return replace(wait(snapshot, views.silence(snapshot, host)), phase=phase.undo_proof, bump_epoch=True)
    given_up = gone and not views.awaited(snapshot, host)
    by_silence = phase.undo_deferrable is Deferral.SILENT and views.listed(snapshot, host)
    if given_up and snapshot.operation.locks_instance and (by_silence or views.fenced(snapshot, host)):
        return leave_phase(snapshot, table, phase, owing=phase.name if _deferrable(phase) else None)
    return wait(snapshot, views.silence(snapshot, host) if gone else "")


def _forward_again(snapshot: Snapshot, table: Operation) -> Plan:
    """The verdict is "destination": whatever was being undone, the guest lives there now (rule 4)."""
    assert table.point_of_no_return is not None
    return Plan(
        phase=table.point_of_no_return,
        forward=True,
        bump_epoch=True,
        error={},
        outcome=outcome_of(snapshot),
        wait_reason="" if snapshot.operation.wait_reason else None,
        timeline=(
            Timeline(
                EventType.ROLLBACK_STARTED,
                "the instance runs on the destination: going forward",
                snapshot.operation.destination,
            ),
        ),
    )
