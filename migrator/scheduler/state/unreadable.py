"""Operations that this server cannot read: a newer server wrote them, or the row is damaged.

Owns how that is said (the reason for which the operation waits, and an alarm) and how it is taken back. Never changes
what such an operation does: nothing of it is asked of any host until a server can read it.
"""

from migrator.alarms import AlarmKind
from migrator.db import alarms, operations
from migrator.db.engine import Database
from migrator.scheduler.decision.snapshot import OperationView

_REASON = "this server cannot read the operation"
_QUIET_S = 15.0  # one that was changed later than that is in the hands of a server that can read it
_LONGEST = 300


def set_aside(db: Database, operation_id: int, error: Exception) -> None:
    message = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
    reason = f"{_REASON}: upgrade it if a newer server runs beside it ({message})"
    with db.write() as connection:
        about = operations.hold_up(connection, operation_id, reason, _QUIET_S)
        if about is not None:
            alarms.raise_alarm(connection, AlarmKind.UNREADABLE, reason, **about)


def take_up(db: Database, operation: OperationView) -> None:
    """It can be read again."""
    if (operation.wait_reason or "").startswith(_REASON):
        with db.write() as connection:
            about = {"instance_uuid": operation.instance_uuid, "operation_uuid": operation.uuid}
            alarms.clear_alarm(connection, AlarmKind.UNREADABLE, **about)
