"""The one row about the fleet's capacity: who looks next, and what the newest look found."""

from typing import NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, or_, select, update

from migrator.db.clock import now_expression
from migrator.db.tables import capacity_check

_C = capacity_check.c
_REST = 10.0  # times as long as the last look took, until the next one begins


class CapacityCheckRow(NamedTuple):
    """``age_s``: since it ended."""

    no_place: int
    local_disks: int
    took_s: float
    age_s: float


def due(connection: Connection, interval_s: float) -> bool:
    """Whether a server is to look now. Asked first, for a reader keeps no writer waiting."""
    return connection.execute(select(_C.id).where(_due(connection, interval_s))).first() is not None


def begin(connection: Connection, interval_s: float) -> bool:
    """Whether the caller is to look now: a look is due, and no other server has begun it."""
    mine = update(capacity_check).where(_due(connection, interval_s)).values(begun_at=now_expression(connection))
    return connection.execute(mine).rowcount > 0


def _due(connection: Connection, interval_s: float) -> ColumnElement[bool]:
    moment = now_expression(connection)
    return or_(_C.begun_at <= moment - interval_s - _REST * _C.took_s, _C.begun_at > moment)  # a clock was set back


def finish(connection: Connection, no_place: int, local_disks: int, took_s: float) -> None:
    found = {"no_place": no_place, "local_disks": local_disks, "took_s": took_s}
    connection.execute(update(capacity_check).values(ended_at=now_expression(connection), **found))


def newest(connection: Connection) -> CapacityCheckRow | None:
    """None: no look has ended yet."""
    age_s = (now_expression(connection) - _C.ended_at).label("age_s")
    query = select(_C.no_place, _C.local_disks, _C.took_s, age_s).where(_C.ended_at.is_not(None))
    return cast(CapacityCheckRow | None, connection.execute(query).one_or_none())
