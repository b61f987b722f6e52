"""What the server does at intervals: totals of what has ended, the planner's statistics, abandoned images, capacity,
measured use.

Owns only when. Nothing that a request or an operation waits for.
"""

import logging
import threading
import time

from migrator.api import operation_metrics
from migrator.api.image_v2 import images
from migrator.api.process.services import Services
from migrator.log_limits import log_failure
from migrator.scheduler.fleet import capacity_check, use_samples

log = logging.getLogger(__name__)
_STATISTICS_S = 3600  # between two looks at how the rows are distributed, for the database's planner


def run(services: Services, stop: threading.Event) -> None:
    """Every ``sweep_interval`` until ``stop``."""
    looked_at = time.monotonic()
    while not stop.wait(services.settings.sweep_interval):
        try:
            operation_metrics.store_totals(services.db, stop.is_set)
            if time.monotonic() - looked_at >= _STATISTICS_S:
                looked_at = time.monotonic()
                services.db.analyze()
                images.remove_abandoned(services)
        except Exception as error:
            log_failure(log, error, "what has ended could not be counted; it is tried again")


def keep_capacity(services: Services, stop: threading.Event) -> None:
    """Look every ``capacity_check_interval`` whether the fleet survives the loss of any one host, until ``stop``."""
    while not stop.wait(services.settings.sweep_interval):
        try:
            if services.settings.capacity_check_interval:
                capacity_check.check(services.db, services.settings)
        except Exception as error:
            log_failure(
                log, error, "whether the fleet survives the loss of a host could not be said; it is tried again"
            )


def keep_use(services: Services, stop: threading.Event) -> None:
    """Sample every ``usage_sample_interval`` what hosts and instances really use, until ``stop``."""
    while not stop.wait(services.settings.sweep_interval):
        try:
            if services.settings.usage_sample_interval:
                use_samples.sample(services.db, services.settings)
        except Exception as error:
            log_failure(log, error, "what is used could not be sampled; it is tried again")
