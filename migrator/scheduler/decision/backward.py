"""The way back: the kind's table read upward, from where the operation turned round.

Pure. Owns the turning round itself, the undoing of each phase, what is left owing by a host that cannot be reached,
and the two ways out of it: another host is tried, or the instance turns out to run on the destination after all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from migrator.operations import OPERATIONS, VERIFY, Actor, Effect, Operation, Phase
from migrator.protocol import DomainState, Ensure, Fact, Power
from migrator.scheduler.decision import guest_end, proof, views
from migrator.scheduler.decision.completion import DONE, Judgement, Progress, judge
from migrator.scheduler.decision.postcopy_failure import verdict_of
from migrator.scheduler.decision.snapshot import OperationView, Plan, Snapshot, Timeline
from migrator.scheduler.decision.verdict import Verdict
from migrator.scheduler.decision.waiting import ALARMS, alarm, wait

MAX_ATTEMPTS = 3  # hosts tried for one operation, where the request named none
# Undone late these harm nobody: the instance is brought back, or lives elsewhere, by the time the host returns.
_CLEANING = frozenset({Ensure.ABSENT, Ensure.WITHDRAWN, Ensure.NOT_RUNNING})


def reverse(snapshot: Snapshot, code: str, message: str, *, status: str = "") -> Plan:
    """Turn the operation round at its present phase. The epoch rises, so that nothing said before counts."""
    operation = snapshot.operation
    table = OPERATIONS[operation.kind]
    moved_data = table.live and any(p.do is Ensure.MIGRATING for p in table.phases[: table.index(operation.phase) + 1])
    error = {"code": code, "message": message, "phase": operation.phase}
    error["status"] = status or ("failed" if moved_data else "error")
    return Plan(
        phase=table.phase(operation.phase).undo_proof or None,
        forward=False,
        raise_epoch=True,
        error=error,
        waiting="" if operation.waiting else None,
        timeline=(Timeline("reverse", message, details={"code": code, "phase": operation.phase}),),
    )


def go_back(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    operation = snapshot.operation
    if (back := _back_from_the_dead(snapshot, table)) is not None:
        return back
    if phase.undo is None or views.skipped(operation, phase) or views.left_out(snapshot, phase):
        return up(snapshot, table, phase)
    if phase.undo is Ensure.DISKS_WHOLE:
        return _keep(snapshot, table, phase)
    if snapshot.deleting and phase.undo in (Ensure.POWERED, Ensure.WITHDRAWN):  # what deletes it does that, too
        return up(snapshot, table, phase)
    if phase.undo_proof in _owed(operation) and operation.holds and phase.undo in _CLEANING:
        return up(snapshot, table, phase, owing=phase.name)  # not before the copy that stays is proven
    # Once the instance is free, where it is says nothing about this operation: it may have moved on, or be deleted.
    judged = operation.holds and views.judged_by_verdict(table, phase)
    found = verdict_of(snapshot) if judged else None
    if found is Verdict.DESTINATION:
        return _forward_again(snapshot, table)
    if found in ALARMS:
        return alarm(snapshot, found)
    if isinstance(phase.undo, Effect):
        return _undo_effect(snapshot, table, phase, phase.undo)
    host = views.host_of(operation, phase.actor)
    if host is None:
        return up(snapshot, table, phase)
    fact = views.fresh(snapshot, host)
    if fact is None:
        return _unheard(snapshot, table, phase, host)
    judgement = _judge(snapshot, phase.undo, fact)
    if judgement.progress is not Progress.DONE and proof.lapsed(snapshot, table, phase, phase.undo_proof):
        return replace(wait(snapshot, ""), phase=phase.undo_proof, raise_epoch=True)
    if judgement.progress is not Progress.DONE:
        return wait(snapshot, f"{host}: {judgement.message}" if judgement.message else "")
    if phase.undo is Ensure.NOT_MIGRATING and not _stayed(snapshot, fact):
        # No job, and no guest that runs on the source either: only the destination's fact can tell where it is.
        destination = operation.destination
        silent = views.missing(snapshot) + guest_end.perhaps_arrived(snapshot)
        return wait(snapshot, silent or f"waiting to hear from {destination} where it runs")
    return up(snapshot, table, phase)


def _stayed(snapshot: Snapshot, fact: Fact) -> bool:
    """Whether the source still has its guest. A stopped one may be what a power cut brought back: it counts with the
    destination's word beside it, or where an operator, who knows that the destination is lost, has cancelled."""
    if not still_here(fact):
        return False
    destination = snapshot.operation.destination
    told = views.state_of(views.fresh(snapshot, destination)) is not None
    given_up = snapshot.operation.cancel_requested and views.fenced(snapshot, destination)
    return told or given_up or not guest_end.stopped(fact)


