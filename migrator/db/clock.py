"""The database's clock: the only one that times are compared by (DESIGN, rule 9). Seconds since the epoch, float."""

from sqlalchemy import ColumnElement, Connection, Double, literal_column, select


def now_expression(connection: Connection) -> ColumnElement[float]:
    """SQL for 'now'. On SQLite precise to a millisecond, on PostgreSQL to a microsecond and moving inside a
    transaction (``clock_timestamp``), so that rows of one transaction keep their order."""
    if connection.dialect.name == "sqlite":
        return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Double)
    return literal_column("extract(epoch from clock_timestamp())::double precision", Double)


def now(connection: Connection) -> float:
    return float(connection.execute(select(now_expression(connection))).scalar_one())
