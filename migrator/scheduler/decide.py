"""The pure function that advances an operation: ``decide(snapshot) -> plan``.

It walks the kind's table in ``operations.py``: down while the operation goes forward, up while it is being undone.
It imports no SQL, no HTTP, no clock and no libvirt, so every interleaving can be tried in a test. It never looks at
an operation other than the one it is given.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from migrator.operations import OPERATIONS, Actor, Effect, Operation, Phase
from migrator.protocol import AttemptState, DomainState, Ensure, Fact, JobFact
from migrator.scheduler.satisfied import Progress, judge
from migrator.scheduler.snapshot import NOTHING, OperationView, Plan, Snapshot, Timeline
from migrator.scheduler.verdict import Verdict, job_active, verdict

CONFIRM_S = 6.0  # an agent looks again at what has settled within 5 s, and tells what changed
MAX_ATTEMPTS = 3  # hosts tried for one operation, where the request named none
_HARMLESS = {Ensure.MOVABLE, Ensure.COMPATIBLE}  # change nothing, so a host that is down ends them at once
_RETRYABLE = {"check", "prepare", "disks", "start"}
_ALARMS = {
    Verdict.SPLIT: "the instance runs on both hosts; nothing is touched until an operator has looked",
    Verdict.LOST: "neither host has the instance; nothing is touched until an operator has looked",
}
_HELD = "HOLD: neither copy runs and no transfer is active; resume one of them, or cancel"


def decide(snapshot: Snapshot) -> Plan:
    """The next step of the operation, or ``NOTHING``. Called again and again until it answers ``NOTHING``."""
    operation = snapshot.operation
    if not operation.active:
        return NOTHING
    table = OPERATIONS[operation.kind]
    phase = table.phase(operation.phase)
    return _forward(snapshot, table, phase) if operation.forward else _backward(snapshot, table, phase)


# --- reading the snapshot ---------------------------------------------------------------------------------------


def host_of(operation: OperationView, actor: Actor) -> str | None:
    return {Actor.SOURCE: operation.source, Actor.DESTINATION: operation.destination}.get(actor)


def fresh(snapshot: Snapshot, host: str | None) -> Fact | None:
    """The host's fact, if it was observed under this epoch and phase and the host still speaks."""
    fact = snapshot.facts.get(host) if host is not None else None
    operation = snapshot.operation
    if fact is None or host is None or fact.epoch != operation.epoch or fact.phase != operation.phase:
        return None
    view = snapshot.hosts.get(host)
    return fact if view is not None and view.up else None


def _verdict(snapshot: Snapshot) -> Verdict:
    operation = snapshot.operation
    return verdict(fresh(snapshot, operation.source), fresh(snapshot, operation.destination))


def _silence(snapshot: Snapshot, host: str) -> str:
    view = snapshot.hosts.get(host)
    return f"waiting for host {host}" + (", which is silent" if view is None or not view.up else "")


# --- forward ----------------------------------------------------------------------------------------------------