def _keep(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    """The source shows its disks before the destination's copy is stopped or deleted. Where it cannot, the instance
    stays where it has arrived."""
    operation, host = snapshot.operation, snapshot.operation.source
    assert host is not None
    if not operation.holds and (snapshot.deleted or snapshot.home != host):  # it lives elsewhere, or nowhere
        return up(snapshot, table, phase)
    if not operation.holds and not views.heard(snapshot, operation.destination):  # so that the proof is fresh
        return wait(snapshot, views.silence(snapshot, operation.destination or ""))
    reverted = operation.holds and (operation.error or {}).get("status") == "reverted"
    called_off = operation.confirm_requested and not _gone(snapshot)  # of what is deleted already nothing can stay
    if reverted and (called_off or snapshot.deleting):
        return _stay(snapshot, "the revert was called off: it is confirmed instead", confirm=True)
    if snapshot.deleting:
        return up(snapshot, table, phase)
    fact = views.fresh(snapshot, host)
    if fact is None:
        return _keeper_unheard(snapshot, table, phase, host)
    if views.taken_over(snapshot, fact):  # a newer operation of the instance has had its own proofs
        return up(snapshot, table, phase)
    judged = proof.judge_whole(snapshot, Actor.SOURCE, fact)
    if judged.progress is Progress.DONE:
        plan = up(snapshot, table, phase)
        line = Timeline("proof", f"{host} has its disks whole: {_shown(fact)}", host)
        context = {**plan.context, proof.UNDOING: True}
        return replace(plan, timeline=(line, *plan.timeline), context=context, confirm=False)
    reason = f"{host} has not what it should have: {judged.message}"
    if judged.progress is Progress.FAILED and operation.holds and proof.may_stay(snapshot):
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
    if views.awaited(snapshot, host) or not operation.holds or not views.fenced(snapshot, host):
        return wait(snapshot, silent)
    if proof.may_stay(snapshot):
        return _stay(snapshot, f"not undone, for {host} is lost; the instance stays on {operation.destination}")
    if not proof.arrived(snapshot) or views.fenced(snapshot, operation.destination):
        # The instance is free to be evacuated, and the copy stays until it lives elsewhere, or the source has shown it.
        return up(snapshot, table, phase, owing=phase.name)
    return wait(snapshot, silent)


def _stay(snapshot: Snapshot, message: str, *, confirm: bool | None = None) -> Plan:
    """Forward again, to where an operator is waited for: the copy at the destination is the one that is proven. A guest
    that the way back may have stopped is started there; what could not be is put down there, stopped."""
    operation = snapshot.operation
    if operation.context.get(proof.UNDOING) and (undone := _undoing(snapshot)):
        return wait(snapshot, undone)
    again = not proof.recorded(snapshot) or bool(operation.context.get(proof.UNDOING))
    context: dict[str, Any] = {proof.WINDOW: None, "owed": [], proof.UNDOING: False}
    if not proof.recorded(snapshot):
        context |= {"power": Power.SHUT_OFF.value, proof.STAYED: True}
    return Plan(
        phase="start" if again else VERIFY,
        forward=True,
        raise_epoch=True,
        error={},
        cancel=False,
        confirm=confirm,
        context=context,
        waiting="" if operation.waiting else None,
        timeline=(Timeline("reverse", message, operation.destination),),
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
    undoing = snapshot.operation.context.get(proof.UNDOING)
    return [disk.target for disk in fact.disks if not disk.exists] if fact is not None and undoing else ()


def _back_from_the_dead(snapshot: Snapshot, table: Operation) -> Plan | None:
    """A fenced host that is heard again before the instance is put back: its guest may never have ended, and holds the
    disk. So that is undone first, and all above it once more."""
    operation, owed = snapshot.operation, _owed(snapshot.operation)
    for place, name in enumerate(owed if operation.holds else []):
        host = views.host_of(operation, table.phase(name).actor)
        if table.phase(name).undo is Ensure.NOT_RUNNING and views.heard(snapshot, host):
            return Plan(
                phase=name,
                raise_epoch=True,
                context={"owed": owed[:place]},
                waiting="" if operation.waiting else None,
                timeline=(Timeline("phase", f"{host} is back: undo {name} first", host=host),),
            )
    return None


def _judge(snapshot: Snapshot, undo: Ensure, fact: Fact) -> Judgement:
    if views.taken_over(snapshot, fact):
        return DONE
    return judge(undo, fact, views.power_wanted(snapshot.operation))


def _undo_effect(snapshot: Snapshot, table: Operation, phase: Phase, effect: Effect) -> Plan:
    """A claim stays while its host still has something to clean up."""
    operation = snapshot.operation
    owes = any(table.phase(name).actor is Actor.DESTINATION for name in _owed(operation))
    if effect is Effect.RELEASE_DESTINATION and operation.holds and owes:
        return up(snapshot, table, phase, owing=phase.name)
    return up(snapshot, table, phase, effect=effect)


def _unheard(snapshot: Snapshot, table: Operation, phase: Phase, host: str) -> Plan:
    """A silent host is waited for, unless its part can be owed: nothing that it did could run the guest, or the host
    is fenced."""
    gone = not views.heard(snapshot, host)
    if not gone and proof.lapsed(snapshot, table, phase, phase.undo_proof):
        return replace(wait(snapshot, ""), phase=phase.undo_proof, raise_epoch=True)
    if gone and not snapshot.operation.holds and phase.undo_proof in _owed(snapshot.operation):
        return replace(wait(snapshot, views.silence(snapshot, host)), phase=phase.undo_proof, raise_epoch=True)
    given_up = gone and not views.awaited(snapshot, host)
    if given_up and snapshot.operation.holds and (phase.owed or views.fenced(snapshot, host)):
        return up(snapshot, table, phase, owing=phase.name if phase.undo in _CLEANING else None)
    return wait(snapshot, views.silence(snapshot, host) if gone else "")


def still_here(fact: Fact) -> bool:
    """Also of a guest that runs because it migrated hither, once: only one that is shut off has migrated away."""
    domain = fact.domain
    if domain is None or domain.state in (DomainState.ABSENT, DomainState.INCOMING):
        return False
    return not (domain.state is DomainState.SHUT_OFF and domain.reason == "migrated")


def _owed(operation: OperationView) -> list[str]:
    """Names of the phases whose undoing was put off, in the order in which they will be undone."""
    return list(operation.context.get("owed", []))


def up(
    snapshot: Snapshot, table: Operation, phase: Phase, effect: Effect | None = None, owing: str | None = None
) -> Plan:
    """Leave ``phase`` upward; above the first one the operation is over, or waits for what is owed."""
    operation = snapshot.operation
    if phase.do is Effect.CLAIM_DESTINATION and effect is not None and _may_retry(table, operation):
        return _retry(operation, effect)
    owed = [*_owed(operation), *([owing] if owing else [])]
    common: dict[str, Any] = {
        "effect": effect,
        "effect_fact": _returned(snapshot) if effect is Effect.RECORD_RETURNED else None,
        "context": {"owed": owed} if owing else {},
        "waiting": "" if operation.waiting else None,
    }
    above = _turned_above(table, phase, operation)
    above = above or _above(snapshot, table, phase, owed if not operation.holds else None)
    if above is not None:
        entering = Timeline("phase", f"undo {above.name}", host=views.host_of(operation, above.actor))
        clear = effect is Effect.RELEASE_DESTINATION and not table.moves
        lines = (entering,) if above.undo is not None else ()
        return Plan(phase=above.name, clear_destination=clear, timeline=lines, **common)
    if operation.holds and owed:
        return _owing(snapshot, table, owed, common)
    return _over(snapshot, table, common)


def _above(snapshot: Snapshot, table: Operation, phase: Phase, owed: list[str] | None) -> Phase | None:
    """The next phase to undo: the one above, or the next of those that were put off."""
    if owed is not None:
        later = owed[owed.index(phase.name) + 1 :]
        return table.phase(later[0]) if later else None
    before = table.phases[: table.index(phase.name)]
    return next((p for p in reversed(before) if not (p.lends and views.left_out(snapshot, p))), None)


def _turned_above(table: Operation, phase: Phase, operation: OperationView) -> Phase | None:
    """From the proof on to where the operation turned round: what is between them was never done."""
    failed = str((operation.error or {}).get("phase", ""))
    proves = phase.undo is Ensure.DISKS_WHOLE and operation.holds
    if not proves or not any(p.name == failed and p.undo_proof == phase.name for p in table.phases):
        return None
    return table.phase(failed)


def _owing(snapshot: Snapshot, table: Operation, owed: list[str], common: dict[str, Any]) -> Plan:
    """Everything that concerns the instance is undone: it is free, and the operation stays for the silent host. What is
    deleted there, perhaps much later, needs a new proof of the copy that stays."""
    error = snapshot.operation.error or {}
    line = Timeline("owing", f"{error.get('message', '')}; what is left behind is cleaned up when its host returns")
    first = next((n for n in owed if table.phase(n).undo_proof and table.phase(n).undo is Ensure.ABSENT), None)
    if first is not None and (proves := table.phase(first).undo_proof) not in owed:
        owed = [*owed[: owed.index(first)], proves, *owed[owed.index(first) :]]
    common |= {"context": {**common["context"], "owed": owed}, "raise_epoch": True}
    return Plan(phase=owed[0], holds=False, timeline=(line,), **common)


def _over(snapshot: Snapshot, table: Operation, common: dict[str, Any]) -> Plan:
    error = snapshot.operation.error or {}
    if common["effect"] is None and Effect.RECORD_POWER in {p.do for p in table.phases}:
        common |= {"effect": Effect.RECORD_POWER, "effect_fact": _last_power(snapshot)}
    status = str(error.get("status", "error"))
    return Plan(end=status, timeline=(Timeline("end", f"{status}: {error.get('message', '')}"),), **common)


def _last_power(snapshot: Snapshot) -> Fact | None:
    return views.newest(snapshot, snapshot.operation.source, snapshot.operation.epoch - 1)


def _returned(snapshot: Snapshot) -> Fact | None:
    """What the source has, now that its guest was put back as it was."""
    return views.newest(snapshot, snapshot.operation.source, snapshot.operation.epoch)


def _may_retry(table: Operation, operation: OperationView) -> bool:
    error = operation.error or {}
    failed = error.get("phase")
    tried = operation.context.get("refused", {})
    return (
        operation.requested_host is None
        and not operation.cancel_requested
        and operation.destination is not None
        and operation.holds
        and failed in {phase.name for phase in table.phases if phase.retry}
        and len(tried) + 1 < MAX_ATTEMPTS
    )


def _retry(operation: OperationView, effect: Effect) -> Plan:
    """The host refused, nobody asked for it by name: let the scheduler choose another one."""
    error = operation.error or {}
    refused = dict(operation.context.get("refused", {})) | {operation.destination: [error.get("message", "")]}
    return Plan(
        forward=True,
        raise_epoch=True,
        effect=effect,
        clear_destination=True,
        context={"refused": refused},
        error={},
        waiting="" if operation.waiting else None,
        timeline=(Timeline("retry", f"trying another host than {operation.destination}", host=operation.destination),),
    )


def _forward_again(snapshot: Snapshot, table: Operation) -> Plan:
    """The verdict is "destination": whatever was being undone, the guest lives there now (rule 4)."""
    assert table.point_of_no_return is not None
    return Plan(
        phase=table.point_of_no_return,
        forward=True,
        raise_epoch=True,
        error={},
        outcome=views.outcome_of(snapshot),
        waiting="" if snapshot.operation.waiting else None,
        timeline=(
            Timeline(
                "reverse",
                "the instance runs on the destination: going forward",
                snapshot.operation.destination,
            ),
        ),
    )


def refused(snapshot: Snapshot, refusals: Mapping[str, list[str]], advice: str = "") -> Plan:
    """No host could be claimed: end the operation with every host and every reason."""
    everyone = dict(snapshot.operation.context.get("refused", {})) | dict(refusals)
    words = "; ".join(f"{host}: {', '.join(reasons)}" for host, reasons in sorted(everyone.items()))
    message = f"No valid host was found. {words or advice or 'No host is registered; start an agent.'}"
    plan = reverse(snapshot, "no_valid_host", message)
    # Nothing is claimed, so the way back starts above this phase.
    table = OPERATIONS[snapshot.operation.kind]
    index = table.index(snapshot.operation.phase)
    if index > 0:
        return replace(plan, phase=table.phases[index - 1].name)
    return replace(plan, forward=None, end="error", timeline=(*plan.timeline, Timeline("end", message)))
