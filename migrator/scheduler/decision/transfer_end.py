"""The verdict ends the transfer of a running guest: what both hosts say together of where it is.

Pure. Owns what turns a transfer round, what changes it on the way, and what is waited for.
"""

from dataclasses import replace

from migrator.operations import Operation, Phase
from migrator.protocol import AttemptState, Fact
from migrator.scheduler.decision import guest_end, strategy_choice, timeouts, views
from migrator.scheduler.decision.next_phase import next_phase
from migrator.scheduler.decision.postcopy_failure import BROKEN_OFF, postcopy_dead, postcopy_half, verdict_of
from migrator.scheduler.decision.rollback_start import start_rollback
from migrator.scheduler.decision.snapshot import Plan, Snapshot
from migrator.scheduler.decision.transfer_outcome import outcome_of
from migrator.scheduler.decision.verdict import Verdict, job_active
from migrator.scheduler.decision.waiting import ALARMS, alarm, wait

_HELD = "HOLD: neither copy runs and no transfer is active: "


def by_verdict(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    operation = snapshot.operation
    source = views.fresh(snapshot, operation.source)
    found = verdict_of(snapshot)
    if found is Verdict.DESTINATION:
        plan = next_phase(snapshot, table, phase, outcome=outcome_of(snapshot))
        ended = guest_end.after_arrival(snapshot)
        return replace(plan, timeline=(*ended, *plan.timeline)) if ended else plan
    if found in ALARMS:
        return alarm(snapshot, found)
    if operation.cancel_requested:
        return start_rollback(snapshot, "cancelled", "cancelled on request", status="cancelled")
    if found is Verdict.SOURCE and source is not None:
        attempt, problem = source.attempt, source.problem
        over = attempt is not None and attempt.state is AttemptState.ENDED
        refused = problem is not None and problem.final
        if (over or refused) and (by_itself := guest_end.on_the_way(snapshot)) is not None:
            return start_rollback(snapshot, "guest_stopped", by_itself)
        if attempt is not None and over:
            return start_rollback(snapshot, "transfer_failed", _why_it_ended(snapshot, attempt.error))
        if problem is not None and refused:
            return start_rollback(snapshot, problem.code, problem.message)
    if found is Verdict.SWITCHOVER and postcopy_dead(source):
        return wait(snapshot, f"{operation.source}: {BROKEN_OFF}")
    if found is Verdict.SWITCHOVER and source is not None and not job_active(source):
        return wait(snapshot, _HELD + _way_out_of_hold(snapshot, source))
    if source is not None and job_active(source) and (late := timeouts.expired(snapshot, source)) is not None:
        return timeouts.act(snapshot, late)
    if (
        source is not None
        and job_active(source)
        and (other := strategy_choice.switch_to_postcopy(snapshot, source)) is not None
    ):
        return other
    if found is Verdict.WAIT and (lost := _lost(snapshot)):
        return start_rollback(snapshot, "host_fenced", f"{lost} is lost: {views.evidence(snapshot, lost)}")
    return wait(
        snapshot, views.missing(snapshot) + guest_end.perhaps_arrived(snapshot) if found is Verdict.WAIT else ""
    )


def _way_out_of_hold(snapshot: Snapshot, source: Fact) -> str:
    """What helps: where the source has the guest no more, there is no way back to cancel to."""
    there = f"resume it on {snapshot.operation.destination} (virsh resume)"
    return (
        f"{there}, or cancel"
        if guest_end.guest_on_source(source)
        else f"{snapshot.operation.source} has it no more: {there}"
    )


def _why_it_ended(snapshot: Snapshot, error: str | None) -> str:
    """The source often knows no more than that its socket broke: the destination's QEMU may have said why."""
    operation = snapshot.operation
    message = error or "the transfer ended without moving the guest"
    return f"{operation.source}: {message} (QEMU's log of the guest on {operation.destination} may tell more)"


def _lost(snapshot: Snapshot) -> str | None:
    """An end of the transfer that is fenced, while the other one tells that it did not take the guest along."""
    operation = snapshot.operation
    source, destination = (views.fresh(snapshot, host) for host in (operation.source, operation.destination))
    if destination is not None and views.fenced(snapshot, operation.source):
        return operation.source
    # One that is stopped may be what a power cut has brought back: it proves nothing beside a silent destination.
    whole = (
        source is not None
        and guest_end.guest_on_source(source)
        and not postcopy_half(source)
        and not guest_end.stopped(source)
    )
    if whole and views.fenced(snapshot, operation.destination):
        return operation.destination
    return None
