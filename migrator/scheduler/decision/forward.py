"""The way forward: the kind's table read downward, one phase at a time.

Pure. Owns what ends a phase (a fact, both hosts' facts together, the verdict, an operator's word, evidence that a host
is fenced) and what turns an operation round.
"""

from dataclasses import replace

from migrator.event_types import EventType
from migrator.operations import Deferral, End, Operation, Phase
from migrator.protocol import STALE_EPOCH, SUPERSEDED, UNKNOWN_ASSIGNMENT, DomainState
from migrator.scheduler.decision import attestation, proof, views
from migrator.scheduler.decision.completion import Progress
from migrator.scheduler.decision.host_claim import claim_host
from migrator.scheduler.decision.next_phase import next_phase
from migrator.scheduler.decision.operation_data import ContextUpdate
from migrator.scheduler.decision.phase_judgement import failure_message, judge_done, pending_reason
from migrator.scheduler.decision.postcopy_failure import torn_after_arrival
from migrator.scheduler.decision.rollback_start import start_rollback
from migrator.scheduler.decision.snapshot import Plan, Snapshot, Timeline
from migrator.scheduler.decision.transfer_end import by_verdict
from migrator.scheduler.decision.verdict import Verdict, user_paused
from migrator.scheduler.decision.waiting import alarm, set_free, wait


