"""What an agent does beside its assignments, now and then, so that nothing is left behind on its host.

Owns how often, and the log of what was freed. Never decides what is garbage: the driver's parts do.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from migrator.compute.driver import Driver
from migrator.errors import MigratorError

log = logging.getLogger("migrator.agent")

EVERY_S = 60.0
_MIB = 1024**2

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


async def run(driver: Driver, in_thread: InThread, tags: Mapping[str, Any]) -> None:
    """For ever; what fails is tried again the next time."""
    while True:
        try:
            await in_thread(lambda: tidy(driver, tags))
        except MigratorError as error:
            log.warning("housekeeping: %s", error.sentence, extra=dict(tags))
        except Exception:  # a defect here must not end the agent
            log.exception("housekeeping", extra=dict(tags))
        await asyncio.sleep(EVERY_S)


def tidy(driver: Driver, tags: Mapping[str, Any]) -> None:
    """One round. Raises DriverError."""
    for one in driver.tend_kept():
        log.info(
            "deleted what was kept of instance %s for %.0f h: %s, %.0f MiB",
            one.instance,
            one.age_s / 3600,
            one.path,
            one.bytes / _MIB,
            extra=dict(tags),
        )
    for left in driver.tidy():
        log.info(
            "removed what nothing used for %.0f h: %s (%s), %.1f MiB",
            left.age_s / 3600,
            left.path,
            left.kind,
            left.bytes / _MIB,
            extra=dict(tags),
        )
