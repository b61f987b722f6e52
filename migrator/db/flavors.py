"""Flavors: rows in and out. ``flavorid`` is the id that clients see."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from migrator.db.clock import now
from migrator.db.tables import flavors
from migrator.errors import AlreadyExists, BadRequest, FlavorNotFound

FlavorRow = Row[Any]


def get(connection: Connection, flavorid: str, project_id: str | None = None, *, lock: bool = False) -> FlavorRow:
    """With ``project_id``, only one that the project may use. ``lock``: no other transaction changes it until
    this one ends. Raises FlavorNotFound."""
    query = select(flavors).where(flavors.c.flavorid == flavorid)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None or not _usable(row, project_id):
        raise FlavorNotFound(f"Flavor {flavorid} could not be found.")
    return row


def _usable(row: FlavorRow, project_id: str | None) -> bool:
    return project_id is None or row.is_public or project_id in row.access


def listed(
    connection: Connection,
    *,
    is_public: bool | None,
    project_id: str | None = None,
    min_ram: int = 0,
    min_disk: int = 0,
    sort: Sequence[tuple[str, bool]] = (("flavorid", True),),
    marker: str | None = None,
    limit: int,
) -> Sequence[FlavorRow]:
    """A page of flavors. ``is_public`` None is all; with ``project_id``, only those that the project may use; ``sort``
    is (column, ascending). Raises BadRequest (marker)."""
    query = select(flavors).where(flavors.c.memory_mb >= min_ram, flavors.c.disk_gb >= min_disk)
    if is_public is not None:
        query = query.where(flavors.c.is_public == is_public)
    for column, ascending in (*sort, ("id", True)):
        query = query.order_by(flavors.c[column].asc() if ascending else flavors.c[column].desc())
    rows = [row for row in connection.execute(query) if _usable(row, project_id)]
    if marker is not None:  # there are few flavors: paging them in memory keeps any sort order right
        ids = [row.flavorid for row in rows]
        if marker not in ids:
            raise BadRequest(f"marker [{marker}] not found")
        rows = rows[ids.index(marker) + 1 :]
    return rows[:limit]


def create(connection: Connection, values: Mapping[str, Any]) -> FlavorRow:
    """Raises AlreadyExists for a name or id that is taken."""
    flavorid = values.get("flavorid") or str(uuid.uuid4())
    taken = connection.execute(
        select(flavors.c.flavorid, flavors.c.name).where(
            or_(flavors.c.flavorid == flavorid, flavors.c.name == values["name"])
        )
    ).first()
    if taken is not None:
        what = f"ID {flavorid}" if taken.flavorid == flavorid else f"name {values['name']}"
        raise AlreadyExists(f"Flavor with {what} already exists.")
    row = {"extra_specs": {}, "access": [], "created_at": now(connection), **values, "flavorid": flavorid}
    try:
        connection.execute(flavors.insert().values(**row))
    except IntegrityError as error:
        named = "flavors_name" in str(error.orig) or "flavors.name" in str(error.orig)  # by PostgreSQL, and by SQLite
        what = f"name {values['name']}" if named else f"ID {flavorid}"
        raise AlreadyExists(f"Flavor with {what} already exists.") from error
    return get(connection, flavorid)


def change(connection: Connection, flavorid: str, values: Mapping[str, Any]) -> FlavorRow:
    connection.execute(
        update(flavors).where(flavors.c.flavorid == flavorid).values(updated_at=now(connection), **values)
    )
    return get(connection, flavorid)


def remove(connection: Connection, flavorid: str) -> None:
    if connection.execute(delete(flavors).where(flavors.c.flavorid == flavorid)).rowcount == 0:
        raise FlavorNotFound(f"Flavor {flavorid} could not be found.")
