"""An operation turns round at its present phase, or ends because no host would take it. Pure.

Owns what the operation's error says, with every check that failed.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from migrator.event_types import EventType
from migrator.operations import OPERATIONS, End
from migrator.protocol import CheckResult
from migrator.scheduler.decision.snapshot import Plan, Question, Snapshot, Timeline

_CHECK_FAILED = "check_failed"


def start_rollback(snapshot: Snapshot, code: str, message: str, *, status: str = "") -> Plan:
    """Turn the operation round at its present phase. The epoch rises, so that nothing said before counts."""
    operation = snapshot.operation
    table = OPERATIONS[operation.kind]
    if code == _CHECK_FAILED and _asks_destination(snapshot):
        return Plan(asks=Question.DESTINATION_CHECKS)
    moved_data = any(p.end is End.VERDICT for p in table.phases[: table.index(operation.phase) + 1])
    error: dict[str, Any] = {"code": code, "message": message, "phase": operation.phase}
    error["status"] = status or ("failed" if moved_data else "error")
    if code == _CHECK_FAILED:
        error |= _failed_checks(snapshot, message)
    return Plan(
        phase=table.phase(operation.phase).undo_proof or None,
        forward=False,
        bump_epoch=True,
        error=error,
        wait_reason="" if operation.wait_reason else None,
        timeline=(Timeline(EventType.ROLLBACK_STARTED, message, details={"code": code, "phase": operation.phase}),),
    )


def _asks_destination(snapshot: Snapshot) -> bool:
    """Whether the source refuses a live migration to a host that was named: what that host would have refused is said
    at once."""
    operation = snapshot.operation
    early = OPERATIONS[operation.kind].live and operation.destination is None
    return early and operation.requested_host is not None and snapshot.destination_checks is None


def _failed_checks(snapshot: Snapshot, message: str) -> dict[str, Any]:
    """Each check that failed, under its code and by host, for programs too."""
    operation = snapshot.operation
    now = (operation.phase, operation.epoch)
    checks = {
        h: [_of_host(c) for c in f.checks if not c.ok] for h, f in snapshot.facts.items() if (f.phase, f.epoch) == now
    }
    asked, wanted = snapshot.destination_checks or (), operation.requested_host or ""
    told = (f"{wanted}: {check['code']}: {check['message']}" for check in asked)
    found: dict[str, Any] = {host: failed for host, failed in [*checks.items(), (wanted, list(asked))] if failed}
    return {"message": "; ".join([message, *told]), "checks": found}


def _of_host(check: CheckResult) -> dict[str, Any]:
    return {"code": check.name, "message": check.found, "advice": check.advice}


def refused(snapshot: Snapshot, refusals: Mapping[str, list[str]], advice: str = "") -> Plan:
    """No host could be claimed: end the operation with every host and every reason."""
    everyone = dict(snapshot.operation.context.refused) | dict(refusals)
    listed = "; ".join(f"{host}: {', '.join(reasons)}" for host, reasons in sorted(everyone.items()))
    message = f"No valid host was found. {listed or advice or 'No host is registered; start an agent.'}"
    plan = start_rollback(snapshot, "no_valid_host", message)
    # Nothing is claimed, so the way back starts above this phase.
    table = OPERATIONS[snapshot.operation.kind]
    index = table.index(snapshot.operation.phase)
    if index > 0:
        return replace(plan, phase=table.phases[index - 1].name)
    return replace(
        plan, forward=None, final_status="error", timeline=(*plan.timeline, Timeline(EventType.FINISHED, message))
    )
