"""The sweep: looks at every active operation again at intervals, and at each at the time that its last plan named.

Owns only when. What happens to an operation is the reconciler's.
"""

import logging
import threading

from migrator.api.process.services import Services
from migrator.log_limits import log_failure
from migrator.scheduler.fleet import guest_restarts, recovery

log = logging.getLogger(__name__)
_TICK_S = 0.5  # how late a deadline may be noticed
_DRAINS_S = 1.0  # between two looks at the drains


def run(services: Services, stop: threading.Event) -> None:
    """Sweep every ``sweep_interval`` until ``stop``."""
    while not stop.wait(services.settings.sweep_interval):
        try:
            services.reconciler.sweep()
            services.db.erase()
        except Exception as error:
            log_failure(log, error, "the sweep failed; it is tried again")


def keep_drains(services: Services, stop: threading.Event) -> None:
    """Look at lost hosts and at every active drain at short intervals until ``stop``: each begins its next moves when
    others end."""
    while not stop.wait(_DRAINS_S):
        try:
            recovery.check(services.db, services.settings)
        except Exception as error:
            log_failure(log, error, "hosts that may be lost could not be looked at; it is tried again")
        try:
            for operation_id in guest_restarts.check(services.db, services.settings):
                services.reconciler.reconcile(operation_id)
        except Exception as error:
            log_failure(log, error, "guests that failed could not be looked at; it is tried again")
        try:
            services.drains.sweep()
        except Exception as error:
            log_failure(log, error, "drains could not be looked at; it is tried again")


def keep_deadlines(services: Services, stop: threading.Event) -> None:
    """Look at operations at the times that they asked for, until ``stop``."""
    while not stop.wait(_TICK_S):
        try:
            services.reconciler.reconcile_due()
        except Exception as error:
            log_failure(log, error, "operations whose time has come could not be looked at; the sweep does")
