"""Which instances a query means, and in which order: the conditions and the order of ``/servers``, as SQL.

Owns what each filter and each sort key is compared with, and how regular expressions are matched: in here, never by the
database (see ``expressions.py``), unless a pattern is nothing but a text to be contained.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from migrator.db.aggregates import DEFAULT_ZONE, ZONE
from migrator.db.expressions import Expression, Search
from migrator.db.tables import aggregate_hosts, aggregates, instances
from migrator.errors import BadRequest

Keys = Sequence[tuple[ColumnElement[Any], str]]
_AT_ONCE = 2000  # instances that are read to be held against an expression
_TEXT, _NUMBER = "", -1
_ZONE_NAME = aggregates.c.metadata[ZONE].as_string()
_ZONE = (  # of the host: it is in one at most
    select(func.max(_ZONE_NAME))
    .join(aggregate_hosts, aggregate_hosts.c.aggregate_id == aggregates.c.id)
    .where(aggregate_hosts.c.host == instances.c.host)
    .correlate(instances)
    .scalar_subquery()
)
# sort key of the API -> expression without NULLs, so that both databases order alike
SORT_KEYS: Mapping[str, ColumnElement[Any]] = {
    "created_at": instances.c.created_at,
    "updated_at": func.coalesce(instances.c.updated_at, _NUMBER),
    "launched_at": func.coalesce(instances.c.launched_at, _NUMBER),
    "terminated_at": func.coalesce(instances.c.terminated_at, _NUMBER),
    "deleted_at": func.coalesce(instances.c.terminated_at, _NUMBER),
    "display_name": instances.c.name,
    "hostname": func.coalesce(instances.c.hostname, instances.c.name),
    "access_ip_v4": func.coalesce(instances.c.access_ip_v4, _TEXT),
    "access_ip_v6": func.coalesce(instances.c.access_ip_v6, _TEXT),
    "display_description": func.coalesce(instances.c.description, _TEXT),
    "uuid": instances.c.uuid,
    "id": instances.c.id,
    "host": func.coalesce(instances.c.host, _TEXT),
    "node": func.coalesce(instances.c.host, _TEXT),
    "availability_zone": case((instances.c.host.is_(None), _TEXT), else_=func.coalesce(_ZONE, DEFAULT_ZONE)),
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

    Times are seconds since the epoch.
    ``sort`` is a sequence of (key of SORT_KEYS, "asc" or "desc"); the newest first when it is empty.
    """

    equal: Mapping[str, Any] = field(default_factory=dict)
    among: Mapping[str, Collection[Any]] = field(default_factory=dict)
    deleted: bool | None = False
    name: Expression | None = None
    ip: Expression | None = None
    ip6: Expression | None = None
    description: Expression | None = None
    hostname: Expression | None = None
    key_name: Expression | None = None
    node: Expression | None = None
    availability_zone: Expression | None = None
    reservation_id: Expression | None = None
    access_ip_v4: Expression | None = None
    access_ip_v6: Expression | None = None
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


def keys(query: InstanceQuery) -> Keys:
    """What to order by. A key that is not in the table is the same for every instance here, so it orders nothing, and
    neither does one that was named before; the id makes the order a whole one."""
    found: dict[str, tuple[ColumnElement[Any], str]] = {}
    for name, way in query.sort:
        if name in SORT_KEYS:
            found.setdefault(str(SORT_KEYS[name]), (SORT_KEYS[name], way))
    ordered = list(found.values())
    return [*ordered, (instances.c.id, ordered[-1][1] if ordered else "desc")]


def after(connection: Connection, ordered: Keys, query: InstanceQuery) -> ColumnElement[bool]:
    """Rows that follow the marker's: equal in the keys before, further on in the next one. Raises BadRequest, also for
    the marker of a project whose instances are not asked for."""
    marker, marked = query.marker, select(*(key for key, _ in ordered)).where(instances.c.uuid == query.marker)
    if (project_id := query.equal.get("project_id")) is not None:
        marked = marked.where(instances.c.project_id == project_id)
    values = connection.execute(marked).one_or_none()
    if values is None:
        raise BadRequest(f"marker [{marker}] not found")
    if len({way for _, way in ordered}) == 1:
        columns, place = tuple_(*(key for key, _ in ordered)), tuple_(*map(literal, values))
        return columns > place if ordered[0][1] == "asc" else columns < place
    alternatives = []
    for position, (key, way) in enumerate(ordered):
        further = key > values[position] if way == "asc" else key < values[position]
        same = [before == values[index] for index, (before, _) in enumerate(ordered[:position])]
        alternatives.append(and_(*same, further))
    return or_(*alternatives)


