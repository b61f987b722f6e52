"""An operation turns round at its present phase, or begins to, because no host would take it. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from migrator.operations import OPERATIONS, End
from migrator.scheduler.decision.snapshot import Plan, Snapshot, Timeline


def reverse(snapshot: Snapshot, code: str, message: str, *, status: str = "") -> Plan:
    """Turn the operation round at its present phase. The epoch rises, so that nothing said before counts."""
    operation = snapshot.operation
    table = OPERATIONS[operation.kind]
    moved_data = any(p.end is End.VERDICT for p in table.phases[: table.index(operation.phase) + 1])
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
