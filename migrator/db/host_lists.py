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


def listening_since(connection: Connection) -> float:
    """Since when servers listen without a break, by the database's clock."""
    return float(connection.execute(_since(connection.dialect.name)).scalar_one())


def unlisted(connection: Connection) -> Sequence[str]:
    """Names of the approved hosts that have not, in order."""
    return connection.execute(_unlisted(connection.dialect.name)).scalars().all()
