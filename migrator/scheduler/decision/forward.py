"""The way forward: the kind's table read downward, one phase at a time.

Pure. Owns what ends a phase (a fact, both hosts' facts together, the verdict, an operator's word, evidence that a host
is fenced) and what turns an operation round.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from migrator.operations import Effect, Operation, Phase
from migrator.protocol import (
    STALE_EPOCH,
    SUPERSEDED,
    UNKNOWN_ASSIGNMENT,
    AttemptState,
    DomainState,
    Ensure,
    Fact,
    Power,
)
from migrator.scheduler.decision import attestation, evacuated_disks, guest_end, proof, strategy_choice, timeouts, views
from migrator.scheduler.decision.backward import reverse, still_here
from migrator.scheduler.decision.completion import DONE, Judgement, Progress, judge, judge_copy
from migrator.scheduler.decision.postcopy_failure import BROKEN_OFF, broken_off, half, torn_after_arrival, verdict_of
from migrator.scheduler.decision.snapshot import Plan, Snapshot, Timeline
from migrator.scheduler.decision.verdict import Verdict, job_active, rests
from migrator.scheduler.decision.waiting import ALARMS, alarm, held_up, set_free, wait

# change nothing, so a host that is down ends them at once
_HARMLESS = frozenset({Ensure.MOVABLE, Ensure.DESCRIBED, Ensure.COMPATIBLE, Ensure.MEASURED})
_HELD = "HOLD: neither copy runs and no transfer is active: "
# effects that write down what a host was last seen to have, and which host
_RECORDED = {
    Effect.RECORD_POWER: "source",
    Effect.RECORD_RESIZED: "destination",
    Effect.MOVE_RECORD: "destination",
}


def go_on(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    operation = snapshot.operation
    if phase.do is Ensure.MIGRATING:
        return _transfer(snapshot, table, phase)
    if phase.do is Effect.AWAIT_CONFIRMATION:
        return _verify(snapshot, table, phase)
    if phase.do is Ensure.DISKS_WHOLE:
        return _attest(snapshot, table, phase)
    if operation.cancel_requested and table.reversible(phase.name):
        return reverse(snapshot, "cancelled", "cancelled on request", status="cancelled")
    if phase.do is Effect.AWAIT_NO_COPY and snapshot.copies:
        return wait(snapshot, _left(snapshot))
    if isinstance(phase.do, Effect):
        queued = held_up(snapshot) if phase.do is Effect.CLAIM_DESTINATION else None
        return queued or _next(
            snapshot, table, phase, effect=phase.do if phase.do is not Effect.AWAIT_NO_COPY else None
        )
    host = views.host_of(operation, phase.actor)
    if host is None or views.skipped(operation, phase):  # no host holds anything that this phase is about
        return _next(snapshot, table, phase)
    if phase.fencing and not views.heard(snapshot, host):
        return _fence(snapshot, table, phase, host)
    if phase.fencing and snapshot.hosts[host].up:
        return reverse(snapshot, "source_is_back", f"{host} is back in service: it keeps its instances")
    if phase.fencing and not views.keeps_disks(snapshot):
        return reverse(snapshot, "source_is_back", f"{host} answers, and the disks are there and nowhere else")
    if phase.do is Ensure.COPIED and views.fenced(snapshot, operation.source):
        return reverse(snapshot, "host_fenced", f"{operation.source} is lost: {_evidence(snapshot, operation.source)}")
    if _source_is_back(snapshot, table, phase):
        return reverse(snapshot, "source_is_back", f"{operation.source} is back, and the instance runs there")
    if torn_after_arrival(snapshot, table, phase):
        return alarm(snapshot, Verdict.TORN)
    return _by_fact(snapshot, table, phase, host)


def _left(snapshot: Snapshot) -> str:
    """Which hosts report a copy of an instance that is being deleted."""
    said = ", ".join(f"{host} ({state})" for host, state in snapshot.copies)
    return f"a copy of the instance is reported by {said}: it is not deleted before that is destroyed and undefined"


def _by_fact(snapshot: Snapshot, table: Operation, phase: Phase, host: str) -> Plan:
    assert isinstance(phase.do, Ensure)
    fact = views.fresh(snapshot, host)
    if fact is None:
        return _unheard(snapshot, table, phase, host)
    judgement = _judge(snapshot, phase, fact)
    if judgement.progress is Progress.DONE and _source_is_untold(snapshot, phase):
        source = snapshot.operation.source
        return wait(snapshot, f"{source} is back: waiting to hear whether the instance runs there")
    if judgement.progress is Progress.DONE:
        return _next(snapshot, table, phase, fact=fact)
    if proof.lapsed(snapshot, table, phase, phase.proof):
        return replace(wait(snapshot, ""), phase=phase.proof, raise_epoch=True)
    # It would wait for ever otherwise, and hold the instance.
    refused = judgement.code in (SUPERSEDED, STALE_EPOCH) and not table.undone_by_hosts(phase.name)
    refused = refused or (phase.lends and judgement.code == UNKNOWN_ASSIGNMENT)  # an agent that cannot lend
    if (refused or judgement.progress is Progress.FAILED) and table.reversible(phase.name):
        return reverse(snapshot, judgement.code, _words(phase, host, judgement))
    return wait(snapshot, _reason(snapshot, phase, host, judgement))


def _reason(snapshot: Snapshot, phase: Phase, host: str, judgement: Judgement) -> str:
    """Why it is not done yet; "" while it merely goes on. A copy is done by what both ends say."""
    if judgement.message:
        return f"{host}: {judgement.message}"
    source = snapshot.operation.source or ""
    away = phase.do is Ensure.COPIED and not views.heard(snapshot, source)
    return views.silence(snapshot, source) if away else ""


def _judge(snapshot: Snapshot, phase: Phase, fact: Fact) -> Judgement:
    assert isinstance(phase.do, Ensure)
    if views.taken_over(snapshot, fact):
        return DONE
    if phase.do is Ensure.COPIED:
        offered = views.fresh(snapshot, snapshot.operation.source)
        return judge_copy(offered, fact, views.fetched_targets(snapshot, phase))
    if phase.do is Ensure.COMPATIBLE and (lost := _unproven(snapshot, fact)):
        return lost
    return judge(phase.do, fact, views.power_asked(snapshot.operation))


def _unproven(snapshot: Snapshot, fact: Fact) -> Judgement | None:
    """Disks that outlived their host are only where what that host wrote is found: a copied marker is none."""
    surviving = snapshot.operation.params.get("surviving", {})
    lost = [pool for pool in surviving if pool in fact.unproven]
    if not lost:
        return None
    words = f"storage: {', '.join(lost)} has the same marker here, but not what {snapshot.operation.source} wrote there"
    return Judgement(Progress.FAILED, "check_failed", words)


def _words(phase: Phase, host: str, judgement: Judgement) -> str:
    """The hypervisor's words, and for the lock of a disk image what it means: the last guard has held."""
    if phase.do is Ensure.POWERED and "lock" in judgement.message.lower():
        return (
            f"{host}: the instance was not started, for its disk is locked: a copy of it still runs elsewhere, and "
            f"was left alone ({judgement.message})"
        )
    return f"{host}: {judgement.message}"


