"""Works on requests of many agents together: those that arrive while others are worked on are one group, in one thread.

Owns which requests are one group, and when. What is done with a group is its maker's; each host has an answer of its
own.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

from migrator.api.process.admission import SHARES, Admission, Kind, Turn

log = logging.getLogger(__name__)
GROUPED_BYTES = 32 * 1024  # of a message: a larger one would keep the others of its group waiting
MOST = 50  # requests of a group; all of them are answered in one turn of the event loop, and clients wait for it

Given = TypeVar("Given")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Given, Found]):
    given: Given
    turn: Turn
    begun: Callable[[], None]
    answer: "asyncio.Future[Found | Exception]"


class RequestGroups(Generic[Given, Found]):
    """On the event loop. ``work``: in a thread; host -> what was given, to host -> what it is answered. ``rest_s``:
    between two groups, for what arrives until then is one group."""

    def __init__(
        self,
        admission: Admission,
        kind: Kind,
        work: Callable[[Mapping[str, Given]], Mapping[str, Found | Exception]],
        rest_s: Callable[[], float],
    ) -> None:
        self._admission, self._kind, self._work, self._rest_s = admission, kind, work, rest_s
        self._waiting: dict[str, _Waiting[Given, Found]] = {}
        self._thread = CapacityLimiter(1)
        self._working: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many requests are in no group yet."""
        return len(self._waiting)

    async def take(self, host: str, given: Given) -> Found:
        """When it is the host's turn. Raises what the host is answered, if that is an exception."""
        lane = self._admission.lanes[SHARES[self._kind].lane]
        answer: asyncio.Future[Found | Exception] = asyncio.get_running_loop().create_future()
        async with self._admission.turn(host, self._kind) as turn:
            with lane.queued() as begun:
                self._waiting[host] = _Waiting(given, turn, begun, answer)
                self._begin()
                try:
                    found = await answer
                finally:
                    self._waiting.pop(host, None)
        if isinstance(found, Exception):
            raise found
        return found

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        if self._working is None or self._working.done() or self._working.get_loop() is not loop:
            self._working = loop.create_task(self._keep_working())

    async def _keep_working(self) -> None:
        while self._waiting:
            group = dict(itertools.islice(self._waiting.items(), MOST))
            for host, one in group.items():
                del self._waiting[host]
                one.begun()
            given = {host: one.given for host, one in group.items()}
            try:
                found, used_s = await to_thread.run_sync(partial(_timed, self._work, given), limiter=self._thread)
                _answer(group, found, used_s)
            except Exception as error:  # a host that is never answered would be deaf for the life of this process
                log.exception("a group of %d requests (%s) could not be worked on", len(group), self._kind)
                _fail(group, error)
            await asyncio.sleep(0.0 if len(self._waiting) >= MOST else self._rest_s())


def _timed(
    work: Callable[[Mapping[str, Given]], Mapping[str, Found | Exception]], given: Mapping[str, Given]
) -> tuple[Mapping[str, Found | Exception], float]:
    """And the seconds for which it used a processor."""
    began = time.thread_time()
    return work(given), time.thread_time() - began


def _answer(group: Mapping[str, _Waiting[Given, Found]], found: Mapping[str, Found | Exception], used_s: float) -> None:
    for host, one in group.items():
        one.turn.used_s = used_s / len(group)
        if not one.answer.done():
            one.answer.set_result(found[host])


def _fail(group: Mapping[str, _Waiting[Given, Found]], error: Exception) -> None:
    for one in group.values():
        if not one.answer.done():
            one.answer.set_exception(error)
