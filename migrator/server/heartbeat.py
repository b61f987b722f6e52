"""The server's own heartbeat: the database is told that a server listens, so that silence in a time without any server
is held against no host, and that the database's clock is compared with this machine's.

Owns only when. What follows from a beat, ``scheduler/state/database_clock.py`` decides.
"""

import logging
import threading

from migrator.api.process.services import Services
from migrator.db import server_heartbeat
from migrator.log_limits import log_failure
from migrator.scheduler.state.database_clock import beat

log = logging.getLogger(__name__)


class Heartbeat:
    """The first beat is made at once, before any host's silence is judged. Raises MigratorError."""

    def __init__(self, services: Services, stop: threading.Event) -> None:
        self._services, self._stop = services, stop
        self._known = server_heartbeat.Heartbeat()
        beat(services.db, self._known)

    def run(self) -> None:
        """Beat until ``stop``."""
        while not self._stop.wait(server_heartbeat.BEAT_S):
            try:
                beat(self._services.db, self._known)
            except Exception as error:
                log_failure(log, error, "the database could not be told that a server listens; it is tried again")
