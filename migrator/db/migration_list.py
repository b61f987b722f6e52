"""Operations that move an instance, as ``os-migrations`` and a server's migrations list them.

Reads only, and only the columns that a view shows: a page of a thousand is asked for every few seconds by
dashboards, and must not slow a migration down.
"""

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, TextClause, literal, or_, select, text, true, tuple_

from migrator.db.tables import MOVES, hosts, instances, operations
from migrator.errors import BadRequest, OperationNotFound

MigrationRow = Any
"""A row of COLUMNS, in that order, with those names."""

_o = operations.c
COLUMNS = (
    _o.id,
    _o.uuid,
    _o.kind,
    _o.instance_uuid,
    _o.status,
    _o.source,
    _o.destination,
    _o.user_id,
    _o.project_id,
    _o.created_at,
    _o.updated_at,
    _o.active,
    _o.params["old_flavor", "id"].as_integer().label("old_flavor_id"),
    _o.params["new_flavor", "id"].as_integer().label("new_flavor_id"),
)


@dataclass(frozen=True, slots=True)
class MigrationQuery:
    """``equal`` is by column of ``operations``; ``host`` matches source or destination. Times: seconds, epoch."""

    equal: Mapping[str, Any] = field(default_factory=dict)
    host: str | None = None
    changes_since: float | None = None
    changes_before: float | None = None
    newest_first: bool = True
    limit: int = 1000
    marker: str | None = None


def page(connection: Connection, query: MigrationQuery) -> Sequence[MigrationRow]:
    """One page, and of more than ``limit`` the newest, in whichever order. Raises BadRequest when the marker is not the
    UUID of a migration."""
    wanted: list[ColumnElement[bool] | TextClause] = [text(MOVES), *_conditions(query)]
    if query.marker is not None:
        wanted.append(_after(connection, query))
    if query.host is None:
        rows = list(_newest(connection, wanted, query.limit))
    else:  # each by its own index, in its order: OR would sort all that the host ever had
        leaving = _newest(connection, [*wanted, _o.source == query.host], query.limit)
        coming = [*wanted, _o.destination == query.host, or_(_o.source != query.host, _o.source.is_(None))]
        rows = list(heapq.merge(leaving, _newest(connection, coming, query.limit), key=_place, reverse=True))
        rows = rows[: query.limit]
    return rows if query.newest_first else sorted(rows, key=lambda row: int(row.id))


def _newest(
    connection: Connection, wanted: Sequence[ColumnElement[bool] | TextClause], limit: int
) -> Sequence[MigrationRow]:
    statement = select(*COLUMNS).where(*wanted).order_by(_o.created_at.desc(), _o.id.desc())
    return connection.execute(statement.limit(limit)).all()


def _place(row: MigrationRow) -> tuple[float, int]:
    return row.created_at, row.id


def _conditions(query: MigrationQuery) -> list[ColumnElement[bool]]:
    wanted = [_o[name] == value for name, value in query.equal.items()]
    if query.changes_since is not None:  # read by its own index first: few, where a dashboard asks what is new
        recent = select(_o.id).where(text(MOVES), _o.updated_at >= query.changes_since).correlate(None)
        wanted.append(_o.id.in_(recent))
    if query.changes_before is not None:
        wanted.append(_o.updated_at <= query.changes_before)
    return wanted


def _after(connection: Connection, query: MigrationQuery) -> ColumnElement[bool]:
    marked = select(_o.created_at, _o.id).where(_o.uuid == query.marker, _o.moves == true())
    if (project_id := query.equal.get("project_id")) is not None:  # another's is not there
        marked = marked.where(_o.project_id == project_id)
    at = connection.execute(marked).one_or_none()
    if at is None:
        raise BadRequest(f"Marker {query.marker} could not be found.")
    return tuple_(_o.created_at, _o.id) < tuple_(literal(at.created_at), literal(at.id))


def flavor_ids(connection: Connection, uuids: Collection[str]) -> Mapping[str, int]:
    """Instance -> the integer id of its flavor."""
    query = select(instances.c.uuid, instances.c.flavor["id"].as_integer())
    return _mapping(connection, query, instances.c.uuid, uuids)


def addresses(connection: Connection, names: Collection[str]) -> Mapping[str, str]:
    """Host -> the address that migrations to it use."""
    query = select(hosts.c.name, hosts.c.report["address"].as_string())
    return _mapping(connection, query, hosts.c.name, names)


def _mapping(
    connection: Connection, query: Select[Any], key: ColumnElement[str], wanted: Collection[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for chunk in _chunks(wanted):
        found.update((row[0], row[1]) for row in connection.execute(query.where(key.in_(chunk))))
    return found


def _chunks(values: Collection[str], size: int = 500) -> list[list[str]]:
    """Below every database's limit of bound parameters."""
    ordered = list(values)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def of_instance(connection: Connection, instance_uuid: str) -> Sequence[MigrationRow]:
    """The instance's live migrations that are under way (at most one, by the partial unique index)."""
    return connection.execute(
        select(*COLUMNS).where(
            _o.instance_uuid == instance_uuid,
            _o.active == true(),
            _o.moves == true(),
            _o.kind == "live-migration",
        )
    ).all()


def get(connection: Connection, instance_uuid: str, migration_id: int) -> MigrationRow:
    """A move of the instance, under way or over. Raises OperationNotFound."""
    query = select(*COLUMNS, _o.phase).where(
        _o.id == migration_id, _o.instance_uuid == instance_uuid, _o.moves == true()
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise OperationNotFound(f"Migration {migration_id} not found for instance {instance_uuid}")
    return row
