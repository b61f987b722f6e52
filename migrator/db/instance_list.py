"""Instances, the reading side: one, or a page of many, filtered and sorted.

Owns the SQL of ``/servers``. Never writes (``instances`` does) and never formats. Only the columns that a view
needs are read, as plain rows.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, false, select

from migrator.db import instance_filters, server_heartbeat
from migrator.db.instance_filters import InstanceQuery
from migrator.db.tables import hosts, instances
from migrator.errors import InstanceNotFound

InstanceRow = Row[Any]


def _search_terms(text: str) -> list[str]:
    return text.split()


_BRIEF = (instances.c.id, instances.c.uuid, instances.c.name)
_DETAIL = tuple(
    instances.c[name]
    for name in _search_terms(
        "id uuid name description project_id user_id reservation_id flavor image_id spec host "
        "availability_zone vm_state task_state power_state fault metadata tags networks key_name "
        "config_drive locked_by locked_reason progress deleted created_at updated_at launched_at "
        "terminated_at image_properties server_group scheduler_hints "
        "hostname access_ip_v4 access_ip_v6 disk_config"
    )
)


def get(connection: Connection, uuid: str, project_id: str | None = None) -> InstanceRow:
    """The instance as a view needs it; with ``project_id``, only one of that project. Raises InstanceNotFound."""
    query = select(*_DETAIL).where(instances.c.uuid == uuid, instances.c.deleted == false())
    if project_id is not None:
        query = query.where(instances.c.project_id == project_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise InstanceNotFound(f"Instance {uuid} could not be found.")
    return row


def exists(connection: Connection, uuid: str, project_id: str | None = None, *, deleted: bool = False) -> None:
    """Raises InstanceNotFound unless there is (or, with ``deleted``, was) such an instance."""
    query = select(instances.c.deleted).where(instances.c.uuid == uuid)
    if project_id is not None:
        query = query.where(instances.c.project_id == project_id)
    gone = connection.execute(query).scalar_one_or_none()
    if gone is None or (gone and not deleted):
        raise InstanceNotFound(f"Instance {uuid} could not be found.")


def names(connection: Connection, uuids: Collection[str]) -> Mapping[str, str]:
    """By UUID, of deleted ones too."""
    if not uuids:
        return {}
    return {row.uuid: row.name for row in connection.execute(select(*_BRIEF).where(instances.c.uuid.in_(uuids)))}


def owner(connection: Connection, uuid: str, project_id: str | None = None, *, deleted: bool = False) -> Any:
    """Its project and user, and who locked it. Raises InstanceNotFound, as ``exists`` does."""
    query = select(instances.c.uuid, instances.c.project_id, instances.c.user_id, instances.c.locked_by).where(
        instances.c.uuid == uuid
    )
    if project_id is not None:
        query = query.where(instances.c.project_id == project_id)
    row = connection.execute(query if deleted else query.where(instances.c.deleted == false())).one_or_none()
    if row is None:
        raise InstanceNotFound(f"Instance {uuid} could not be found.")
    return row


def page(connection: Connection, query: InstanceQuery, *, detail: bool) -> Sequence[InstanceRow]:
    """One page. Raises BadRequest for a marker that does not exist."""
    keys = instance_filters.keys(query)
    wanted = instance_filters.conditions(connection, query)
    if query.marker is not None:
        wanted.append(instance_filters.after(connection, keys, query))
    statement = select(*(_DETAIL if detail else _BRIEF))
    if expressions := instance_filters.expressions(query):
        newest_first = [way for _, way in keys] == ["desc"]
        enough = query.limit if newest_first else None
        found = instance_filters.matching(connection, wanted, expressions, enough)
        statement = statement.where(instance_filters.among(connection, instances.c.id, found))
    else:
        statement = statement.where(*wanted)
    statement = statement.order_by(*(key.asc() if way == "asc" else key.desc() for key, way in keys))
    if query.limit is not None:
        statement = statement.limit(query.limit)
    return connection.execute(statement).all()


def host_states(connection: Connection, names: Collection[str], down_after: float) -> Mapping[str, str]:
    """Host -> Nova's host_status: UP, UNKNOWN (silent for ``down_after`` s), DOWN (forced), MAINTENANCE (disabled, or
    not approved)."""
    if not names:
        return {}
    silent = (server_heartbeat.clock_expression(connection) - hosts.c.last_seen).label("silent_s")
    columns = (hosts.c.name, hosts.c.forced_down, hosts.c.disabled, hosts.c.approved, silent)
    rows = connection.execute(select(*columns).where(hosts.c.name.in_(names)))
    return {row.name: _host_state(row, down_after) for row in rows}


def _host_state(row: Row[Any], down_after: float) -> str:
    if row.forced_down:
        return "DOWN"
    if row.disabled or not row.approved:
        return "MAINTENANCE"
    return "UP" if row.silent_s <= down_after else "UNKNOWN"
