"""Facts: the newest one of each host for each operation. Older, duplicated and late ones change nothing."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from migrator.db.listening import clock_expression
from migrator.db.tables import facts


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
    """Store the fact if it is newer, by (incarnation, sequence), than the one kept. True: it was."""
    mine = (facts.c.operation_id == operation_id) & (facts.c.host == host)
    kept = connection.execute(select(facts.c.incarnation, facts.c.sequence).where(mine).with_for_update()).one_or_none()
    values = {
        "epoch": epoch,
        "phase": phase,
        "incarnation": incarnation,
        "sequence": sequence,
        "received_at": clock_expression(connection),
        "body": dict(body),
    }
    if kept is None:
        try:
            with connection.begin_nested():
                connection.execute(facts.insert().values(operation_id=operation_id, host=host, **values))
        except IntegrityError:  # the same report, sent again, was faster through another server process
            return False
        return True
    if (incarnation, sequence) <= (kept.incarnation, kept.sequence):
        return False
    connection.execute(update(facts).where(mine).values(**values))
    return True
