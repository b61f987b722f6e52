"""Rebalances: moves that a plan for balance proposed, kept until they are accepted or too old."""

from sqlalchemy import JSON, Column, Double, ForeignKey, Index, Integer, String, Table

from migrator.db.tables.schema import metadata

rebalances = Table(
    "rebalances",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("objective", String(16), nullable=False),
    Column("request", JSON, nullable=False),  # at_most, horizon_s
    Column("plan", JSON, nullable=False),  # hosts before and after, emptied, left
    Column("user_id", String(255), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),  # from then on nothing of it is accepted
)

rebalance_moves = Table(
    "rebalance_moves",
    metadata,
    Column("rebalance_id", Integer, ForeignKey("rebalances.id"), primary_key=True),
    Column("instance_uuid", String(36), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("source", String(255), nullable=False),
    Column("destination", String(255), nullable=False),
    Column("position", Integer, nullable=False),
    Column("group_uuid", String(36)),  # a server group whose members are kept apart
    Column("proposal", JSON, nullable=False),  # why, what it costs and gains, what it does to both hosts
    Column("drain_id", Integer, ForeignKey("drains.id")),  # of the kind "rebalance": what became of it
    Index("ix_rebalance_moves_drain", "drain_id"),
)
