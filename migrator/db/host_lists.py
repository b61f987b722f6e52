"""Which hosts have not listed their copies since servers listen. Never decides what follows from it."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, or_, select, true

from migrator.db.clock import moment as now_of
from migrator.db.server_heartbeat import clock_of, seconds
from migrator.db.tables import hosts


@cache
def _since(dialect: str) -> Select[Any]:
    return select(now_of(dialect) - seconds(dialect))


@cache
def _unlisted(dialect: str) -> Select[Any]:
    missing = or_(hosts.c.listed_at.is_(None), clock_of(dialect) - hosts.c.listed_at > seconds(dialect))
    return select(hosts.c.name).where(hosts.c.approved == true(), missing).order_by(hosts.c.name)


def unlisted(connection: Connection, before: float) -> Sequence[str]:
    """Names of the approved hosts that have not; none where servers have listened since ``before``, a moment by the
    database's clock."""
    dialect = connection.dialect.name
    if connection.execute(_since(dialect)).scalar_one() <= before:
        return ()
    return connection.execute(_unlisted(dialect)).scalars().all()
