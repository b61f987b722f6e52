"""The database's clock: the only one that times are compared by (DESIGN, rule 9). Seconds since the epoch, float."""

from functools import cache

from sqlalchemy import ColumnElement, Connection, Double, Select, literal_column, select


@cache
def moment(dialect: str) -> ColumnElement[float]:
    """SQL for 'now', by dialect. On SQLite precise to a millisecond, on PostgreSQL to a microsecond and moving
    inside a transaction (``clock_timestamp``), so that rows of one transaction keep their order."""
    if dialect == "sqlite":
        return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Double)
    return literal_column("extract(epoch from clock_timestamp())::double precision", Double)


def now_expression(connection: Connection) -> ColumnElement[float]:
    return moment(connection.dialect.name)


@cache
def _query(dialect: str) -> Select[float]:
    return select(moment(dialect))


def now(connection: Connection) -> float:
    return float(connection.execute(_query(connection.dialect.name)).scalar_one())
