"""The timeline of everything, in the order of its numbers, for readers that follow it.

Owns how far it may be read. PostgreSQL gives a number when an event is written, and shows the event when its
transaction ends: a reader that passed a number which is still missing would never see that event.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from migrator.db.clock import now_expression
from migrator.db.tables import events, operations

OPEN_S = 3.0  # for so long a missing number may still appear; transactions take milliseconds
_LOOKED = 1000  # events that one look takes in
_o = operations.c
_ROWS = select(events, _o.uuid.label("operation_uuid"), _o.kind.label("operation_kind")).outerjoin(
    operations, _o.id == events.c.operation_id
)


def newest(connection: Connection) -> int:
    """0: nothing has happened yet."""
    return int(connection.execute(select(func.max(events.c.id))).scalar_one() or 0)


def settled(connection: Connection, known: int | None) -> int:
    """The number up to which no event can appear any more. ``known``: the last such answer, if there was one."""
    if connection.dialect.name == "sqlite":  # one writer at a time: what is there is in order
        return newest(connection)
    if known is None:
        known = max(0, newest(connection) - _LOOKED)
    age_s = (now_expression(connection) - events.c.at).label("age_s")
    query = select(events.c.id, age_s).where(events.c.id > known).order_by(events.c.id).limit(_LOOKED)
    return passed(known, [(row.id, row.age_s) for row in connection.execute(query)])


def passed(known: int, found: Sequence[tuple[int, float]]) -> int:
    """How far the numbers after ``known`` are whole. ``found``: those that are there, each with its event's age; one
    that is missing before an older event was never used, or never will be. Pure."""
    for number, age_s in found:
        if number != known + 1 and 0 <= age_s < OPEN_S:
            break
        known = number
    return known


def between(
    connection: Connection, after: int, until: int, instance_uuid: str | None = None, host: str | None = None
) -> Sequence[Row[Any]]:
    """The events with numbers above ``after``, up to ``until``, oldest first."""
    query = _ROWS.where(events.c.id > after, events.c.id <= until)
    if instance_uuid is not None:
        query = query.where(events.c.instance_uuid == instance_uuid)
    if host is not None:
        query = query.where(events.c.host == host)
    return connection.execute(query.order_by(events.c.id)).all()