def _unheard(snapshot: Snapshot, table: Operation, phase: Phase, host: str) -> Plan:
    silent = views.silence(snapshot, host)
    if proof.lapsed(snapshot, table, phase, phase.proof):
        return replace(wait(snapshot, ""), phase=phase.proof, raise_epoch=True)
    if views.heard(snapshot, host):
        return wait(snapshot, "")
    if views.awaited(snapshot, host):
        return wait(snapshot, silent)
    if phase.proof and not views.left_out(snapshot, table.phase(phase.proof)):
        plan = set_free(snapshot, host) if views.fenced(snapshot, host) else wait(snapshot, silent)
        return replace(plan, phase=phase.proof, raise_epoch=True)
    if phase.do in _HARMLESS or (phase.owed and table.reversible(phase.name)):
        return reverse(snapshot, "host_down", f"{host}: its agent is down, and {phase.name} needs it")
    if views.fenced(snapshot, host) and phase.holds:
        if table.reversible(phase.name):
            return reverse(snapshot, "host_fenced", f"{host} is lost: {_evidence(snapshot, host)}")
        if table.moves:  # it arrived: only the lost host's cleaning is left, and the instance need not wait for that
            return set_free(snapshot, host)
    return wait(snapshot, silent)


def _evidence(snapshot: Snapshot, host: str | None) -> str:
    view = views.view_of(snapshot, host)
    return view.evidence or "" if view is not None else ""


def _fence(snapshot: Snapshot, table: Operation, phase: Phase, host: str) -> Plan:
    """A silent host: evidence that its guests do not run takes the place of its word (rule 7)."""
    view = views.view_of(snapshot, host)
    if view is not None and view.awaited:
        return wait(snapshot, views.silence(snapshot, host))
    if view is not None and view.evidence is not None:
        plan = _next(snapshot, table, phase)
        accepted = Timeline("evidence", f"accepted that {host} runs nothing: {view.evidence}", host)
        context = dict(plan.context) | {"evidence": view.evidence}
        return replace(plan, context=context, timeline=(accepted, *plan.timeline))
    if view is not None and view.fence_failed is not None:
        return reverse(snapshot, "fencing_failed", f"{host} could not be fenced: {view.fence_failed}")
    return wait(snapshot, f"waiting for evidence that {host}, which is silent, runs nothing")


