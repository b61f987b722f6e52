"""A server's heartbeat, and its check whether the database's clock was set.

Owns what is said of that. Never decides what a silence means, and changes no evidence: hosts' silence is measured by
the servers' own clock (``db/server_heartbeat.py``).
"""

import logging

from migrator.alarms import AlarmKind
from migrator.db import alarms, server_heartbeat
from migrator.db.engine import Connection, Database

log = logging.getLogger(__name__)

SHOWN_S = 3600.0  # the alarm is over when the clock was not set again for so long


def beat(db: Database, heartbeat: server_heartbeat.Heartbeat) -> None:
    """Say that this server listens. To be called every ``server_heartbeat.BEAT_S``."""
    with db.write() as connection:
        note(connection, heartbeat)


def note(connection: Connection, heartbeat: server_heartbeat.Heartbeat) -> None:
    step_s = heartbeat.beat(connection)
    if step_s:
        _alarm(connection, step_s)
    else:
        _clear(connection)


def _alarm(connection: Connection, step_s: float) -> None:
    message = f"the database's clock was set {'forward' if step_s > 0 else 'back'} by {abs(step_s):.0f} s"
    log.warning("%s; hosts' silence is measured by the servers' own clock, and evidence stays as it was", message)
    alarms.raise_alarm(connection, AlarmKind.CLOCK_STEPPED, message, details={"step_s": round(step_s, 3)})


def _clear(connection: Connection) -> None:
    found = server_heartbeat.last_step(connection)
    if found is not None and found.age_s is not None and found.age_s > SHOWN_S:
        server_heartbeat.forget_step(connection)
        alarms.clear_alarm(connection, AlarmKind.CLOCK_STEPPED)
