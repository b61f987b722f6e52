"""How many clients follow the timeline, and how often it is looked at for them.

Owns the bounds of this process. All streams share one look at the newest number, and read in two threads of their own:
however many there are, requests and agents wait for none of them. What an event says is ``v1/events.py``'s.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from anyio import CapacityLimiter, to_thread

from migrator.db import event_stream
from migrator.db.engine import Database
from migrator.errors import ServerBusy, TooManyRequests

PAGE = 200  # numbers that are read at once
_THREADS = 2
_MOST, _MOST_OF_ONE = 100, 16  # streams, of all callers and of one
_AGAIN_S = 5.0


class EventFeed:
    """On the event loop."""

    def __init__(self, db: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._db, self._clock = db, clock
        self._threads = CapacityLimiter(_THREADS)
        self._looking = asyncio.Lock()
        self._settled: int | None = None
        self._looked = 0.0
        self._open: Counter[str] = Counter()
        self.pace_s = 0.5  # between two looks
        # A caller's credential is read when its stream begins: each ends after this time, and the next one asks anew.
        self.longest_s = 300.0

    def enter(self, user: str) -> Callable[[], None]:
        """Count a stream; what is given is called at its end. Raises TooManyRequests, for this caller alone, and
        ServerBusy."""
        if self._open[user] >= _MOST_OF_ONE:
            message = f"{_MOST_OF_ONE} streams of events are open for {user}: close one, or ask again later."
            raise TooManyRequests(message, retry_after_s=_AGAIN_S)
        if self._open.total() >= _MOST:
            message = f"{_MOST} streams of events are open at this server: ask again later."
            raise ServerBusy(message, retry_after_s=_AGAIN_S)
        self._open[user] += 1
        return partial(self._leave, user)

    def _leave(self, user: str) -> None:
        self._open[user] -= 1
        if not self._open[user]:
            del self._open[user]

    async def settled(self) -> int:
        """The newest number that may be sent, as one look in ``pace_s`` for all streams finds it. Raises
        DatabaseUnavailable."""
        async with self._looking:
            if self._settled is None or self._clock() - self._looked >= self.pace_s:
                self._settled = await to_thread.run_sync(self._look, limiter=self._threads)
                self._looked = self._clock()
            return self._settled

    async def newest(self) -> int:
        """The newest number, although a smaller one may still appear. Raises DatabaseUnavailable."""
        return await to_thread.run_sync(self._newest, limiter=self._threads)

    async def page(self, after: int, until: int, instance: str | None, host: str | None) -> Sequence[Any]:
        """Raises DatabaseUnavailable."""
        read = partial(self._read, after, until, instance, host)
        return await to_thread.run_sync(read, limiter=self._threads)

    def _look(self) -> int:
        with self._db.read() as connection:
            return event_stream.settled(connection, self._settled)

    def _newest(self) -> int:
        with self._db.read() as connection:
            return event_stream.newest(connection)

    def _read(self, after: int, until: int, instance: str | None, host: str | None) -> Sequence[Any]:
        with self._db.read() as connection:
            return event_stream.between(connection, after, until, instance, host)
