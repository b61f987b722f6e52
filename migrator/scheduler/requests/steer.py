"""The operator's hand on a live migration that is under way: what is wanted of its transfer from now on.

Owns when steering is possible and what it leaves in the timeline. The source's agent sets it
(``compute/migration_parameters.py``).
"""

from typing import cast

from migrator.db import events, operations
from migrator.db.engine import Database
from migrator.db.server_heartbeat import clock
from migrator.errors import Conflict
from migrator.event_types import EventType
from migrator.operations import Kind
from migrator.protocol import TargetPowerState
from migrator.scheduler.decision.operation_data import ContextJson, SteeringJson
from migrator.scheduler.requests.requests import Caller
from migrator.scheduler.state.loader import RELEASED

TRANSFER = "transfer"
_WORDS = {
    "bandwidth_mib_s": "bandwidth {} MiB/s (0: no limit)",
    "max_downtime_ms": "maximum downtime {} ms",
    "held": "held: {}",
    "force": "completion forced: {}",
}


def steer(db: Database, caller: Caller, operation_id: int, changes: SteeringJson, *, post_copy: bool = False) -> str:
    """Merge ``changes`` ({bandwidth_mib_s, max_downtime_ms, held, force}) into what is wanted of the transfer; the
    host that carries it. ``post_copy``: by nothing else may its end be forced. Raises OperationNotFound, and Conflict
    while nothing is being transferred, or for post-copy that this transfer cannot go on by."""
    with db.write() as connection:
        row = operations.get(connection, operation_id)
        under_way = row.active and row.forward and row.kind == Kind.LIVE_MIGRATION and row.phase == TRANSFER
        if not under_way or row.cancel_requested:
            raise Conflict(
                f"Operation {operation_id} ({row.kind}) cannot be steered: it is {row.status}; only the transfer of a "
                "live migration (status running) can"
            )
        if post_copy and (why := _no_post_copy(cast(ContextJson, row.context))):
            raise Conflict(f"Operation {operation_id} cannot go on by post-copy: {why}")
        # Held it could make no progress: from when it may go on again it gets its whole time.
        released = changes.get("held") is False and cast(SteeringJson, row.steering or {}).get("held")
        operations.steer(connection, operation_id, {**changes, **({RELEASED: clock(connection)} if released else {})})
        caller.operations.append(operation_id)
        said = ", ".join(_WORDS[name].format(value) for name, value in sorted(changes.items()))
        events.add(
            connection,
            EventType.FORCE_COMPLETE if changes.get("force") else EventType.PARAMETERS_CHANGED,
            f"{said}, on request of {caller.user_id}",
            operation_id=operation_id,
            instance_uuid=row.instance_uuid,
            phase=row.phase,
            epoch=row.epoch,
            host=row.source,
            details={
                "request_id": caller.request_id,
                "user_id": caller.user_id,
                "project_id": caller.project_id,
                **changes,
            },
        )
        return str(row.source)


def _no_post_copy(context: ContextJson) -> str:
    if context.get("power") == TargetPowerState.PAUSED:
        return "its guest is paused, and would be made to run"
    return "" if context.get("post_copy", True) else "it was not permitted when the transfer began"
