"""How many requests of agents begin in one turn of the event loop, so that a thousand that arrive at one moment do not
keep a client of the API waiting until the last of them has begun.

Owns the queue of the requests that wait for a turn, in the order in which they came. Never refuses one: how many there
may be is for connections and ``admission.py`` to bound.
"""

import asyncio
from collections import deque

MOST = 10  # some 7 ms of a processor, until each of them waits for its group or thread


class LoopTurns:
    """On any event loop, one at a time."""

    def __init__(self, most: int = MOST) -> None:
        self._most = self._left = most
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._counts = False  # the loop's next turn is one of which this is told

    async def begin(self) -> None:
        """At once, or in a later turn."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._counts, self._left, self._waiting = loop, False, self._most, deque()
        if not self._counts:
            self._counts = True
            loop.call_soon(self._next, loop)
        if self._left > 0:
            self._left -= 1
            return
        mine = loop.create_future()
        self._waiting.append(mine)
        await mine

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = self._most
        while self._waiting and self._left > 0:
            first = self._waiting.popleft()
            if not first.done():  # its request was given up
                first.set_result(None)
                self._left -= 1
        self._counts = bool(self._waiting)
        if self._counts:
            loop.call_soon(self._next, loop)