def advance(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    operation = snapshot.operation
    if phase.end is End.VERDICT:
        return by_verdict(snapshot, table, phase)
    if phase.end is End.OPERATOR:
        return _verify(snapshot, table, phase)
    if phase.end is End.PROOF:
        return _attest(snapshot, table, phase)
    if operation.cancel_requested and table.reversible(phase.name):
        return start_rollback(snapshot, "cancelled", "cancelled on request", status="cancelled")
    if phase.end is End.NO_COPY and snapshot.copies:
        return wait(snapshot, _left(snapshot))
    if phase.end in (End.EFFECT, End.NO_COPY):
        return claim_host(snapshot, table, phase) if phase.claims_host else next_phase(snapshot, table, phase)
    host = views.host_of(operation, phase.actor)
    if host is None or views.skipped(operation, phase):  # no host holds anything that this phase is about
        return next_phase(snapshot, table, phase)
    if phase.fencing_evidence_suffices and not views.heard(snapshot, host):
        return _fence(snapshot, table, phase, host)
    if phase.fencing_evidence_suffices and snapshot.hosts[host].up:
        return start_rollback(snapshot, "source_is_back", f"{host} is back in service: it keeps its instances")
    if phase.fencing_evidence_suffices and not views.keeps_disks(snapshot):
        return start_rollback(snapshot, "source_is_back", f"{host} answers, and the disks are there and nowhere else")
    if phase.end is End.CHECKSUMS and views.fenced(snapshot, operation.source):
        return start_rollback(
            snapshot, "host_fenced", f"{operation.source} is lost: {views.evidence(snapshot, operation.source)}"
        )
    if _source_is_back(snapshot, table, phase):
        return start_rollback(snapshot, "source_is_back", f"{operation.source} is back, and the instance runs there")
    if torn_after_arrival(snapshot, table, phase):
        return alarm(snapshot, Verdict.POSTCOPY_LOST)
    return _by_fact(snapshot, table, phase, host)


def _left(snapshot: Snapshot) -> str:
    """Which hosts report a copy of an instance that is being deleted."""
    said = ", ".join(f"{host} ({state})" for host, state in snapshot.copies)
    return f"a copy of the instance is reported by {said}: it is not deleted before that is destroyed and undefined"


def _by_fact(snapshot: Snapshot, table: Operation, phase: Phase, host: str) -> Plan:
    fact = views.fresh(snapshot, host)
    if fact is None:
        return _unheard(snapshot, table, phase, host)
    judgement = judge_done(snapshot, phase, fact)
    if judgement.progress is Progress.DONE and _source_is_untold(snapshot, phase):
        source = snapshot.operation.source
        return wait(snapshot, f"{source} is back: waiting to hear whether the instance runs there")
    if judgement.progress is Progress.DONE:
        return next_phase(snapshot, table, phase, fact=fact)
    if proof.lapsed(snapshot, table, phase, phase.proof):
        return replace(wait(snapshot, ""), phase=phase.proof, bump_epoch=True)
    # It would wait for ever otherwise, and hold the instance.
    refused = judgement.code in (SUPERSEDED, STALE_EPOCH) and not table.undone_by_hosts(phase.name)
    refused = refused or (phase.lends and judgement.code == UNKNOWN_ASSIGNMENT)  # an agent that cannot lend
    if (refused or judgement.progress is Progress.FAILED) and table.reversible(phase.name):
        return start_rollback(snapshot, judgement.code, failure_message(phase, host, judgement))
    return wait(snapshot, pending_reason(snapshot, phase, host, judgement))


def _unheard(snapshot: Snapshot, table: Operation, phase: Phase, host: str) -> Plan:
    silent = views.silence(snapshot, host)
    if proof.lapsed(snapshot, table, phase, phase.proof):
        return replace(wait(snapshot, ""), phase=phase.proof, bump_epoch=True)
    if views.heard(snapshot, host):
        return wait(snapshot, "")
    if views.awaited(snapshot, host):
        return wait(snapshot, silent)
    if phase.proof and not views.left_out(snapshot, table.phase(phase.proof)):
        plan = set_free(snapshot, host) if views.fenced(snapshot, host) else wait(snapshot, silent)
        return replace(plan, phase=phase.proof, bump_epoch=True)
    if phase.harmless or (phase.undo_deferrable is Deferral.SILENT and table.reversible(phase.name)):
        return start_rollback(snapshot, "host_down", f"{host}: its agent is down, and {phase.name} needs it")
    if views.fenced(snapshot, host) and phase.locks_instance:
        if table.reversible(phase.name):
            return start_rollback(snapshot, "host_fenced", f"{host} is lost: {views.evidence(snapshot, host)}")
        if table.moves:  # it arrived: only the lost host's cleaning is left, and the instance need not wait for that
            return set_free(snapshot, host)
    return wait(snapshot, silent)


def _fence(snapshot: Snapshot, table: Operation, phase: Phase, host: str) -> Plan:
    """A silent host: evidence that its guests do not run takes the place of its word (rule 7)."""
    view = views.view_of(snapshot, host)
    if view is not None and view.awaited:
        return wait(snapshot, views.silence(snapshot, host))
    if view is not None and view.evidence is not None:
        plan = next_phase(snapshot, table, phase)
        accepted = Timeline(EventType.FENCING_EVIDENCE, f"accepted that {host} runs nothing: {view.evidence}", host)
        context: ContextUpdate = {**plan.context, "evidence": view.evidence}
        return replace(plan, context=context, timeline=(accepted, *plan.timeline))
    if view is not None and view.fence_failed is not None:
        return start_rollback(snapshot, "fencing_failed", f"{host} could not be fenced: {view.fence_failed}")
    again = "; it was forced down too long ago for that: say so again" if view is not None and view.forced_down else ""
    return wait(snapshot, f"waiting for evidence that {host}, which is silent, runs nothing{again}")


def _source_is_back(snapshot: Snapshot, table: Operation, phase: Phase) -> bool:
    """An evacuated host that returns with the guest running, or as a user had paused it, before another copy was
    started."""
    if table.live or not phase.observes_peer:
        return False
    operation = snapshot.operation
    source = views.fresh(snapshot, operation.source)
    there = views.state_of(views.fresh(snapshot, operation.destination))
    alive = views.state_of(source) is DomainState.RUNNING or user_paused(source)
    return alive and there is not DomainState.RUNNING


def _source_is_untold(snapshot: Snapshot, phase: Phase) -> bool:
    """Evidence speaks of a silent host. One that is heard again says what it runs, before another copy starts."""
    source = snapshot.operation.source
    told = views.state_of(views.fresh(snapshot, source)) is not None
    return phase.source_speaks_first and views.heard(snapshot, source) and not told


def _verify(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    operation, window = snapshot.operation, snapshot.confirm_window_s
    if operation.confirm_requested:
        return next_phase(snapshot, table, phase)
    if operation.cancel_requested:
        return start_rollback(snapshot, "reverted", "reverted on request", status="reverted")
    passed, kept = proof.counted(snapshot)
    if passed:
        plan = next_phase(snapshot, table, phase)
        line = Timeline(EventType.CONFIRMED, f"confirmed automatically, {window:g} s after it was finished")
        return replace(plan, timeline=(line, *plan.timeline))
    if kept is not None:
        return replace(wait(snapshot, ""), context={proof.WINDOW: kept})
    return wait(snapshot, "")


def _attest(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    return attestation.held_back(snapshot, table, phase) or next_phase(snapshot, table, phase)
