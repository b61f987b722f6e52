"""Turns at work that only so much of is done at once: shared out among the addresses that wait, in the order they came.

Owns the order. On the event loop. One address that asks again and again waits behind itself, and no other for longer
than one turn of each.
"""

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator

from migrator.errors import ServerBusy


class FairTurns:
    """``at_once``: turns at one time; ``each``: of one address that wait; ``most``: of all."""

    def __init__(self, at_once: int, each: int, most: int, retry_after_s: float) -> None:
        self._free, self._each, self._most, self._again_s = at_once, each, most, retry_after_s
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @contextlib.asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Raises ServerBusy."""
        if self._free and not self._queues:
            self._free -= 1
        else:
            await self._wait(address)
        try:
            yield
        finally:
            self._next()

    async def _wait(self, address: str) -> None:
        if len(self._queues.get(address, ())) >= self._each:
            raise self._busy()
        if sum(map(len, self._queues.values())) >= self._most:
            self._make_room(address)
        mine = asyncio.get_running_loop().create_future()
        self._queues.setdefault(address, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled() and mine.exception() is None:  # its turn had come
                self._next()
            raise

    def _make_room(self, address: str) -> None:
        """At the cost of the address of which most wait; that may be the one that asks."""
        longest = max(self._queues, key=lambda one: len(self._queues[one]))
        if longest == address or len(self._queues[longest]) <= 1:
            raise self._busy()
        last = self._queues[longest].pop()
        if not last.done():
            last.set_exception(self._busy())

    def _next(self) -> None:
        while self._queues:
            address, queue = self._queues.popitem(last=False)
            first = queue.popleft()
            if queue:
                self._queues[address] = queue  # behind the other addresses
            if not first.done():
                first.set_result(None)
                return
        self._free += 1

    def _busy(self) -> ServerBusy:
        return ServerBusy("Very many passwords wait to be compared: ask again later.", retry_after_s=self._again_s)
