"""The timeline: one row for everything that happened to an operation or an instance."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from migrator.db.clock import now
from migrator.db.tables import events


def add(
    connection: Connection,
    name: str,
    message: str,
    *,
    operation_id: int | None = None,
    instance_uuid: str | None = None,
    phase: str | None = None,
    epoch: int | None = None,
    host: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    connection.execute(
        events.insert().values(
            operation_id=operation_id,
            instance_uuid=instance_uuid,
            at=now(connection),
            name=name,
            phase=phase,
            epoch=epoch,
            host=host,
            message=message,
            details=dict(details) if details is not None else None,
        )
    )


def of_operation(connection: Connection, operation_id: int) -> Sequence[Row[Any]]:
    """Oldest first."""
    return connection.execute(select(events).where(events.c.operation_id == operation_id).order_by(events.c.id)).all()
