"""Server groups: rows in and out, and the instances that are in them."""

import uuid as uuids
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, false, func, select, update

from migrator.db.clock import now_expression
from migrator.db.rows import ServerGroupRow
from migrator.db.tables import instances, server_groups
from migrator.errors import ServerGroupNotFound


def create(connection: Connection, values: Mapping[str, Any]) -> ServerGroupRow:
    """``values``: name, policy, rules, project_id, user_id."""
    uuid = str(uuids.uuid4())
    connection.execute(server_groups.insert().values(uuid=uuid, created_at=now_expression(connection), **values))
    return get(connection, uuid)


def get(connection: Connection, uuid: str, project_id: str | None = None, *, lock: bool = False) -> ServerGroupRow:
    """With ``project_id``, only one of that project. ``lock``: until the transaction ends no other changes or removes
    it, or places a member of it. Raises ServerGroupNotFound."""
    query = select(server_groups).where(server_groups.c.uuid == uuid)
    if project_id is not None:
        query = query.where(server_groups.c.project_id == project_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise ServerGroupNotFound(f"Instance group {uuid} could not be found.")
    return cast(ServerGroupRow, row)


def listed(connection: Connection, project_id: str | None, limit: int, offset: int) -> Sequence[ServerGroupRow]:
    """The oldest first; None: of every project."""
    query = select(server_groups).order_by(server_groups.c.id).limit(limit).offset(offset)
    if project_id is not None:
        query = query.where(server_groups.c.project_id == project_id)
    return cast(Sequence[ServerGroupRow], connection.execute(query).all())


def count(connection: Connection, project_id: str) -> int:
    query = select(func.count()).select_from(server_groups).where(server_groups.c.project_id == project_id)
    return int(connection.execute(query).scalar_one())


def members(connection: Connection, groups: Collection[str]) -> Mapping[str, list[str]]:
    """Group -> its instances, the oldest first."""
    query = (
        select(instances.c.server_group, instances.c.uuid)
        .where(instances.c.server_group.in_(groups), instances.c.deleted == false())
        .order_by(instances.c.id)
    )
    found: dict[str, list[str]] = {uuid: [] for uuid in groups}
    for row in connection.execute(query):
        found[row.server_group].append(row.uuid)
    return found


def lock_of(connection: Connection, instance_uuid: str) -> None:
    """Lock the group of the instance, if it has one, see ``get``."""
    mine = select(instances.c.server_group).where(instances.c.uuid == instance_uuid)
    query = select(server_groups.c.id).where(server_groups.c.uuid.in_(mine))
    connection.execute(query.with_for_update()).all()


def remove(connection: Connection, uuid: str) -> None:
    """The group, which has been locked; its instances are in none then."""
    connection.execute(update(instances).where(instances.c.server_group == uuid).values(server_group=None))
    connection.execute(server_groups.delete().where(server_groups.c.uuid == uuid))
