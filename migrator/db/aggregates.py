"""Aggregates of hosts: rows in and out, and what they make of each host: its availability zone, and metadata.

Owns that a host is in one zone at most, and that the zone of a host with instances stays. Whatever may change a zone
locks the rows of the hosts first, as each claim does: nothing comes to a host between the question and the change.
"""

import uuid as uuids
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, exists, false, or_, select, update
from sqlalchemy.exc import IntegrityError

from migrator.db import hosts as host_rows
from migrator.db.clock import now_expression
from migrator.db.rows import AggregateRow
from migrator.db.tables import aggregate_hosts, aggregates, claims, hosts, instances
from migrator.errors import AlreadyExists, Conflict, NotFound

HostMetadata = Mapping[str, frozenset[str]]  # key -> values
ZONE = "availability_zone"  # the key of an aggregate's metadata that makes a zone
DEFAULT_ZONE = "nova"  # of each host that is in no other


def create(connection: Connection, name: str, metadata: Mapping[str, str]) -> AggregateRow:
    """Raises AlreadyExists."""
    values = {"uuid": str(uuids.uuid4()), "name": name, "metadata": dict(metadata)}
    try:
        made = connection.execute(aggregates.insert().values(created_at=now_expression(connection), **values))
    except IntegrityError as error:
        raise AlreadyExists(f"Aggregate {name} already exists.") from error
    key = made.inserted_primary_key
    assert key is not None
    return get(connection, int(key[0]))


def get(connection: Connection, key: int, *, lock: bool = False) -> AggregateRow:
    """Raises NotFound."""
    query = select(aggregates).where(aggregates.c.id == key)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"Aggregate {key} could not be found.")
    return cast(AggregateRow, row)


def every(connection: Connection) -> Sequence[AggregateRow]:
    return cast(Sequence[AggregateRow], connection.execute(select(aggregates).order_by(aggregates.c.id)).all())


def members(connection: Connection) -> Mapping[int, list[str]]:
    """Aggregate -> its hosts."""
    found: dict[int, list[str]] = {}
    for row in connection.execute(select(aggregate_hosts).order_by(aggregate_hosts.c.host)):
        found.setdefault(row.aggregate_id, []).append(row.host)
    return found


def change(connection: Connection, key: int, values: Mapping[str, Any]) -> AggregateRow:
    """Raises AlreadyExists."""
    query = update(aggregates).where(aggregates.c.id == key)
    try:
        connection.execute(query.values(updated_at=now_expression(connection), **values))
    except IntegrityError as error:
        raise AlreadyExists(f"Aggregate {values.get('name')} already exists.") from error
    return get(connection, key)


def remove(connection: Connection, key: int) -> None:
    connection.execute(aggregates.delete().where(aggregates.c.id == key))


def add_host(connection: Connection, key: int, host: str) -> bool:
    """False: it is in it already."""
    there = select(aggregate_hosts).where(aggregate_hosts.c.aggregate_id == key, aggregate_hosts.c.host == host)
    if connection.execute(there).first() is not None:
        return False
    connection.execute(aggregate_hosts.insert().values(aggregate_id=key, host=host))
    return True


def remove_host(connection: Connection, key: int, host: str) -> bool:
    """False: it was not in it."""
    gone = aggregate_hosts.delete().where(aggregate_hosts.c.aggregate_id == key, aggregate_hosts.c.host == host)
    return connection.execute(gone).rowcount > 0


def forget_host(connection: Connection, host: str) -> None:
    connection.execute(aggregate_hosts.delete().where(aggregate_hosts.c.host == host))


def locked(connection: Connection, key: int, more: Collection[str] = ()) -> tuple[AggregateRow, list[str]]:
    """The aggregate and its hosts; their rows are locked, and those of the hosts in ``more``. Raises NotFound, and
    Conflict where another request changed the hosts in that moment."""
    before = _hosts_of(connection, key)
    host_rows.lock(connection, {*before, *more})
    row = get(connection, key, lock=True)
    if _hosts_of(connection, key) != before:
        raise Conflict(f"Aggregate {key} is changed by another request: ask again")
    return row, before


def _hosts_of(connection: Connection, key: int) -> list[str]:
    query = select(aggregate_hosts.c.host).where(aggregate_hosts.c.aggregate_id == key)
    return list(connection.execute(query.order_by(aggregate_hosts.c.host)).scalars())


def zones(connection: Connection, names: Collection[str] | None = None) -> Mapping[str, str]:
    """Host -> its zone, of each host that is not in the default one. None: of all hosts."""
    return {host: merged[ZONE] for host, merged in _metadata(connection, names) if ZONE in merged}


def metadata(connection: Connection, names: Collection[str] | None = None) -> Mapping[str, HostMetadata]:
    """Host -> key -> values, of all aggregates that it is in; a value with commas counts as several."""
    found: dict[str, dict[str, set[str]]] = {}
    for host, merged in _metadata(connection, names):
        for key, value in merged.items():
            values = {part.strip() for part in value.split(",")} if key != ZONE else {value}
            found.setdefault(host, {}).setdefault(key, set()).update(values)
    return {host: {key: frozenset(values) for key, values in keys.items()} for host, keys in found.items()}


def _metadata(connection: Connection, names: Collection[str] | None) -> list[tuple[str, Mapping[str, str]]]:
    query = select(aggregate_hosts.c.host, aggregates.c.metadata).join(
        aggregates, aggregates.c.id == aggregate_hosts.c.aggregate_id
    )
    if names is not None:
        query = query.where(aggregate_hosts.c.host.in_(names))
    return [(row.host, row.metadata) for row in connection.execute(query.order_by(aggregates.c.id))]


def occupied(connection: Connection, names: Collection[str]) -> list[str]:
    """Those of the hosts that have instances, or are about to."""
    recorded = exists().where(instances.c.host == hosts.c.name, instances.c.deleted == false())
    claimed = exists().where(claims.c.host == hosts.c.name)
    query = select(hosts.c.name).where(hosts.c.name.in_(names), or_(recorded, claimed)).order_by(hosts.c.name)
    return list(connection.execute(query).scalars())
