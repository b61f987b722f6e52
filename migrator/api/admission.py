"""How much of what agents ask for is worked on at once: in threads of their own, so that thousands of agents that start
together never keep a client of the API waiting.

Owns the number of threads, and of those who wait for one. Who comes on top of that is told to come again, which costs
next to nothing; agents do, each after a while of its own.
"""

import random
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from migrator.errors import ServerBusy

THREADS = 8
MOST_WAITING = 200  # about a second's work
_AGAIN_S = (2.0, 8.0)

T = TypeVar("T")


class Admission:
    def __init__(self, threads: int = THREADS, most_waiting: int = MOST_WAITING) -> None:
        self._limiter = CapacityLimiter(threads)
        self._most_waiting = most_waiting

    @property
    def waiting(self) -> int:
        return self._limiter.statistics().tasks_waiting

    async def run(self, act: Callable[[], T]) -> T:
        """``act`` in one of the threads. Raises ServerBusy."""
        if self.waiting >= self._most_waiting:
            raise ServerBusy("Very many agents ask at once: ask again later.", retry_after_s=random.uniform(*_AGAIN_S))
        return await to_thread.run_sync(act, limiter=self._limiter)
