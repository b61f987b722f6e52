"""An operation's own alarms: what it waits for an operator with, and a phase that lasts too long.

Owns when they are raised and cleared: each is about one operation, and whatever ends the operation ends them and those
of no other, that of an unreadable row (``unreadable.py``) included. Never decides what is alarming: the plan says so.
"""

from typing import Any

from migrator.alarms import OF_OPERATIONS, AlarmKind, announced_by
from migrator.db.alarms import clear_alarm, clear_alarms, raise_alarm
from migrator.db.engine import Connection
from migrator.event_types import EventType
from migrator.scheduler.decision.snapshot import OperationView, Plan


def note(connection: Connection, before: OperationView, found: OperationView, plan: Plan) -> None:
    """What ``plan``, which made ``found`` of the operation, says of its alarms."""
    if plan.final_status is not None:
        close(connection, before.uuid)
        return
    _note_announced(connection, before, plan)
    _note_overdue(connection, before, found, plan)


def close(connection: Connection, operation_uuid: str) -> None:
    """The operation is over, or begins anew."""
    clear_alarms(connection, OF_OPERATIONS, operation_uuid=operation_uuid)


def _note_announced(connection: Connection, operation: OperationView, plan: Plan) -> None:
    if plan.wait_reason is None:
        return
    before, after = announced_by(operation.wait_reason), announced_by(plan.wait_reason)
    about: dict[str, Any] = {"instance_uuid": operation.instance_uuid, "operation_uuid": operation.uuid}
    if after is not None:
        raise_alarm(connection, after, plan.wait_reason, told=True, **about)
    if before is not None and before is not after:
        clear_alarm(connection, before, **about)


def _note_overdue(connection: Connection, before: OperationView, found: OperationView, plan: Plan) -> None:
    late = found.context.overdue
    about: dict[str, Any] = {"instance_uuid": before.instance_uuid, "operation_uuid": before.uuid}
    if late and late != before.context.overdue:
        said = next(line.message for line in reversed(plan.timeline) if line.type is EventType.ALARM)
        raise_alarm(connection, AlarmKind.OVERDUE, said, told=True, **about)
    if before.context.overdue and not late:
        clear_alarm(connection, AlarmKind.OVERDUE, **about)
