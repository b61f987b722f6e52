"""The log of what was refused before it was served: one line for each reason and interval, with a count, so that no
stranger fills the disk by asking again and again.

Owns the words of these lines. Never decides what is refused.
"""

import logging

from migrator.log_limits import Counts, more
from migrator.scheduler import agents
from migrator.scheduler.hosts import registration
from migrator.scheduler.state import questions

log = logging.getLogger(__name__)
_SHOWN = 200  # characters of a stranger's words


class Refusals:
    """``note`` writes the first of a reason at once, and with the next line how many there were in between."""

    def __init__(self, counts: Counts | None = None) -> None:
        self._counts = counts or Counts()

    def note(self, reason: str, example: str) -> None:
        """``example``: the words of this one refusal, which are escaped and cut."""
        untold = self._counts.add(reason)
        if untold is not None:
            log.warning("refused, %s: %s%s", reason, ascii(example[:_SHOWN])[1:-1], more(untold))


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
            record.msg = f"{record.msg}{more(untold)}"
        return untold is not None


def limit_logs_of_messages() -> None:
    """Of what is written at each message that arrives: a library's warnings, and what is wrong with an agent's
    words, with its traceback."""
    logging.getLogger("uvicorn.error").addFilter(OncePerInterval())
    for name in (agents.__name__, registration.__name__, questions.__name__):
        logging.getLogger(name).addFilter(OncePerInterval(worst=logging.ERROR))
