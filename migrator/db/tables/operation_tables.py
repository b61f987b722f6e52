"""Operations: their state, what they claim of hosts, what hosts report for them, and totals of ended operations."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from migrator.db.tables.schema import metadata

MOVES = "moves"  # a query must say it just so, to be answered by the indexes that have nothing else
_MOVES = text(MOVES)

operations = Table(
    "operations",
    metadata,
    Column("id", Integer, primary_key=True),  # also the migration's id
    Column("uuid", String(36), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("instance_uuid", String(36), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("moves", Boolean, nullable=False),  # shown in os-migrations
    # The instance is this operation's. False: it only waits for a host to clean up.
    Column("holds", Boolean, key="locks_instance", nullable=False, default=True, server_default=true()),
    Column("phase", String(32), nullable=False),
    Column("forward", Boolean, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    # Grows with each operation of an instance; agents refuse those that are older than what they have served.
    Column("serial", BigInteger, nullable=False, default=0, server_default="0"),
    Column("status", String(32), nullable=False),  # os-migrations' word; while active Phase.migration_status
    Column("source", String(255)),
    Column("destination", String(255)),
    Column("requested_host", String(255)),
    Column("params", JSON, nullable=False),  # what the request said; never changes
    Column("context", JSON, nullable=False),  # what was learnt on the way (guest, refusals, ...)
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("confirm_requested", Boolean, nullable=False, default=False, server_default=false()),
    Column("steering", JSON),  # what an operator wants of the transfer: {bandwidth_mib_s, max_downtime_ms, held, force}
    Column("waiting", Text, key="wait_reason"),  # the named reason, None while it moves
    Column("error", JSON),  # {code, message}; why it was undone or ended
    Column("outcome", JSON),  # last JobFact and measurements at the end
    Column("request_id", String(64), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("project_id", String(255), nullable=False),
    Column("phase_since", Double, nullable=False),  # by the servers' clock
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    Column("finished_at", Double),
    Index(
        "uq_operations_one_active",
        "instance_uuid",
        unique=True,
        sqlite_where=text("active = 1 AND holds = 1"),
        postgresql_where=text("active AND holds"),
    ),
    Index("ix_operations_active", "active", "id"),
    Index("ix_operations_source", "source", "active"),
    Index("ix_operations_destination", "destination", "active"),
    Index("ix_operations_instance", "instance_uuid", "id"),
    Index("ix_operations_history", "instance_uuid", "created_at", "id"),
    Index("ix_operations_request", "instance_uuid", "request_id"),
    Index("ix_operations_moves", "created_at", "id", sqlite_where=_MOVES, postgresql_where=_MOVES),
    # os-migrations by each of its filters, in its order
    *(
        Index(f"ix_operations_moves_{name}", name, "created_at", "id", sqlite_where=_MOVES, postgresql_where=_MOVES)
        for name in ("status", "source", "destination", "kind", "instance_uuid", "user_id", "project_id")
    ),
    Index("ix_operations_moves_updated_at", "updated_at", sqlite_where=_MOVES, postgresql_where=_MOVES),
    Index("ix_operations_finished", "finished_at", "id"),
)

ended_totals = Table(  # one row: what has ended, counted up to the operation (finished_at, operation_id)
    "ended_totals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("finished_at", Double, nullable=False),
    Column("operation_id", Integer, nullable=False),
    Column("totals", JSON, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("host", String(255), nullable=False),
    Column("instance_uuid", String(36), nullable=False),
    Column("operation_id", Integer, ForeignKey("operations.id")),  # None: held by the instance itself
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("disk_gb", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("host", "instance_uuid"),
    Index("ix_claims_instance_uuid", "instance_uuid"),
)

facts = Table(
    "facts",
    metadata,
    Column("operation_id", Integer, ForeignKey("operations.id"), primary_key=True),
    Column("host", String(255), primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("phase", String(32), nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("told_at", Double),  # last, be it unchanged
    Column("body", JSON, nullable=False),  # protocol.Fact
)

progress = Table(  # a transfer's counters, about once a second
    "progress",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("operation_id", Integer, ForeignKey("operations.id"), nullable=False),
    Column("at", Double, nullable=False),  # by the servers' clock
    Column("remaining_bytes", BigInteger, nullable=False),
    Column("job", JSON, nullable=False),  # protocol.JobFact
    Index("ix_progress_operation", "operation_id", "at"),
    Index("ix_progress_low", "operation_id", "remaining_bytes", "at"),
)
