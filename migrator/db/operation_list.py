"""Operations for reading: one by migration id or UUID, the list of an instance's, and a timeline."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from migrator.db.server_heartbeat import behind
from migrator.db.tables import operations
from migrator.errors import BadRequest, OperationNotFound

_ROWS: Select[Any] = select(*operations.c, behind().label("behind_s"))  # as ``hosts.HostRow`` has it


def find(connection: Connection, ident: str) -> Row[Any]:
    """By integer id or by UUID. Raises OperationNotFound."""
    row = connection.execute(_ROWS.where(_named(ident))).one_or_none()
    if row is None:
        raise OperationNotFound(f"Operation {ident} does not exist.")
    return row


def _named(ident: str) -> ColumnElement[bool]:
    by_id = ident.isdecimal() and len(ident) < 10
    return operations.c.id == int(ident) if by_id else operations.c.uuid == ident


def listed(
    connection: Connection, instance_uuid: str | None, active: bool | None, limit: int, marker: str | None = None
) -> Sequence[Row[Any]]:
    """Newest first, only operations that are older than the marker's. Raises BadRequest for a marker that is none of
    these operations, or of another instance."""
    query, before = _ROWS, 2**31 - 1
    if instance_uuid is not None:
        query = query.where(operations.c.instance_uuid == instance_uuid)
    if marker is not None:
        marked = connection.execute(query.where(_named(marker))).one_or_none()
        if marked is None:
            raise BadRequest(f"marker [{marker}] not found", advice="begin again without a marker")
        before = marked.id
    query = query.where(operations.c.id < before)
    if active is not None:
        query = query.where(operations.c.active == active)
    return connection.execute(query.order_by(operations.c.id.desc()).limit(limit)).all()


def last_end(connection: Connection, instance_uuid: str) -> float | None:
    """When the last of the instance's operations ended; None: none has."""
    ended = select(func.max(operations.c.finished_at)).where(operations.c.instance_uuid == instance_uuid)
    return cast(float | None, connection.execute(ended).scalar_one())
