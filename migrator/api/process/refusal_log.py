"""The log of what was refused before it was served: one line for each reason and interval, with a count, so that no
stranger fills the disk by asking again and again.

Owns the counts of this process. Never decides what is refused.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from migrator.scheduler import agents
from migrator.scheduler.hosts import registration
from migrator.scheduler.state import questions

log = logging.getLogger(__name__)
INTERVAL_S = 60.0
_SHOWN = 200  # characters of a stranger's words


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


class Refusals:
    """``note`` writes the first of a reason at once, and with the next line how many there were in between."""

    def __init__(self, counts: Counts | None = None) -> None:
        self._counts = counts or Counts()

    def note(self, reason: str, example: str) -> None:
        """``example``: the words of this one refusal, which are escaped and cut."""
        untold = self._counts.add(reason)
        if untold is not None:
            log.warning("refused, %s: %s%s", reason, ascii(example[:_SHOWN])[1:-1], _more(untold))


class OncePerInterval(logging.Filter):
    """For the logger of who warns of each bad request. ``worst``: what is more than that is told always."""

    def __init__(self, counts: Counts | None = None, worst: int = logging.WARNING) -> None:
        super().__init__()
        self._counts, self._worst = counts or Counts(), worst

    def filter(self, record: logging.LogRecord) -> bool:
        if not logging.WARNING <= record.levelno <= self._worst:
            return True
        untold = self._counts.add(str(record.msg))
        if untold:
            record.msg = f"{record.msg}{_more(untold)}"
        return untold is not None


def limit_logs_of_messages() -> None:
    """Of what is written at each message that arrives: a library's warnings, and what is wrong with an agent's
    words, with its traceback."""
    logging.getLogger("uvicorn.error").addFilter(OncePerInterval())
    for name in (agents.__name__, registration.__name__, questions.__name__):
        logging.getLogger(name).addFilter(OncePerInterval(worst=logging.ERROR))


def _more(untold: int) -> str:
    return f" (and {untold} more since the last such line)" if untold else ""
