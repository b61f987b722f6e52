"""Facts: the newest one of each host for each operation. Older, duplicated and late ones change nothing."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Update, bindparam, select, update
from sqlalchemy.exc import IntegrityError

from migrator.db.server_heartbeat import clock_expression, clock_of
from migrator.db.tables import facts
from migrator.protocol import UNREADABLE_FACT

_MINE = (facts.c.operation_id == bindparam("of_operation")) & (facts.c.host == bindparam("of_host"))
_KEPT = (
    select(facts.c.incarnation, facts.c.sequence, facts.c.body["problem"]["code"].as_string().label("problem"))
    .where(_MINE)
    .with_for_update()
)


def upsert(
    connection: Connection,
    operation_id: int,
    host: str,
    *,
    epoch: int,
    phase: str,
    incarnation: int,
    sequence: int,
    body: Mapping[str, Any],
) -> bool:
    """Store the fact if it is newer, by (incarnation, sequence), than the one kept. True: it was. The same one counts
    as newer if it could not be read before."""
    mine = {"of_operation": operation_id, "of_host": host}
    kept = connection.execute(_KEPT, mine).one_or_none()
    values = {"epoch": epoch, "phase": phase, "incarnation": incarnation, "sequence": sequence, "body": dict(body)}
    dialect = connection.dialect.name
    if kept is None:
        moments = dict.fromkeys(("received_at", "told_at"), clock_expression(connection))
        return _insert(connection, {"operation_id": operation_id, "host": host, **moments, **values})
    readable = kept.problem == UNREADABLE_FACT and (body.get("problem") or {}).get("code") != UNREADABLE_FACT
    number, newest = (incarnation, sequence), (kept.incarnation, kept.sequence)
    if number == newest and not readable:  # repeated: no news, but its host still looks
        connection.execute(_touch_statement(dialect), mine)
        return False
    if number < newest:
        return False
    connection.execute(_received(dialect), mine | values)
    return True


@cache
def _touch_statement(dialect: str) -> Update:
    return update(facts).where(_MINE).values(told_at=clock_of(dialect))


@cache
def _received(dialect: str) -> Update:
    """The other values are columns' names among its parameters."""
    return _touch_statement(dialect).values(received_at=clock_of(dialect))


def _insert(connection: Connection, row: Mapping[str, Any]) -> bool:
    """The host's first fact. False: the same report, sent again, was faster through another server process."""
    try:
        with connection.begin_nested():
            connection.execute(facts.insert().values(row))
    except IntegrityError:
        return False
    return True
