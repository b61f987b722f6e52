"""What happened, and what is wrong: the timeline's events, and alarms."""

from sqlalchemy import JSON, Column, Double, ForeignKey, Index, Integer, String, Table, Text, text

from migrator.db.tables.schema import metadata

# names of events that are requests of their own; a reset of the state is about no operation
IS_REQUEST = "events.name IN ('cancel', 'force', 'confirm', 'revert', 'state-reset')"
_REQUESTS = text(IS_REQUEST.removeprefix("events."))

events = Table(  # the timeline, and os-instance-actions' events
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("operation_id", Integer, ForeignKey("operations.id")),
    Column("instance_uuid", String(36)),
    Column("at", Double, nullable=False),
    Column("name", String(64), nullable=False),  # an ``EventType``
    Column("phase", String(32)),
    Column("epoch", Integer),
    Column("host", String(255)),
    Column("message", Text, nullable=False),
    Column("details", JSON),
    Index("ix_events_operation_id", "operation_id", "id"),
    Index("ix_events_instance_uuid", "instance_uuid", "id"),
    Index("ix_events_requests", "instance_uuid", "at", "id", sqlite_where=_REQUESTS, postgresql_where=_REQUESTS),
)

alarms = Table(  # what was found wrong and is not over; cleared ones are kept
    "alarms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(64), nullable=False),  # alarms.AlarmKind
    # "" where it is not about one: NULLs would be different from each other in the index below
    Column("host", String(255), nullable=False),
    Column("instance_uuid", String(36), nullable=False),
    Column("operation_uuid", String(36), nullable=False, default="", server_default=""),
    Column("message", Text, nullable=False),
    Column("details", JSON),
    Column("raised_at", Double, nullable=False),
    Column("changed_at", Double),  # when the words changed last
    Column("cleared_at", Double),  # None: it is open
    Index(
        "uq_alarms_one_open",
        "kind",
        "host",
        "instance_uuid",
        "operation_uuid",
        unique=True,
        sqlite_where=text("cleared_at IS NULL"),
        postgresql_where=text("cleared_at IS NULL"),
    ),
    Index("ix_alarms_instance_uuid", "instance_uuid", "id"),
    Index("ix_alarms_host", "host", "id"),
)
