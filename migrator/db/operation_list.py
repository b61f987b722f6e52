"""Operations for reading: one by migration id or UUID, the list of an instance's, and a timeline."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from migrator.db.server_heartbeat import behind
from migrator.db.tables import operations
from migrator.errors import OperationNotFound

_ROWS: Select[Any] = select(*operations.c, behind().label("behind_s"))  # as ``hosts.HostRow`` has it


def find(connection: Connection, ident: str) -> Row[Any]:
    """By integer id or by UUID. Raises OperationNotFound."""
    by_id = ident.isdecimal() and len(ident) < 10
    wanted = operations.c.id == int(ident) if by_id else operations.c.uuid == ident
    row = connection.execute(_ROWS.where(wanted)).one_or_none()
    if row is None:
        raise OperationNotFound(f"Operation {ident} does not exist.")
    return row


def listed(
    connection: Connection, instance_uuid: str | None, active: bool | None, limit: int, before: int = 2**31 - 1
) -> Sequence[Row[Any]]:
    """Newest first, only operations that are older than ``before``."""
    query = _ROWS.where(operations.c.id < before)
    if instance_uuid is not None:
        query = query.where(operations.c.instance_uuid == instance_uuid)
    if active is not None:
        query = query.where(operations.c.active == active)
    return connection.execute(query.order_by(operations.c.id.desc()).limit(limit)).all()
