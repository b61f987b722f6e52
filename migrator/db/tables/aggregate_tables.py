"""Aggregates of hosts; one with ``availability_zone`` in its metadata makes that zone."""

from sqlalchemy import JSON, Column, Double, Index, Integer, String, Table

from migrator.db.tables.schema import metadata

aggregates = Table(
    "aggregates",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("metadata", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
)

aggregate_hosts = Table(
    "aggregate_hosts",
    metadata,
    Column("aggregate_id", Integer, primary_key=True),
    Column("host", String(255), primary_key=True),
    Index("ix_aggregate_hosts_host", "host"),
)
