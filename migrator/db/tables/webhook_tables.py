"""Tables of webhooks and of what was delivered."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from migrator.db.tables.schema import metadata

webhooks = Table(  # who is told of events, and how far each was told
    "webhooks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("secret", String(255), nullable=False),  # as the receiver has it; deliveries are signed with it
    Column("events", JSON, nullable=False),  # their names; []: all
    Column("cursor", BigInteger, nullable=False),  # of `events`: all up to it were delivered, given up or not asked for
    Column("attempts", Integer, nullable=False, default=0),  # in vain, with the first event after the cursor
    Column("failing_since", Double),  # None: the last attempt was no failure
    Column("next_at", Double, nullable=False, default=0.0),  # no attempt before
    Column("claimed_by", String(36)),  # the server's word for the turn in which it sends; others wait until it ends
    Column("claimed_until", Double, nullable=False, default=0.0),
    Column("created_at", Double, nullable=False),
)

webhook_deliveries = Table(  # the newest of each webhook
    "webhook_deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("webhook_id", Integer, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", BigInteger, nullable=False),
    Column("event_name", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # db/webhooks.py: Delivery
    Column("attempts", Integer, nullable=False),
    Column("first_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
    Column("status", Integer),  # that the receiver answered last
    Column("error", Text),
    UniqueConstraint("webhook_id", "event_id"),
    Index("ix_webhook_deliveries_newest", "webhook_id", "id"),
)
