"""Instances, the reading side: one, or a page of many, filtered and sorted.

Owns the SQL of ``/servers``. Never writes (``instance_records`` does) and never formats. Only the columns that a view
needs are read, as plain rows.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, false, func, or_, select, true
from sqlalchemy.exc import DataError, OperationalError

from migrator.db.clock import now_expression
from migrator.db.tables import hosts, instances
from migrator.errors import BadRequest, InstanceNotFound

InstanceRow = Row[Any]


def _words(text: str) -> list[str]:
    return text.split()


_BRIEF = (instances.c.id, instances.c.uuid, instances.c.name)
_DETAIL = tuple(
    instances.c[name]
    for name in _words(
        "id uuid name description project_id user_id reservation_id flavor image_id spec host "
        "availability_zone vm_state task_state power_state fault metadata tags networks key_name "
        "config_drive locked_by locked_reason progress deleted created_at updated_at launched_at "
        "terminated_at"
    )
)

_TEXT, _NUMBER = "", -1
# sort key of the API -> expression without NULLs, so that both databases order alike
SORT_KEYS: Mapping[str, ColumnElement[Any]] = {
    "created_at": instances.c.created_at,
    "updated_at": func.coalesce(instances.c.updated_at, _NUMBER),
    "launched_at": func.coalesce(instances.c.launched_at, _NUMBER),
    "terminated_at": func.coalesce(instances.c.terminated_at, _NUMBER),
    "deleted_at": func.coalesce(instances.c.terminated_at, _NUMBER),
    "display_name": instances.c.name,
    "hostname": instances.c.name,
    "display_description": func.coalesce(instances.c.description, _TEXT),
    "uuid": instances.c.uuid,
    "id": instances.c.id,
    "host": func.coalesce(instances.c.host, _TEXT),
    "node": func.coalesce(instances.c.host, _TEXT),
    "launched_on": func.coalesce(instances.c.host, _TEXT),
    "availability_zone": func.coalesce(instances.c.availability_zone, _TEXT),
    "image_ref": func.coalesce(instances.c.image_id, _TEXT),
    "key_name": func.coalesce(instances.c.key_name, _TEXT),
    "locked_by": func.coalesce(instances.c.locked_by, _TEXT),
    "locked": func.coalesce(instances.c.locked_by, _TEXT),
    "power_state": instances.c.power_state,
    "progress": instances.c.progress,
    "project_id": instances.c.project_id,
    "user_id": instances.c.user_id,
    "reservation_id": instances.c.reservation_id,
    "vm_state": instances.c.vm_state,
    "task_state": func.coalesce(instances.c.task_state, _TEXT),
    "instance_type_id": instances.c.flavor["id"].as_integer(),
    "memory_mb": instances.c.flavor["memory_mb"].as_integer(),
    "vcpus": instances.c.flavor["vcpus"].as_integer(),
    "root_gb": instances.c.flavor["disk_gb"].as_integer(),
    "ephemeral_gb": instances.c.flavor["ephemeral_gb"].as_integer(),
}


@dataclass(frozen=True, slots=True)
class InstanceQuery:
    """Which instances, in which order. ``equal`` and ``among`` are by column name; ``deleted`` None is both.

    ``name``, ``ip`` and ``description`` are regular expressions. Times are seconds since the epoch.
    ``sort`` is a sequence of (key of SORT_KEYS, "asc" or "desc"); the newest first when it is empty.
    """

    equal: Mapping[str, Any] = field(default_factory=dict)
    among: Mapping[str, Collection[Any]] = field(default_factory=dict)
    deleted: bool | None = False
    name: str | None = None
    ip: str | None = None
    description: str | None = None
    flavor: str | None = None
    locked: bool | None = None
    changes_since: float | None = None
    changes_before: float | None = None
    tags_all: Sequence[str] = ()
    tags_any: Sequence[str] = ()
    not_tags_all: Sequence[str] = ()
    not_tags_any: Sequence[str] = ()
    sort: Sequence[tuple[str, str]] = ()
    limit: int | None = None
    marker: str | None = None


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


def page(connection: Connection, query: InstanceQuery, *, detail: bool) -> Sequence[InstanceRow]:
    """One page. Raises BadRequest for a marker that does not exist or an expression the database refuses."""
    # a key that is not in the table is the same for every instance here, so it orders nothing
    keys = [(SORT_KEYS[key], way) for key, way in query.sort if key in SORT_KEYS]
    keys.append((instances.c.id, keys[-1][1] if keys else "desc"))
    statement = select(*(_DETAIL if detail else _BRIEF)).where(*_conditions(connection, query))
    if query.marker is not None:
        statement = statement.where(_after(connection, keys, query.marker))
    statement = statement.order_by(*(key.asc() if way == "asc" else key.desc() for key, way in keys))
    if query.limit is not None:
        statement = statement.limit(query.limit)
    try:
        return connection.execute(statement).all()
    except (DataError, OperationalError) as error:
        if query.name or query.ip or query.description:
            raise BadRequest(f"The database refuses the regular expression: {error.orig}") from error
        raise


def _after(connection: Connection, keys: Sequence[tuple[ColumnElement[Any], str]], marker: str) -> ColumnElement[bool]:
    """Rows that follow the marker's: equal in the keys before, further on in the next one."""
    values = connection.execute(select(*(key for key, _ in keys)).where(instances.c.uuid == marker)).one_or_none()
    if values is None:
        raise BadRequest(f"marker [{marker}] not found")
    alternatives = []
    for position, (key, way) in enumerate(keys):
        further = key > values[position] if way == "asc" else key < values[position]
        same = [before == values[index] for index, (before, _) in enumerate(keys[:position])]
        alternatives.append(and_(*same, further))
    return or_(*alternatives)


