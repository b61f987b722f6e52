"""How transfers went, second by second: kept with the operation, for clients that watch now or ask later."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Float, Row, bindparam, func, select

from migrator.db.server_heartbeat import behind, clock
from migrator.db.tables import progress

_INTERVAL_S = 0.9  # a row a second; a look comes every 0.2 s while something moves
_PARTS = ("memory_remaining_bytes", "disk_remaining_bytes")

_SINCE = (progress.c.operation_id == bindparam("operation")) & (progress.c.at >= bindparam("since", type_=Float()))
_LOWEST = select(progress.c.at).where(_SINCE).order_by(progress.c.remaining_bytes, progress.c.at).limit(1)
_NEWEST = select(func.max(progress.c.at)).where(_SINCE)
_MOST = 10_000  # that are read of one operation, about three hours' worth


def add(connection: Connection, operation_id: int, job: Mapping[str, Any]) -> None:
    """Keep the counters (``protocol.JobFact``) of an active job, unless the last ones are not a second old."""
    moment = clock(connection)
    newest = connection.execute(select(func.max(progress.c.at)).where(progress.c.operation_id == operation_id)).scalar()
    if newest is not None and moment - newest < _INTERVAL_S:
        return
    remaining = min(sum(int(job.get(part) or 0) for part in _PARTS), 2**63 - 1)
    connection.execute(
        progress.insert().values(operation_id=operation_id, at=moment, remaining_bytes=remaining, job=dict(job))
    )


def stalled_s(connection: Connection, operation_id: int, since: float = 0.0) -> float:
    """For how long the operation's transfer has been watched without a new low in bytes remaining; what was before
    ``since`` (seconds by the servers' clock) counts for nothing."""
    asked = {"operation": operation_id, "since": since}
    low = connection.execute(_LOWEST, asked).scalar()
    if low is None:
        return 0.0
    newest = connection.execute(_NEWEST, asked).scalar_one()
    return float(newest - low)


def of_operation(connection: Connection, operation_id: int) -> Sequence[Row[Any]]:
    """Rows of ``progress``, oldest first, with ``behind_s`` (see ``hosts.HostRow``); of very many the newest."""
    query = select(progress, behind().label("behind_s")).where(progress.c.operation_id == operation_id)
    return connection.execute(query.order_by(progress.c.at.desc(), progress.c.id.desc()).limit(_MOST)).all()[::-1]