def _forward(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    if phase.do is Ensure.MIGRATING:
        return _transfer(snapshot, table, phase)
    if snapshot.operation.cancel_requested and table.reversible(phase.name):
        return reverse(snapshot, "cancelled", "cancelled on request", status="cancelled")
    if isinstance(phase.do, Effect):
        return _next(snapshot, table, phase, effect=phase.do)
    host = host_of(snapshot.operation, phase.actor)
    if host is None:  # no host holds anything of this instance: nothing to wait for
        return _next(snapshot, table, phase)
    fact = fresh(snapshot, host)
    if fact is None:
        return _unheard(snapshot, phase, host)
    judgement = judge(phase.do, fact)
    if judgement.progress is Progress.DONE:
        return _next(snapshot, table, phase, fact=fact)
    if judgement.progress is Progress.FAILED and table.reversible(phase.name):
        return reverse(snapshot, judgement.code, f"{host}: {judgement.message}")
    return _wait(snapshot, f"{host}: {judgement.message}" if judgement.message else "")


def _unheard(snapshot: Snapshot, phase: Phase, host: str) -> Plan:
    view = snapshot.hosts.get(host)
    if phase.do in _HARMLESS and (view is None or not view.up):
        return reverse(snapshot, "host_down", f"{host}: its agent is down, and {phase.name} needs it")
    silent = view is None or not view.up
    return _wait(snapshot, _silence(snapshot, host) if silent else "")


def _transfer(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    operation = snapshot.operation
    source = fresh(snapshot, operation.source)
    found = _verdict(snapshot)
    if found is Verdict.DESTINATION:
        return _next(snapshot, table, phase, outcome=_outcome(snapshot))
    if found in _ALARMS:
        return _alarm(snapshot, found)
    if operation.cancel_requested:
        return reverse(snapshot, "cancelled", "cancelled on request", status="cancelled")
    if found is Verdict.SOURCE and source is not None:
        attempt = source.attempt
        if attempt is not None and attempt.state is AttemptState.ENDED:
            return reverse(snapshot, "transfer_failed", attempt.error or "the transfer ended without moving the guest")
        if source.problem is not None and source.problem.final:
            return reverse(snapshot, source.problem.code, source.problem.message)
    if found is Verdict.HOLD and source is not None and not job_active(source):
        return _wait(snapshot, _HELD)
    return _wait(snapshot, _missing(snapshot) if found is Verdict.WAIT else "")


def _missing(snapshot: Snapshot) -> str:
    """Which host a WAIT waits for; "" while both are up and merely have not reported yet."""
    for host in (snapshot.operation.source, snapshot.operation.destination):
        view = snapshot.hosts.get(host) if host else None
        if host and (view is None or not view.up):
            return _silence(snapshot, host)
        fact = snapshot.facts.get(host) if host else None
        if fact is not None and fact.domain is None and fact.problem is not None:
            return f"{host}: {fact.problem.message}"
    return ""


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
    after = table.index(phase.name) + 1
    common: dict[str, Any] = {
        "effect": effect,
        "effect_fact": fact if fact is not None else _power_fact(snapshot) if effect is Effect.RECORD_POWER else None,
        "context": _learnt(phase, fact),
        "outcome": outcome,
        "waiting": "" if snapshot.operation.waiting else None,
    }
    if after == len(table.phases):
        return Plan(end="completed", timeline=(Timeline("end", "completed"),), **common)
    following = table.phases[after]
    return Plan(phase=following.name, timeline=(_entering(snapshot, following),), **common)


def _entering(snapshot: Snapshot, phase: Phase) -> Timeline:
    host = host_of(snapshot.operation, phase.actor)
    return Timeline("phase", f"{phase.name}: {phase.do.value.replace('_', ' ')}", host=host)


def _learnt(phase: Phase, fact: Fact | None) -> Mapping[str, Any]:
    """What later phases' assignments need of this phase's fact."""
    if fact is not None and phase.do is Ensure.MOVABLE and fact.guest is not None:
        return {"guest": fact.guest.model_dump(mode="json")}
    if fact is not None and phase.do is Ensure.PREPARED:
        return {"destination_disks": [disk.model_dump(mode="json") for disk in fact.disks]}
    return {}


def _power_fact(snapshot: Snapshot) -> Fact | None:
    """The newest fact of this epoch from the instance's host: what RECORD_POWER writes down."""
    fact = snapshot.facts.get(snapshot.operation.source or "")
    return fact if fact is not None and fact.epoch == snapshot.operation.epoch else None


def _outcome(snapshot: Snapshot) -> Mapping[str, Any]:
    """The last statistics of the job, as far as both hosts had them when the verdict fell."""
    facts = (fresh(snapshot, snapshot.operation.source), fresh(snapshot, snapshot.operation.destination))
    jobs: list[JobFact] = [fact.job for fact in facts if fact is not None and fact.job is not None]
    merged: dict[str, Any] = {}
    for job in jobs:
        expected = {"active", "downtime_ms"} if job.active else {"active"}  # while it runs, downtime is a forecast
        merged |= {k: v for k, v in job.model_dump(mode="json").items() if v is not None and k not in expected}
    return merged


# --- backward ---------------------------------------------------------------------------------------------------


def reverse(snapshot: Snapshot, code: str, message: str, *, status: str = "") -> Plan:
    """Turn the operation round at its present phase. The epoch rises, so that nothing said before counts."""
    operation = snapshot.operation
    table = OPERATIONS[operation.kind]
    moved_data = table.moves and any(p.do is Ensure.MIGRATING for p in table.phases[: table.index(operation.phase) + 1])
    error = {"code": code, "message": message, "phase": operation.phase}
    error["status"] = status or ("failed" if moved_data else "error")
    return Plan(
        forward=False,
        raise_epoch=True,
        error=error,
        waiting="" if operation.waiting else None,
        timeline=(Timeline("reverse", message, details={"code": code, "phase": operation.phase}),),
    )


def _backward(snapshot: Snapshot, table: Operation, phase: Phase) -> Plan:
    operation = snapshot.operation
    found = _verdict(snapshot) if phase.watch else None
    if found is Verdict.DESTINATION:
        return _forward_again(snapshot, table)
    if found in (Verdict.SPLIT, Verdict.LOST):
        return _alarm(snapshot, found)
    if phase.undo is None:
        return _up(snapshot, table, phase)
    if isinstance(phase.undo, Effect):
        return _up(snapshot, table, phase, effect=phase.undo)
    host = host_of(operation, phase.actor)
    if host is None:
        return _up(snapshot, table, phase)
    fact = fresh(snapshot, host)
    if fact is None:
        view = snapshot.hosts.get(host)
        return _wait(snapshot, _silence(snapshot, host) if view is None or not view.up else "")
    judgement = judge(phase.undo, fact)
    if judgement.progress is not Progress.DONE:
        return _wait(snapshot, f"{host}: {judgement.message}" if judgement.message else "")
    if phase.undo is Ensure.NOT_MIGRATING and not _still_here(fact):
        # No job, and no guest on the source either: only the destination's fact can tell where it is.
        return _wait(snapshot, _missing(snapshot) or f"waiting to hear from {operation.destination} where it runs")
    return _up(snapshot, table, phase)


def _still_here(fact: Fact) -> bool:
    domain = fact.domain
    return (
        domain is not None
        and domain.state not in (DomainState.ABSENT, DomainState.INCOMING)
        and (domain.reason != "migrated")
    )


def _up(snapshot: Snapshot, table: Operation, phase: Phase, effect: Effect | None = None) -> Plan:
    operation = snapshot.operation
    index = table.index(phase.name)
    if phase.do is Effect.CLAIM_DESTINATION and effect is not None and _may_retry(operation):
        return _retry(operation, effect)
    waiting = "" if operation.waiting else None
    if index > 0:
        above = table.phases[index - 1]
        return Plan(
            phase=above.name,
            effect=effect,
            clear_destination=effect is Effect.RELEASE_DESTINATION and not table.moves,
            waiting=waiting,
            timeline=(Timeline("phase", f"undo {above.name}", host=host_of(operation, above.actor)),)
            if above.undo is not None
            else (),
        )
    error = operation.error or {}
    records_power = Effect.RECORD_POWER in {p.do for p in table.phases}
    return Plan(
        effect=effect or (Effect.RECORD_POWER if records_power else None),
        effect_fact=_last_power(snapshot) if records_power else None,
        end=str(error.get("status", "error")),
        waiting=waiting,
        timeline=(Timeline("end", f"{error.get('status', 'error')}: {error.get('message', '')}"),),
    )


def _last_power(snapshot: Snapshot) -> Fact | None:
    fact = snapshot.facts.get(snapshot.operation.source or "")
    return fact if fact is not None and fact.epoch == snapshot.operation.epoch - 1 else None


def _may_retry(operation: OperationView) -> bool:
    error = operation.error or {}
    tried = operation.context.get("refused", {})
    return (
        operation.requested_host is None
        and not operation.cancel_requested
        and operation.destination is not None
        and error.get("phase") in _RETRYABLE
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
        outcome=_outcome(snapshot),
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


# --- waiting ----------------------------------------------------------------------------------------------------


def _wait(snapshot: Snapshot, reason: str) -> Plan:
    """Write the named reason down when it changed; otherwise do nothing."""
    if (snapshot.operation.waiting or "") == reason:
        return NOTHING
    line = (Timeline("waiting", reason),) if reason else (Timeline("waiting", "moving again"),)
    return Plan(waiting=reason, timeline=line)


def _alarm(snapshot: Snapshot, found: Verdict) -> Plan:
    if not _confirmed(snapshot):
        return NOTHING
    reason = f"{found.value.upper()}: {_ALARMS[found]}"
    if snapshot.operation.waiting == reason:
        return NOTHING
    return Plan(waiting=reason, timeline=(Timeline("alarm", reason),))


def _confirmed(snapshot: Snapshot) -> bool:
    """Whether both agents have spoken long enough after the newer of the two facts that the older one, too, would
    have been replaced if it were no longer true. Facts of two moments can look like a split or a loss."""
    hosts = [host for host in (snapshot.operation.source, snapshot.operation.destination) if host is not None]
    newest = min((snapshot.ages.get(host, math.inf) for host in hosts), default=math.inf)
    return all(newest - snapshot.hosts[host].silent_s >= CONFIRM_S for host in hosts if host in snapshot.hosts)
