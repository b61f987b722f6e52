"""Since when the servers have been listening without a break: how long a host's silence has had a chance to end.

While no server runs, every host is silent and nothing is wrong with any of them. One row, which all server processes
keep; a beat that is overdue counts as a break, whoever comes to look.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select, update
from sqlalchemy.exc import IntegrityError

from migrator.db.clock import moment as now_of
from migrator.db.clock import now
from migrator.db.tables import listening

BEAT_S = 5.0  # between two beats of one server
STALE_S = 20.0  # without a beat for so long, nobody listened
_ID = 1
_FOR_EVER = 1e12


def beat(connection: Connection) -> None:
    """Say that a server listens now."""
    moment = now(connection)
    since = case((moment - listening.c.alive_at > STALE_S, moment), else_=listening.c.since)
    if connection.execute(update(listening).values(since=since, alive_at=moment)).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(listening.insert().values(id=_ID, since=moment, alive_at=moment))
    except IntegrityError:  # another server was faster
        return


def seconds(dialect: str) -> ColumnElement[float]:
    """SQL for the seconds for which the servers have been listening; 0 after a break that nobody has ended yet, and for
    ever where no server ever said so."""
    moment: Any = now_of(dialect)
    unbroken = case((moment - listening.c.alive_at <= STALE_S, moment - listening.c.since), else_=0.0)
    return func.coalesce(select(unbroken).where(listening.c.id == _ID).scalar_subquery(), _FOR_EVER)
