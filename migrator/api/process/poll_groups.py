"""Takes agents' polls together: those that arrive while others are worked on are one group, in one thread and one
transaction, for thousands of hosts poll all day and have nothing new to say.

Owns which polls are one group, and when. Which of them are routine is ``scheduler/hosts/routine_polls.py``'s to say;
every other poll is worked on alone, in the lane of the polls.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from anyio import CapacityLimiter, to_thread

from migrator.api.process import agent_messages
from migrator.api.process.admission import SHARES, Admission, Kind, Turn
from migrator.api.process.wakeups import HostNotifier
from migrator.db.engine import Database
from migrator.errors import BadRequest, DatabaseUnavailable, MigratorError
from migrator.protocol import Poll
from migrator.scheduler.hosts import routine_polls

log = logging.getLogger(__name__)
GROUPED_BYTES = 32 * 1024  # of a message: a larger one would keep the others of its group waiting
MOST = 50  # polls of a group; all of them are answered in one turn of the event loop, and clients wait for it
# Between two groups, for each host that polls: what arrives until then is one group. In a small cluster no host waits.
_REST_S = 0.0002
_LONGEST_REST_S = 0.1


@dataclass(frozen=True, slots=True)
class Taken:
    """A poll that was read. ``heard``: its heartbeat is noted, and it had no news; ``asked``: some operation may ask
    something of its host."""

    poll: Poll
    heard: bool = False
    asked: bool = True


@dataclass(frozen=True, slots=True)
class _Waiting:
    content: bytes
    turn: Turn
    begun: Callable[[], None]
    answer: "asyncio.Future[Taken | MigratorError]"


class PollGroups:
    """On the event loop."""

    def __init__(self, db: Database, admission: Admission, wakers: HostNotifier) -> None:
        self._db, self._admission, self._wakers = db, admission, wakers
        self._waiting: dict[str, _Waiting] = {}
        self._thread = CapacityLimiter(1)
        self._working: asyncio.Task[None] | None = None

    async def take(self, host: str, content: bytes) -> Taken:
        """Read the poll, and note its heartbeat if it is routine. Raises BadRequest and DatabaseUnavailable."""
        if len(content) > GROUPED_BYTES:
            return Taken(await self._admission.run(host, Kind.POLL, partial(agent_messages.read, Poll, content)))
        lane = self._admission.lanes[SHARES[Kind.POLL].lane]
        answer: asyncio.Future[Taken | MigratorError] = asyncio.get_running_loop().create_future()
        async with self._admission.turn(host, Kind.POLL) as turn:
            with lane.queued() as begun:
                self._waiting[host] = _Waiting(content, turn, begun, answer)
                self._begin()
                try:
                    found = await answer
                finally:
                    self._waiting.pop(host, None)
        if isinstance(found, MigratorError):
            raise found.with_traceback(None)
        return found

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        if self._working is None or self._working.done() or self._working.get_loop() is not loop:
            self._working = loop.create_task(self._work())

    async def _work(self) -> None:
        while self._waiting:
            group = dict(itertools.islice(self._waiting.items(), MOST))
            for host, one in group.items():
                del self._waiting[host]
                one.begun()
            try:
                contents = {host: one.content for host, one in group.items()}
                found, used_s = await to_thread.run_sync(partial(_taken, self._db, contents), limiter=self._thread)
                _answer(group, found, used_s)
            except Exception as error:  # a host that is never answered would be deaf for the life of this process
                log.exception("a group of %d polls could not be worked on", len(group))
                _fail(group, error)
            full = len(self._waiting) >= MOST
            await asyncio.sleep(0.0 if full else min(_LONGEST_REST_S, _REST_S * self._wakers.held))


def _answer(group: Mapping[str, _Waiting], found: Mapping[str, Taken | MigratorError], used_s: float) -> None:
    for host, one in group.items():
        one.turn.used_s = used_s / len(group)
        if not one.answer.done():
            one.answer.set_result(found[host])


def _fail(group: Mapping[str, _Waiting], error: Exception) -> None:
    for one in group.values():
        if not one.answer.done():
            one.answer.set_exception(error)


def _taken(db: Database, contents: Mapping[str, bytes]) -> tuple[Mapping[str, Taken | MigratorError], float]:
    """By host; and the seconds for which this used a processor."""
    began = time.thread_time()
    read: dict[str, Poll] = {}
    found: dict[str, Taken | MigratorError] = {}
    for host, content in contents.items():
        try:
            read[host] = agent_messages.read(Poll, content)
        except BadRequest as error:
            found[host] = error
    found |= _routine(db, read) if read else {}
    return found, time.thread_time() - began


def _routine(db: Database, polls: Mapping[str, Poll]) -> Mapping[str, Taken | MigratorError]:
    try:
        heard = routine_polls.take(db, polls)
    except DatabaseUnavailable as error:
        return dict.fromkeys(polls, error)
    except Exception:  # what one host says keeps no other host from being heard
        log.exception("polls cannot be taken together: each is worked on alone")
        heard = {}
    return {host: Taken(poll, host in heard, heard.get(host, True)) for host, poll in polls.items()}
