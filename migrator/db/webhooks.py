"""Webhooks: who is told of events, how far each was told, and what became of each delivery.

Owns that of several servers one at a time sends for a webhook, by a claim that ends, and that a cursor passes only what
was delivered, given up or not asked for. Never sends (``server/webhook_sender.py`` does).
"""

import uuid as uuids
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Row, delete, or_, select, text, update

from migrator.db.clock import now, now_expression
from migrator.db.rows import WebhookRow
from migrator.db.tables import webhook_deliveries, webhooks
from migrator.errors import AlreadyExists, NotFound, QuotaExceeded

MOST = 32  # webhooks; each is a request at a time
KEPT = 1000  # deliveries of each that are kept


class Delivery(StrEnum):
    DELIVERED = "delivered"
    FAILING = "failing"  # to be tried again
    GIVEN_UP = "given up"


class Attempt(NamedTuple):
    """One event, sent once. ``status``: what the receiver answered, if it did; ``error``: "" for a success."""

    event_id: int
    event_name: str
    status: int | None
    error: str


def create(connection: Connection, name: str, url: str, secret: str, names: Sequence[str], cursor: int) -> WebhookRow:
    """It is told of the events after ``cursor``. Raises AlreadyExists, and QuotaExceeded."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        connection.execute(text("LOCK TABLE webhooks IN SHARE ROW EXCLUSIVE MODE"))
    there = every(connection)
    if any(row.name == name for row in there):
        raise AlreadyExists(f"there is a webhook {name} already")
    if len(there) >= MOST:
        raise QuotaExceeded(f"there are {MOST} webhooks, and no more are sent to: delete one first")
    ident = str(uuids.uuid4())
    values = {"uuid": ident, "name": name, "url": url, "secret": secret, "events": list(names), "cursor": cursor}
    connection.execute(webhooks.insert().values(created_at=now(connection), **values))
    return get(connection, ident)


def every(connection: Connection) -> Sequence[WebhookRow]:
    """By name."""
    return cast(Sequence[WebhookRow], connection.execute(select(webhooks).order_by(webhooks.c.name)).all())


def get(connection: Connection, name_or_id: str) -> WebhookRow:
    """By its id, else by its name. Raises NotFound."""
    query = select(webhooks).where(or_(webhooks.c.uuid == name_or_id, webhooks.c.name == name_or_id))
    rows = connection.execute(query).all()
    if not rows:
        raise NotFound(f"Webhook {name_or_id} could not be found.")
    return cast(WebhookRow, min(rows, key=lambda row: row.uuid != name_or_id))


def remove(connection: Connection, name_or_id: str) -> None:
    """With its deliveries; one that is under way may still arrive. Raises NotFound."""
    ident = get(connection, name_or_id).id
    connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.webhook_id == ident))
    connection.execute(delete(webhooks).where(webhooks.c.id == ident))


def due(connection: Connection, settled: int) -> Sequence[int]:
    """The ids of webhooks that have events to be told up to ``settled``, and that no server sends for now."""
    moment = now_expression(connection)
    free = (webhooks.c.claimed_until <= moment, webhooks.c.next_at <= moment, webhooks.c.cursor < settled)
    return connection.execute(select(webhooks.c.id).where(*free).order_by(webhooks.c.id)).scalars().all()


def claim(connection: Connection, ident: int, by: str, lease_s: float) -> WebhookRow | None:
    """From now on ``by`` alone sends for it, until ``lease_s`` have passed; None: another server was faster."""
    moment = now(connection)
    free = (webhooks.c.id == ident, webhooks.c.claimed_until <= moment, webhooks.c.next_at <= moment)
    taken = update(webhooks).where(*free).values(claimed_by=by, claimed_until=moment + lease_s).returning(*webhooks.c)
    found = connection.execute(taken).one_or_none()
    return None if found is None else WebhookRow(*found)


def advance(connection: Connection, ident: int, by: str, cursor: int, lease_s: float) -> bool:
    """All up to ``cursor`` is told, and the claim lasts for so long from now. False: it is another's by now, and
    nothing is written."""
    values = {"cursor": cursor, "attempts": 0, "failing_since": None, "claimed_until": now(connection) + lease_s}
    return _write(connection, ident, by, values)


def release(connection: Connection, by: str) -> None:
    """Every claim of ``by``."""
    connection.execute(update(webhooks).where(webhooks.c.claimed_by == by).values(claimed_by=None, claimed_until=0.0))


def postpone(connection: Connection, row: WebhookRow, by: str, delay_s: float) -> bool:
    """The first event after the cursor failed again: the next attempt is ``delay_s`` from now, whichever server's."""
    moment = now(connection)
    values = {
        "attempts": row.attempts + 1,
        "failing_since": row.failing_since if row.failing_since is not None else moment,
        "next_at": moment + delay_s,
        "claimed_by": None,
        "claimed_until": 0.0,
    }
    return _write(connection, row.id, by, values)


def _write(connection: Connection, ident: int, by: str, values: dict[str, Any]) -> bool:
    mine = update(webhooks).where(webhooks.c.id == ident, webhooks.c.claimed_by == by).values(**values)
    return connection.execute(mine).rowcount == 1


def note(connection: Connection, ident: int, attempt: Attempt, state: Delivery) -> None:
    """What became of an event; of earlier attempts with it the count and the first one's time stay."""
    table, moment = webhook_deliveries, now(connection)
    last = {"state": str(state), "last_at": moment, "status": attempt.status, "error": attempt.error or None}
    again = update(table).where(table.c.webhook_id == ident, table.c.event_id == attempt.event_id)
    if connection.execute(again.values(attempts=table.c.attempts + 1, **last)).rowcount:
        return
    about = {"webhook_id": ident, "event_id": attempt.event_id, "event_name": attempt.event_name}
    connection.execute(table.insert().values(attempts=1, first_at=moment, **about, **last))
    old = select(table.c.id).where(table.c.webhook_id == ident).order_by(table.c.id.desc()).offset(KEPT).limit(1)
    if (oldest := connection.execute(old).scalar_one_or_none()) is not None:
        connection.execute(delete(table).where(table.c.webhook_id == ident, table.c.id <= oldest))


def deliveries(connection: Connection, ident: int, state: str | None, limit: int) -> Sequence[Row[Any]]:
    """Newest first."""
    query = select(webhook_deliveries).where(webhook_deliveries.c.webhook_id == ident)
    if state is not None:
        query = query.where(webhook_deliveries.c.state == state)
    return connection.execute(query.order_by(webhook_deliveries.c.id.desc()).limit(limit)).all()
