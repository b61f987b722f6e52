"""The threads of one agent: a few that look at the host, and those in which the steps of its assignments run.

Owns how many steps run at once, and what becomes of one that does not return (a storage that hangs, an image that takes
its time): after ``HANGS_S`` it gives up its place, so that the steps of other instances go on. Ends no call: a thread
whose call hangs stays until that returns.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

AT_ONCE = 16  # steps, those that outlast HANGS_S apart
HANGS_S = 20.0
_MOST = 512  # threads of steps that hang, too
_LOOKS = 8  # more than there are loops that look: none of them waits for another, or for a step

T = TypeVar("T")


class HostThreads:
    """For one event loop. Steps take turns among themselves only where their caller sees to that."""

    def __init__(self, name: str, shared: ThreadPoolExecutor | None = None) -> None:
        """``shared``: with other agents of this process, and theirs to shut down."""
        self._own = [ThreadPoolExecutor(n, thread_name_prefix=name) for n in (_LOOKS, _MOST)] if shared is None else []
        self._looks, self._steps = self._own if shared is None else (shared, shared)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._calls: set[asyncio.Future[Any]] = set()  # in a thread now
        self.stopping = False  # no caller waits any more

    async def read(self, function: Callable[[], T]) -> T:
        """``function`` beside all steps, however many of them hang."""
        return await self._call(self._looks, function)

    async def step(self, function: Callable[[], T]) -> T:
        """``function``, when there is a place for it: within ``HANGS_S`` for every ``AT_ONCE`` steps that hang."""
        await self._places.acquire()
        place = _Place(self._places)
        overdue = asyncio.get_running_loop().call_later(HANGS_S, place.give_up)
        try:
            return await self._call(self._steps, function)
        finally:
            overdue.cancel()
            place.give_up()

    async def finish(self, seconds: float) -> bool:
        """Wait for the calls that were begun; whether one is still under way after so long."""
        late = (await asyncio.wait(set(self._calls), timeout=seconds))[1] if self._calls else ()
        for pool in self._own:
            pool.shutdown(wait=False, cancel_futures=True)
        return bool(late)

    async def _call(self, pool: ThreadPoolExecutor, function: Callable[[], T]) -> T:
        """To its end, even if the task that waits for it is cancelled: the step whose turn is next must not begin
        beside it."""
        future = asyncio.get_running_loop().run_in_executor(pool, function)
        self._calls.add(future)
        future.add_done_callback(self._calls.discard)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not self.stopping:
                await asyncio.wait([future])
                if not future.cancelled():
                    future.exception()  # no caller wants it any more
            raise


class _Place:
    """One of the steps that run at once; given up once, by whichever comes first."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places: asyncio.Semaphore | None = places

    def give_up(self) -> None:
        places, self._places = self._places, None
        if places is not None:
            places.release()
