"""The timeline: one row for everything that happened to an operation or an instance."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Row, bindparam, select

from migrator.db.clock import moment as now_of
from migrator.db.clock import now_expression
from migrator.db.rows import OperationRow
from migrator.db.tables import events
from migrator.event_types import EventType
from migrator.protocol import Fact
from migrator.untrusted import printable

_MOST = 10_000  # lines of one timeline that are read
_NOTES_MOST = 20
_NOTE_LENGTH = 300


@cache
def _insert(dialect: str) -> Insert:
    """Built once for a kind of database, for every step of every operation writes a line."""
    rest = {column.name: bindparam(column.name, type_=column.type) for column in events.c if column.name != "id"}
    return events.insert().values(rest | {"at": now_of(dialect)})


def add(
    connection: Connection,
    event_type: EventType,
    message: str,
    *,
    operation_id: int | None = None,
    instance_uuid: str | None = None,
    phase: str | None = None,
    epoch: int | None = None,
    host: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    values = {
        "operation_id": operation_id,
        "instance_uuid": instance_uuid,
        "name": event_type.value,
        "phase": phase,
        "epoch": epoch,
        "host": host,
        "message": message,
        "details": dict(details) if details is not None else None,
    }
    connection.execute(_insert(connection.dialect.name), values)


def add_note(connection: Connection, row: OperationRow, host: str, fact: Fact) -> None:
    """A host's own line about its step: once an epoch for each text, escaped and cut, and no more than ``_NOTES_MOST``
    of one host for one operation, for what an agent sends may be anything."""
    if not fact.note:
        return
    message = printable.escaped(fact.note)[:_NOTE_LENGTH]
    mine = (events.c.operation_id == row.id, events.c.name == EventType.NOTE.value, events.c.host == host)
    told = connection.execute(select(events.c.epoch, events.c.message).where(*mine).limit(_NOTES_MOST)).all()
    if len(told) < _NOTES_MOST and (fact.epoch, message) not in [tuple(line) for line in told]:
        about: dict[str, Any] = {"operation_id": row.id, "instance_uuid": row.instance_uuid}
        add(connection, EventType.NOTE, message, **about, phase=fact.phase, epoch=fact.epoch, host=host)


def since_phase(connection: Connection, operation_id: int, phase: str) -> float | None:
    """Seconds since the operation last entered the phase; None: it never did."""
    query = (
        select(now_expression(connection) - events.c.at)
        .where(
            events.c.operation_id == operation_id,
            events.c.name == EventType.PHASE_ENTERED.value,
            events.c.phase == phase,
        )
        .order_by(events.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


def of_operation(connection: Connection, operation_id: int) -> Sequence[Row[Any]]:
    """Oldest first; of very many the newest."""
    query = select(events).where(events.c.operation_id == operation_id).order_by(events.c.id.desc()).limit(_MOST)
    return connection.execute(query).all()[::-1]