def _conditions(connection: Connection, query: InstanceQuery) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if query.deleted is not None:
        wanted.append(instances.c.deleted == (true() if query.deleted else false()))
    wanted += [instances.c[name] == value for name, value in query.equal.items()]
    wanted += [instances.c[name].in_(values) for name, values in query.among.items()]
    if query.name is not None:
        wanted.append(instances.c.name.regexp_match(query.name))
    if query.description is not None:
        wanted.append(func.coalesce(instances.c.description, "").regexp_match(query.description))
    if query.flavor is not None:
        wanted.append(instances.c.flavor["flavorid"].as_string() == query.flavor)
    if query.locked is not None:
        wanted.append(instances.c.locked_by.is_not(None) if query.locked else instances.c.locked_by.is_(None))
    changed = func.coalesce(instances.c.updated_at, instances.c.created_at)
    if query.changes_since is not None:
        wanted.append(changed >= query.changes_since)
    if query.changes_before is not None:
        wanted.append(changed <= query.changes_before)
    return wanted + _json_conditions(connection, query)


def _json_conditions(connection: Connection, query: InstanceQuery) -> list[ColumnElement[bool]]:
    wanted = [_has_tag(connection, tag) for tag in query.tags_all]
    if query.tags_any:
        wanted.append(or_(*(_has_tag(connection, tag) for tag in query.tags_any)))
    if query.not_tags_all:
        wanted.append(~and_(*(_has_tag(connection, tag) for tag in query.not_tags_all)))
    if query.not_tags_any:
        wanted.append(~or_(*(_has_tag(connection, tag) for tag in query.not_tags_any)))
    if query.ip is not None:
        name = "json_each" if _sqlite(connection) else "json_array_elements"
        each = getattr(func, name)(instances.c.networks).table_valued("value")
        address = func.json_extract(each.c.value, "$.ip") if _sqlite(connection) else each.c.value.op("->>")("ip")
        wanted.append(select(1).select_from(each).where(address.regexp_match(query.ip)).exists())
    return wanted


def _has_tag(connection: Connection, tag: str) -> ColumnElement[bool]:
    name = "json_each" if _sqlite(connection) else "json_array_elements_text"
    each = getattr(func, name)(instances.c.tags).table_valued("value")
    return select(1).select_from(each).where(each.c.value == tag).exists()


def _sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def host_states(connection: Connection, names: Collection[str], down_after: float) -> Mapping[str, str]:
    """Host -> Nova's host_status: UP, UNKNOWN (silent for ``down_after`` s), DOWN (forced), MAINTENANCE (disabled)."""
    if not names:
        return {}
    silent = (now_expression(connection) - hosts.c.last_seen).label("silent_s")
    rows = connection.execute(
        select(hosts.c.name, hosts.c.forced_down, hosts.c.disabled, silent).where(hosts.c.name.in_(names))
    )
    return {row.name: _host_state(row, down_after) for row in rows}


def _host_state(row: Row[Any], down_after: float) -> str:
    if row.forced_down:
        return "DOWN"
    if row.disabled:
        return "MAINTENANCE"
    return "UP" if row.silent_s <= down_after else "UNKNOWN"


def usage(connection: Connection, project_id: str) -> tuple[int, int, int]:
    """(instances, vcpus, MiB of memory) that the project has."""
    rows = (
        connection.execute(
            select(instances.c.flavor).where(instances.c.project_id == project_id, instances.c.deleted == false())
        )
        .scalars()
        .all()
    )
    return len(rows), sum(f["vcpus"] for f in rows), sum(f["memory_mb"] for f in rows)
