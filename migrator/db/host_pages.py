"""Hosts page by page, by name, for operators who look at them. Reads only."""

from collections.abc import Collection, Mapping, Sequence
from typing import cast

from sqlalchemy import ColumnElement, Connection, false, func, select

from migrator.db.hosts import all_hosts
from migrator.db.rows import HostRow
from migrator.db.tables import hosts, instances


def page(connection: Connection, part: str | None, after: str | None, limit: int) -> Sequence[HostRow]:
    """Those whose names have ``part`` in them and stand behind ``after``, in order."""
    query = all_hosts(connection.dialect.name).where(*_named(part))
    if after is not None:
        query = query.where(hosts.c.name > after)
    return cast(Sequence[HostRow], connection.execute(query.order_by(hosts.c.name).limit(limit)).all())


def count(connection: Connection, part: str | None) -> int:
    return int(connection.execute(select(func.count()).select_from(hosts).where(*_named(part))).scalar_one())


def instance_counts(connection: Connection, names: Collection[str]) -> Mapping[str, int]:
    """Host -> how many instances are recorded on it; a host without any is left out."""
    query = select(instances.c.host, func.count()).where(instances.c.host.in_(names), instances.c.deleted == false())
    return {row[0]: row[1] for row in connection.execute(query.group_by(instances.c.host))}


def _named(part: str | None) -> Sequence[ColumnElement[bool]]:
    return () if part is None else (func.lower(hosts.c.name).contains(part.lower(), autoescape=True),)
