"""Quotas: what was set, and what a project uses of them.

Owns that two transactions of one project cannot both take the last of something: each holds the project from its count
to its commit. On SQLite a write transaction is the only one; PostgreSQL has a lock by the project's name.
"""

import struct
from collections.abc import Mapping
from hashlib import blake2b

from sqlalchemy import Connection, Table, and_, delete, false, select, text, true, update

from migrator.db.tables import instances, operations, quota_classes, quotas

DEFAULT_CLASS = "default"
UNLIMITED = -1
Limits = Mapping[str, int]


def hold(connection: Connection, project_id: str) -> None:
    """Until the transaction ends no other one holds the project. Before any row is locked."""
    if connection.dialect.name != "sqlite":
        (key,) = struct.unpack("q", blake2b(f"quota {project_id}".encode(), digest_size=8).digest())
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def defaults(connection: Connection, settings: Limits) -> dict[str, int]:
    """The settings' limits, and the class "default" over them."""
    return {**settings, **of_class(connection, DEFAULT_CLASS)}


def of_class(connection: Connection, name: str) -> Limits:
    """What was set."""
    return _set_ones(connection, quota_classes, name)


def limits(connection: Connection, project_id: str, settings: Limits) -> dict[str, int]:
    """What is in force for the project."""
    return {**defaults(connection, settings), **_set_ones(connection, quotas, project_id)}


def change(connection: Connection, project_id: str, values: Limits) -> None:
    _change(connection, quotas, project_id, values)


def change_class(connection: Connection, name: str, values: Limits) -> None:
    _change(connection, quota_classes, name, values)


def remove(connection: Connection, project_id: str) -> None:
    """The defaults are in force again."""
    connection.execute(delete(quotas).where(quotas.c.project_id == project_id))


def usage(connection: Connection, project_id: str) -> dict[str, int]:
    """Instances, cores and ram (MiB). While an instance is resized, the larger of both flavors counts: the other one
    may come back."""
    resized = and_(
        operations.c.instance_uuid == instances.c.uuid,
        operations.c.active == true(),
        operations.c.locks_instance == true(),
        operations.c.kind == "resize",
    )
    query = (
        select(instances.c.flavor, operations.c.params)
        .outerjoin(operations, resized)
        .where(instances.c.project_id == project_id, instances.c.deleted == false())
    )
    used = {"instances": 0, "cores": 0, "ram": 0}
    for flavor, params in connection.execute(query):
        both = [flavor, *((params["old_flavor"], params["new_flavor"]) if params else ())]
        used["instances"] += 1
        used["cores"] += max(one["vcpus"] for one in both)
        used["ram"] += max(one["memory_mb"] for one in both)
    return used


def _set_ones(connection: Connection, table: Table, owner: str) -> dict[str, int]:
    query = select(table.c.resource, table.c.hard_limit).where(table.columns[0] == owner)
    return {row.resource: row.hard_limit for row in connection.execute(query)}


def _change(connection: Connection, table: Table, owner: str, values: Limits) -> None:
    """In a transaction that holds ``owner``."""
    known, key = _set_ones(connection, table, owner), table.columns[0]
    for resource, limit in values.items():
        if resource in known:
            mine = and_(key == owner, table.c.resource == resource)
            connection.execute(update(table).where(mine).values(hard_limit=limit))
        else:
            connection.execute(table.insert().values({key: owner, "resource": resource, "hard_limit": limit}))
