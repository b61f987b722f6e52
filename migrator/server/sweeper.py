"""The sweep: looks at every active operation again at intervals, and at each at the time that its last plan named.

Owns only when. What happens to an operation is the reconciler's.
"""

import logging
import threading

from migrator.api.process.services import Services
from migrator.log_limits import log_failure

log = logging.getLogger(__name__)
_TICK_S = 0.5  # how late a deadline may be noticed


def keep(services: Services, stop: threading.Event) -> None:
    """Sweep every ``sweep_interval`` until ``stop``."""
    while not stop.wait(services.settings.sweep_interval):
        try:
            services.reconciler.sweep()
            services.db.erase()
        except Exception as error:
            log_failure(log, error, "the sweep failed; it is tried again")


def keep_deadlines(services: Services, stop: threading.Event) -> None:
    """Look at operations at the times that they asked for, until ``stop``."""
    while not stop.wait(_TICK_S):
        try:
            services.reconciler.reconcile_due()
        except Exception as error:
            log_failure(log, error, "operations whose time has come could not be looked at; the sweep does")
