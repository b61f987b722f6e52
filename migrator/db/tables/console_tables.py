"""Consoles of instances: the newest bytes of each, in the order in which its hosts had it."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from migrator.db.tables.schema import metadata

console_logs = Table(
    "console_logs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("instance_uuid", String(36), nullable=False),
    Column("place", Integer, nullable=False),  # among the instance's stays on hosts
    Column("host", String(255), nullable=False),
    Column("file", BigInteger, nullable=False),  # ConsolePiece.file, the last that was told of
    Column("told", BigInteger, nullable=False),  # bytes of that file that are known
    Column("content", LargeBinary, nullable=False),  # empty: later stays' bytes are all that is kept
    Index("ix_console_logs_order", "instance_uuid", "place", unique=True),
)
