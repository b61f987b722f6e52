"""What instances have used in a time: those that were launched before its end and not terminated before its start."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, or_, select, tuple_

from migrator.db.tables import instances
from migrator.errors import BadRequest

_COLUMNS = ("uuid", "name", "project_id", "flavor", "vm_state", "launched_at", "terminated_at")


def listed(
    connection: Connection, start: float, stop: float, project_id: str | None, limit: int | None, marker: str | None
) -> Sequence[Row[Any]]:
    """By project and UUID, those after ``marker`` (a UUID). Raises BadRequest for a marker that is none."""
    query = (
        select(*(instances.c[name] for name in _COLUMNS))
        .where(instances.c.launched_at < stop)
        .where(or_(instances.c.terminated_at.is_(None), instances.c.terminated_at > start))
        .order_by(instances.c.project_id, instances.c.uuid)
        .limit(limit)
    )
    if project_id is not None:
        query = query.where(instances.c.project_id == project_id)
    if marker is not None:
        last = connection.execute(select(instances.c.project_id).where(instances.c.uuid == marker)).one_or_none()
        if last is None or project_id not in (None, last.project_id):
            raise BadRequest(f"marker [{marker}] not found")
        place = tuple_(instances.c.project_id, instances.c.uuid)
        query = query.where(place > tuple_(last.project_id, marker))
    return connection.execute(query).all()
