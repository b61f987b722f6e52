"""Drains: one object for the moves away from a host, and back to it."""

from sqlalchemy import JSON, Boolean, Column, Double, ForeignKey, Index, Integer, String, Table, Text, text

from migrator.db.tables.schema import metadata

drains = Table(
    "drains",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),  # "drain", or "restore" of an earlier one
    Column("host", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("request", JSON, nullable=False),  # strategies, to, at_most, reason, disable; never changes
    Column("undo", Boolean, nullable=False),  # of a cancelled one: what went shall come back
    Column("note", Text),  # why it waits, or how it ended
    Column(
        "before", JSON, nullable=False
    ),  # of the host: disabled, disabled_reason; of a restore: restores, the drains' UUIDs; of an evacuation: clock
    Column("total_s", Double, nullable=False),  # predicted by the newest plan
    Column("longest_s", Double, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("project_id", String(255), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("planned_at", Double),
    Column("deadline_at", Double),  # no move begins after it
    Column("finished_at", Double),
    Index(
        "uq_drains_one_active", "host", unique=True, sqlite_where=text("active = 1"), postgresql_where=text("active")
    ),
    Index("ix_drains_active", "active", "id"),
    Index("ix_drains_host", "host", "id"),
)

drain_moves = Table(  # one for each instance that was found on the host
    "drain_moves",
    metadata,
    Column("drain_id", Integer, ForeignKey("drains.id"), primary_key=True),
    Column("instance_uuid", String(36), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("source", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("way", String(16)),  # None: it cannot go
    Column("destination", String(255)),
    Column("position", Integer, nullable=False),  # order of the newest plan
    Column("plan", JSON, nullable=False),  # why, remedy, duration_s, downtime_s, begin_s, end_s
    Column("group_uuid", String(36)),  # a server group whose members are kept apart
    Column("attempts", Integer, nullable=False),
    Column("operation_id", Integer, ForeignKey("operations.id")),  # the newest
    Column("error", Text),  # of the newest attempt
    Column("not_before", Double),  # by the servers' clock: no further attempt begins earlier
    Index("ix_drain_moves_state", "state", "drain_id"),
    Index("ix_drain_moves_instance", "instance_uuid"),
)

recoveries = Table(  # evacuations that the servers began on their own
    "recoveries",
    metadata,
    Column("drain_id", Integer, ForeignKey("drains.id"), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("lost_at", Double, nullable=False),  # when it was last heard, by the servers' clock: which of its losses
    Column("evidence", JSON, nullable=False),  # kind, by, words, at
    Index("uq_recoveries_one_a_loss", "host", "lost_at", unique=True),
)

guest_failures = Table(  # of instances whose guests stopped by a failure
    "guest_failures",
    metadata,
    Column("instance_uuid", String(36), primary_key=True),
    Column("failures", Integer, nullable=False),  # each less than an hour after the one before
    Column("failed_at", Double, nullable=False),  # the last time, by the servers' clock
    Column("due", Boolean, nullable=False),  # no answer was given to the last one yet
    Column("operation_id", Integer),  # the start that was the answer
)

drain_events = Table(
    "drain_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("drain_id", Integer, ForeignKey("drains.id"), nullable=False),
    Column("at", Double, nullable=False),
    Column("name", String(32), nullable=False),
    Column("instance_uuid", String(36)),
    Column("message", Text, nullable=False),
    Index("ix_drain_events_drain", "drain_id", "id"),
)
