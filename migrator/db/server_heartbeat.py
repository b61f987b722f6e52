"""The servers' own clock: how much time passed while servers listened, and since when they do so without a break.

A host's silence is measured by this clock and never by the database's, which may be set back or forward at any moment.
It runs with the database's clock between two beats, and each beat corrects it by the server's monotonic clock. While no
server runs, nothing is wrong with a host that is silent: the clock then goes on with the database's, and ``since``
begins anew. One row, which all server processes keep. Never decides what a silence means.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal, select, update
from sqlalchemy.exc import IntegrityError

from migrator.db.clock import moment as now_of
from migrator.db.clock import now
from migrator.db.tables import listening

BEAT_S = 5.0  # between two beats of one server
STALE_S = 20.0  # without a beat for so long, no server listened
AHEAD_S = 10.0  # the clock goes no further than this without a beat
STEP_S = 2.0  # by which the two clocks must differ between two beats to be told from a slow query
_READ_S = 1.0  # a longer look at the two clocks says nothing about their difference
_READS = 5
_ID = 1
_FOR_EVER = 1e12


def boot_clock() -> float:
    """Seconds since boot, those in which the machine slept among them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Heartbeat:
    """One server process. ``beat`` every ``BEAT_S``. ``monotonic``: seconds by a clock that no operator sets."""

    monotonic: Callable[[], float] = boot_clock
    _last: tuple[float, float] | None = field(default=None, init=False)  # by ``monotonic``, by the servers' clock

    def beat(self, connection: Connection) -> float:
        """Say that a server listens now. The seconds by which the database's clock was set since the last beat of any
        server, positive for forward; 0.0: it was not set."""
        row = connection.execute(_row().with_for_update()).one_or_none()
        moment, mono = self._clocks(connection)
        if row is None:
            _first(connection, moment)
            self._last = mono, moment
            return 0.0
        by_database, passed = moment - row.alive_at, max(0.0, moment - row.alive_at)
        if self._last is not None:
            passed = max(0.0, self._last[1] + mono - self._last[0] - row.clock)
        elif by_database >= -STEP_S:
            by_database = passed  # of how long no server ran nothing tells but the database
        step = by_database - passed if abs(by_database - passed) > STEP_S else 0.0
        clock = row.clock + passed
        values: dict[str, Any] = {"clock": clock, "alive_at": moment}
        values["since"] = clock if passed > STALE_S else row.since
        if step:
            values |= {"steps": listening.c.steps + 1, "step_s": step, "stepped_at": clock}
        connection.execute(update(listening).values(values))
        self._last = mono, clock
        return step

    def _clocks(self, connection: Connection) -> tuple[float, float]:
        """The database's and the monotonic clock at one moment, as nearly as it can be had."""
        for _ in range(_READS):
            before = self.monotonic()
            moment, after = now(connection), self.monotonic()
            if after - before < _READ_S:
                break
        return moment, (before + after) / 2


def beat(connection: Connection) -> None:
    """One beat of a server that has made none before."""
    Heartbeat().beat(connection)


def _first(connection: Connection, moment: float) -> None:
    values = {"id": _ID, "since": moment, "alive_at": moment, "clock": moment, "steps": 0}
    try:
        with connection.begin_nested():
            connection.execute(listening.insert().values(values))
    except IntegrityError:  # another server was faster
        return


def _row() -> Select[Any]:
    return select(listening).where(listening.c.id == _ID)


@cache
def clock_of(dialect: str) -> ColumnElement[float]:
    """SQL for the servers' clock, by dialect: seconds, near the epoch's as long as the database's clock was not set.
    That clock itself where no server ever ran."""
    moment: Any = now_of(dialect)
    ahead = moment - listening.c.alive_at
    passed = case((ahead < 0, 0.0), (ahead > AHEAD_S, AHEAD_S), else_=ahead)
    return func.coalesce(select(listening.c.clock + passed).where(listening.c.id == _ID).scalar_subquery(), moment)


def clock_expression(connection: Connection) -> ColumnElement[float]:
    return clock_of(connection.dialect.name)


@cache
def _clock_query(dialect: str) -> Select[float]:
    return select(clock_of(dialect))


def clock(connection: Connection) -> float:
    """The servers' clock now. A span of time that evidence depends on is a difference of two of these."""
    return float(connection.execute(_clock_query(connection.dialect.name)).scalar_one())


@cache
def behind() -> ColumnElement[float]:
    """SQL for the seconds that a moment by the servers' clock needs to become one by the database's."""
    return func.coalesce(
        select(listening.c.alive_at - listening.c.clock).where(listening.c.id == _ID).scalar_subquery(), literal(0.0)
    )


def seconds(dialect: str) -> ColumnElement[float]:
    """SQL for the seconds for which the servers have been listening; 0 during a break, and for
    ever where no server ever said so. A clock that was set back or forward is no break."""
    moment: Any = now_of(dialect)
    unbroken = case((moment - listening.c.alive_at <= STALE_S, clock_of(dialect) - listening.c.since), else_=0.0)
    return func.coalesce(select(unbroken).where(listening.c.id == _ID).scalar_subquery(), _FOR_EVER)


def since(connection: Connection) -> float:
    """Since when servers listen without a break, by their own clock."""
    dialect = connection.dialect.name
    return float(connection.execute(select(clock_of(dialect) - seconds(dialect))).scalar_one())


def last_step(connection: Connection) -> Any:
    """``steps``: how often the database's clock was set, ``step_s``: by how much the last time, ``age_s``: how long ago
    that was, None once that is forgotten. None: no server ever ran."""
    age_s = (clock_expression(connection) - listening.c.stepped_at).label("age_s")
    query = select(listening.c.steps, listening.c.step_s, age_s).where(listening.c.id == _ID)
    return connection.execute(query).one_or_none()


def forget_step(connection: Connection) -> None:
    """The last step is past; that there was one stays counted."""
    connection.execute(update(listening).values(stepped_at=None))
