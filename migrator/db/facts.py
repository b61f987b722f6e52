"""Facts: the newest one of each host for each operation. Older, duplicated and late ones change nothing."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from migrator.db.server_heartbeat import clock_expression
from migrator.db.tables import facts
from migrator.protocol import UNREADABLE_FACT


def keep(
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
    mine = (facts.c.operation_id == operation_id) & (facts.c.host == host)
    columns = (facts.c.incarnation, facts.c.sequence, facts.c.body["problem"]["code"].as_string().label("problem"))
    kept = connection.execute(select(*columns).where(mine).with_for_update()).one_or_none()
    values = {
        "epoch": epoch,
        "phase": phase,
        "incarnation": incarnation,
        "sequence": sequence,
        "received_at": clock_expression(connection),
        "told_at": clock_expression(connection),
        "body": dict(body),
    }
    if kept is None:
        return _insert(connection, {"operation_id": operation_id, "host": host, **values})
    readable = kept.problem == UNREADABLE_FACT and (body.get("problem") or {}).get("code") != UNREADABLE_FACT
    number, newest = (incarnation, sequence), (kept.incarnation, kept.sequence)
    if number == newest and not readable:  # repeated: no news, but its host still looks
        connection.execute(update(facts).where(mine).values(told_at=clock_expression(connection)))
        return False
    if number < newest:
        return False
    connection.execute(update(facts).where(mine).values(**values))
    return True


def _insert(connection: Connection, row: Mapping[str, Any]) -> bool:
    """The host's first fact. False: the same report, sent again, was faster through another server process."""
    try:
        with connection.begin_nested():
            connection.execute(facts.insert().values(row))
    except IntegrityError:
        return False
    return True
