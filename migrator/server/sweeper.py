"""The sweep: looks at every active operation again at intervals, whoever forgot to say that it changed.

Owns only when. What happens to an operation is the reconciler's.
"""

import logging
import threading

from migrator.api.dependencies import Services

log = logging.getLogger(__name__)


def keep(services: Services, stop: threading.Event) -> None:
    """Sweep every ``sweep_interval`` until ``stop``."""
    while not stop.wait(services.settings.sweep_interval):
        try:
            services.reconciler.sweep()
            services.db.erase()
        except Exception:
            log.exception("the sweep failed; it is tried again")
