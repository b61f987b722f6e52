"""The agent's pauses: until an event comes, at most; and after a failure, longer each time.

Owns how often a failure is logged. Never ends a loop.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Mapping
from typing import Any

from migrator.errors import Forbidden, MigratorError, OtherMachine, ProtocolUnsupported, ServerUnreachable, Unauthorized

log = logging.getLogger("migrator.agent")

_BACKOFF_S = (0.1, 5.0)  # first and longest wait for an unreachable server
_REFUSED_S = 15.0  # a wrong credential is mended by hand


class RetryPauses:
    """``tags``: of what is logged."""

    def __init__(self, tags: Mapping[str, Any]) -> None:
        self._tags = tags
        self._failed_by: dict[str, type[Exception]] = {}  # loop -> how it failed last

    async def after_failure(self, what: str, error: Exception, failures: int) -> None:
        first, longest = _BACKOFF_S
        # Thousands of agents lose their server at the same moment: none comes back with another.
        wait = min(longest, first * 2 ** min(failures - 1, 10)) * random.uniform(0.5, 1.5)
        if isinstance(error, ServerUnreachable):
            wait = max(wait, error.retry_after_s * random.uniform(1.0, 1.5))
        if isinstance(error, (Unauthorized, Forbidden, OtherMachine, ProtocolUnsupported)):
            wait = _REFUSED_S
        # A defect's traceback is wanted.
        message, defect = (error.sentence, None) if isinstance(error, MigratorError) else (str(error), error)
        other = self._failed_by.get(what) is not type(error)  # such as a server that is back, and refuses
        self._failed_by[what] = type(error)
        level = logging.WARNING if other or failures in (1, 10) or failures % 100 == 0 else logging.DEBUG
        log.log(level, "%s failed, again in %.1f s: %s", what, wait, message, exc_info=defect, extra=self._tags)
        await asyncio.sleep(wait)


async def set_within(event: asyncio.Event, seconds: float) -> None:
    """A cancellation is never lost: Python 3.11's ``wait_for`` drops one that comes with the event, and a loop that
    misses its own end keeps the agent from ending."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
