"""How often the log has a line: one for each reason and interval, with a count of the lines left out.

Owns the counts of this process, and the one way in which a loop that works beside requests says that it failed.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from migrator.errors import DatabaseUnavailable

INTERVAL_S = 60.0


@dataclass(slots=True)
class _Reason:
    since: float
    untold: int = 0


class Counts:
    """Of reasons, which are a few words of this program's own, never a stranger's."""

    def __init__(self, interval_s: float = INTERVAL_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s, self._clock = interval_s, clock
        self._reasons: dict[str, _Reason] = {}
        self._lock = threading.Lock()

    def add(self, reason: str) -> int | None:
        """How many went untold since the last line; None: it is too early for another one."""
        now = self._clock()
        with self._lock:
            known = self._reasons.get(reason)
            if known is not None and now - known.since < self._interval_s:
                known.untold += 1
                return None
            self._reasons[reason] = _Reason(now)
            return known.untold if known is not None else 0


BACKGROUND = Counts()


def more(untold: int) -> str:
    return f" (and {untold} more since the last such line)" if untold else ""


def log_failure(
    log: logging.Logger, error: Exception, message: str, *arguments: object, extra: Mapping[str, Any] | None = None
) -> None:
    """Of a loop that tries again. All loops of a process fail alike while its database is away: that is one limited
    line for all of them. Any other ``error`` is a fault of this one, with its traceback after ``message % words``."""
    if not isinstance(error, DatabaseUnavailable):
        log.error(message, *arguments, exc_info=error, extra=extra)
        return
    untold = BACKGROUND.add(error.code)
    if untold is not None:
        log.warning("work beside requests waits: %s%s", error.sentence, more(untold))