def conditions(connection: Connection, query: InstanceQuery) -> list[ColumnElement[bool]]:
    """All but the regular expressions."""
    wanted: list[ColumnElement[bool]] = []
    if query.deleted is not None:
        wanted.append(instances.c.deleted == (true() if query.deleted else false()))
    wanted += [instances.c[name] == value for name, value in query.equal.items()]
    wanted += [instances.c[name].in_(values) for name, values in query.among.items()]
    if query.flavor is not None:
        wanted.append(instances.c.flavor["flavorid"].as_string() == query.flavor)
    if query.locked is not None:
        wanted.append(instances.c.locked_by.is_not(None) if query.locked else instances.c.locked_by.is_(None))
    updated, created = instances.c.updated_at, instances.c.created_at
    if (since := query.changes_since) is not None:
        recent = union_all(_ids(updated >= since), _ids(updated.is_(None), created >= since))
        wanted.append(instances.c.id.in_(recent))
    if (before := query.changes_before) is not None:
        wanted.append(or_(updated <= before, and_(updated.is_(None), created <= before)))
    return wanted + _tags(connection, query) + _contained(connection, query)


def _ids(*wanted: ColumnElement[bool]) -> Select[Any]:
    return select(instances.c.id).where(*wanted).correlate(None)


def _tags(connection: Connection, query: InstanceQuery) -> list[ColumnElement[bool]]:
    wanted = [_has_tag(connection, tag) for tag in query.tags_all]
    if query.tags_any:
        wanted.append(or_(*(_has_tag(connection, tag) for tag in query.tags_any)))
    if query.not_tags_all:
        wanted.append(~and_(*(_has_tag(connection, tag) for tag in query.not_tags_all)))
    if query.not_tags_any:
        wanted.append(~or_(*(_has_tag(connection, tag) for tag in query.not_tags_any)))
    return wanted


def _has_tag(connection: Connection, tag: str) -> ColumnElement[bool]:
    name = "json_each" if _sqlite(connection) else "json_array_elements_text"
    each = getattr(func, name)(instances.c.tags).table_valued("value")
    return select(1).select_from(each).where(each.c.value == tag).exists()


def _sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


# --- regular expressions ----------------------------------------------------------------------------------------

_TEXTS: Mapping[str, ColumnElement[Any]] = {
    "name": instances.c.name,
    "description": func.coalesce(instances.c.description, _TEXT),
    "hostname": SORT_KEYS["hostname"],
    # what it has none of is no text, in which nothing is found
    "key_name": instances.c.key_name,
    "node": instances.c.host,
    "availability_zone": SORT_KEYS["availability_zone"],
    "reservation_id": instances.c.reservation_id,
    "access_ip_v4": instances.c.access_ip_v4,
    "access_ip_v6": instances.c.access_ip_v6,
}


def _contained(connection: Connection, query: InstanceQuery) -> list[ColumnElement[bool]]:
    position = func.instr if _sqlite(connection) else func.strpos
    asked = {name: getattr(query, name) for name in _TEXTS}
    return [
        position(_TEXTS[name], literal(expression.literal, Text)) > 0
        for name, expression in asked.items()
        if expression is not None and expression.literal
    ]


def expressions(query: InstanceQuery) -> Mapping[str, Expression]:
    """Those that ``conditions`` does not hold already, by what they are matched with."""
    asked = {name: getattr(query, name) for name in (*_TEXTS, "ip", "ip6")}
    return {
        name: expression
        for name, expression in asked.items()
        if expression is not None and (expression.literal is None or name not in _TEXTS)
    }


def matching(
    connection: Connection,
    wanted: Sequence[ColumnElement[bool]],
    patterns: Mapping[str, Expression],
    enough: int | None,
) -> list[int]:
    """Ids of the instances that meet the conditions and all expressions, newest first; no more than ``enough``. Raises
    BadRequest for expressions that take too long."""
    columns = [_TEXTS[name].label(name) for name in patterns if name in _TEXTS]
    statement = select(instances.c.id, *columns, *([instances.c.networks] if {"ip", "ip6"} & patterns.keys() else ()))
    statement = statement.where(*wanted, instances.c.id < bindparam("before"))
    statement = statement.order_by(instances.c.id.desc()).limit(_AT_ONCE)
    found: list[int] = []
    search = Search(patterns)
    before = 2**31 - 1
    while enough is None or len(found) < enough:
        rows = connection.execute(statement, {"before": before}).all()
        found += [row.id for row in rows if search.found(_texts(row))]
        if len(rows) < _AT_ONCE:
            break
        before = rows[-1].id
    return found if enough is None else found[:enough]


def _texts(row: Any) -> Mapping[str, Any]:
    texts: dict[str, Any] = dict(row._mapping)
    addresses = [nic["ip"] for nic in texts.get("networks") or () if nic.get("ip")]
    texts["ip"] = [address for address in addresses if ":" not in address]
    texts["ip6"] = [address for address in addresses if ":" in address]
    return texts


def among(connection: Connection, column: ColumnElement[int], values: Collection[int]) -> ColumnElement[bool]:
    """As one parameter, for each database limits their number."""
    name = "json_each" if _sqlite(connection) else "json_array_elements_text"
    given = literal(orjson.dumps(list(values)).decode(), Text)
    each = getattr(func, name)(given if _sqlite(connection) else cast(given, JSON)).table_valued("value")
    return column.in_(select(cast(each.c.value, Integer)))