def _source_is_back(snapshot: Snapshot, table: Operation, phase: Phase) -> bool:
    """An evacuated host that returns with the guest running, or as somebody had paused it, before another copy was
    started."""
    if table.live or phase.meanwhile is not Ensure.OBSERVED:
        return False
    operation = snapshot.operation
    source = views.fresh(snapshot, operation.source)
    there = views.state_of(views.fresh(snapshot, operation.destination))
    alive = views.state_of(source) is DomainState.RUNNING or rests(source)
    return alive and there is not DomainState.RUNNING


def _source_is_untold(snapshot: Snapshot, phase: Phase) -> bool:
    """Evidence speaks of a silent host. One that is heard again says what it runs, before another copy starts."""
    source = snapshot.operation.source
    told = views.state_of(views.fresh(snapshot, source)) is not None
    return phase.do is Ensure.REBUILT and views.heard(snapshot, source) and not told


def _verify(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    operation, window = snapshot.operation, snapshot.confirm_window_s
    if operation.confirm_requested:
        return _next(snapshot, table, phase)
    if operation.cancel_requested:
        return reverse(snapshot, "reverted", "reverted on request", status="reverted")
    passed, kept = proof.counted(snapshot)
    if passed:
        plan = _next(snapshot, table, phase)
        line = Timeline("confirm", f"confirmed by itself, {window:g} s after it was finished")
        return replace(plan, timeline=(line, *plan.timeline))
    if kept is not None:
        return replace(wait(snapshot, ""), context={proof.WINDOW: kept})
    return wait(snapshot, "")


def _attest(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    return attestation.held_back(snapshot, table, phase) or _next(snapshot, table, phase)


def _transfer(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    operation = snapshot.operation
    source = views.fresh(snapshot, operation.source)
    found = verdict_of(snapshot)
    if found is Verdict.DESTINATION:
        plan = _next(snapshot, table, phase, outcome=views.outcome_of(snapshot))
        ended = guest_end.after_arrival(snapshot)
        return replace(plan, timeline=(*ended, *plan.timeline)) if ended else plan
    if found in ALARMS:
        return alarm(snapshot, found)
    if operation.cancel_requested:
        return reverse(snapshot, "cancelled", "cancelled on request", status="cancelled")
    if found is Verdict.SOURCE and source is not None:
        attempt, problem = source.attempt, source.problem
        over = attempt is not None and attempt.state is AttemptState.ENDED
        refused = problem is not None and problem.final
        if (over or refused) and (by_itself := guest_end.on_the_way(snapshot)) is not None:
            return reverse(snapshot, "guest_stopped", by_itself)
        if attempt is not None and over:
            return reverse(snapshot, "transfer_failed", _why_it_ended(snapshot, attempt.error))
        if problem is not None and refused:
            return reverse(snapshot, problem.code, problem.message)
    if found is Verdict.HOLD and broken_off(source):
        return wait(snapshot, f"{operation.source}: {BROKEN_OFF}")
    if found is Verdict.HOLD and source is not None and not job_active(source):
        return wait(snapshot, _HELD + _way_out_of_hold(snapshot, source))
    if source is not None and job_active(source) and (late := timeouts.expired(snapshot, source)) is not None:
        return timeouts.act(snapshot, late)
    if source is not None and job_active(source) and (other := strategy_choice.changed(snapshot, source)) is not None:
        return other
    if found is Verdict.WAIT and (lost := _lost(snapshot)):
        return reverse(snapshot, "host_fenced", f"{lost} is lost: {_evidence(snapshot, lost)}")
    return wait(
        snapshot, views.missing(snapshot) + guest_end.perhaps_arrived(snapshot) if found is Verdict.WAIT else ""
    )


def _way_out_of_hold(snapshot: Snapshot, source: Fact) -> str:
    """What helps: where the source has the guest no more, there is no way back to cancel to."""
    there = f"resume it on {snapshot.operation.destination} (virsh resume)"
    return f"{there}, or cancel" if still_here(source) else f"{snapshot.operation.source} has it no more: {there}"


def _why_it_ended(snapshot: Snapshot, error: str | None) -> str:
    """The source often knows no more than that its socket broke: the destination's QEMU may have said why."""
    operation = snapshot.operation
    words = error or "the transfer ended without moving the guest"
    return f"{operation.source}: {words} (QEMU's log of the guest on {operation.destination} may tell more)"


def _lost(snapshot: Snapshot) -> str | None:
    """An end of the transfer that is fenced, while the other one tells that it did not take the guest along."""
    operation = snapshot.operation
    source, destination = (views.fresh(snapshot, host) for host in (operation.source, operation.destination))
    if destination is not None and views.fenced(snapshot, operation.source):
        return operation.source
    # One that is stopped may be what a power cut has brought back: it proves nothing beside a silent destination.
    whole = source is not None and still_here(source) and not half(source) and not guest_end.stopped(source)
    if whole and views.fenced(snapshot, operation.destination):
        return operation.destination
    return None


def _next(
    snapshot: Snapshot,
    table: Operation,
    phase: Phase,
    *,
    effect: Effect | None = None,
    fact: Fact | None = None,
    outcome: Mapping[str, Any] | None = None,
) -> Plan:
    """Leave ``phase`` downward; past the last one the operation is over."""
    operation = snapshot.operation
    after, learnt = table.index(phase.name) + 1, _learnt(snapshot, phase, fact)
    wiser = replace(snapshot, operation=replace(operation, context={**operation.context, **learnt}))
    while after < len(table.phases) and views.left_out(wiser, table.phases[after]):
        after += 1
    chosen = _chosen(snapshot, phase, fact)
    common: dict[str, Any] = {
        "effect": effect if effect is not Effect.NONE else None,
        "effect_fact": _recorded(snapshot, effect) if effect is not None else fact,
        "context": {**learnt, **({"strategy": chosen[0]} if chosen else {})},
        "outcome": views.outcome_of(snapshot) or None if phase.do is Ensure.COPIED and not phase.lends else outcome,
        "waiting": "" if operation.waiting else None,
    }
    if after == len(table.phases):
        compared = strategy_choice.compared(snapshot)
        return Plan(end=table.completed, timeline=(*compared, Timeline("end", table.completed)), **common)
    following = table.phases[after]
    holds = False if operation.holds and not following.holds else None
    lines = (
        *((chosen[1],) if chosen else ()),
        *guest_end.put_down(snapshot, phase, fact),
        *evacuated_disks.set_aside(fact),
        _entering(snapshot, following),
    )
    return Plan(phase=following.name, timeline=lines, holds=holds, **common)


def _chosen(snapshot: Snapshot, phase: Phase, fact: Fact | None) -> tuple[Mapping[str, Any], Timeline] | None:
    """By which means the transfer is begun, once its source has measured."""
    if phase.do is not Ensure.MEASURED or fact is None or fact.measurement is None:
        return None
    return strategy_choice.chosen(snapshot, fact.measurement)


def _recorded(snapshot: Snapshot, effect: Effect) -> Fact | None:
    """The newest fact of this epoch from the host that the effect writes down."""
    end = _RECORDED.get(effect)
    host = {"source": snapshot.operation.source, "destination": snapshot.operation.destination}.get(end or "")
    found = views.newest(snapshot, host, snapshot.operation.epoch) if end else None
    if found is None and effect is Effect.MOVE_RECORD:  # it was on its way back, and what it heard there turned it
        found = views.newest(snapshot, host, snapshot.operation.epoch - 1)
    return found


def _entering(snapshot: Snapshot, phase: Phase) -> Timeline:
    host = views.host_of(snapshot.operation, phase.actor)
    doing = "" if phase.do is Effect.NONE else f": {phase.do.value.replace('_', ' ')}"
    return Timeline("phase", f"{phase.name}{doing}", host=host)


def _learnt(snapshot: Snapshot, phase: Phase, fact: Fact | None) -> Mapping[str, Any]:
    """What later phases' assignments need of this phase's fact."""
    if fact is None:
        return {}
    guest = {"guest": fact.guest.model_dump(mode="json")} if fact.guest is not None else {}
    if phase.do is Ensure.COMPATIBLE:
        shared = views.shared_by_both(snapshot)
        found = shared if fact.proven is None else shared & set(fact.proven)
        return {"shared": {snapshot.operation.destination: sorted(found)}}
    if phase.do is Ensure.MOVABLE:
        return guest | ({"power": Power.PAUSED.value} if rests(fact) else {})
    if phase.do is Ensure.LENT:
        return {views.LENT: {disk.target: disk.path for disk in fact.disks}}
    if phase.do is Ensure.OFFERED and (images := views.lent_images(snapshot)):
        return {views.LENT: {disk.target: disk.path for disk in fact.disks if disk.target in images}}
    if phase.do is Ensure.COPIED and not phase.lends:
        targets = views.moved_targets(snapshot)
        return {proof.COPIED: {d.target: d.checksum for d in fact.disks if d.target in targets and d.checksum}}
    if phase.do is Ensure.DESCRIBED:
        return guest | {"power": views.power_found(fact).value}
    if phase.do is Ensure.SET_ASIDE:
        return {"set_aside": evacuated_disks.kept_view(fact.kept)}
    if phase.do is Ensure.PREPARED:
        disks = {"destination_disks": [disk.model_dump(mode="json") for disk in fact.disks]}
        begun = disks | {"post_copy": snapshot.means.post_copy}
        return begun | ({"limit_mib_s": limit} if (limit := strategy_choice.limit_mib_s(snapshot)) else {})
    return {}
