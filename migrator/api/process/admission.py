"""How much of what agents ask for is worked on at once: in threads of their own, so that thousands of agents that start
together never keep a client of the API waiting, and one agent never keeps the others. The same for what is dear of what
clients ask for, so that one project never keeps the others.

Owns the lanes, each with threads of its own: polls, which are the hosts' heartbeats, wait for nothing else. Of one
host, or project, one request of a kind is worked on at a time, and a rest follows what it costs; a few more may wait.
Who comes on top of that is told at the door to come again, which costs next to nothing; agents do, each after a while
of its own. Who was let in is never sent away half way.
"""

import asyncio
import contextlib
import itertools
import math
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect

from migrator.errors import ServerBusy, TooManyRequests

_AGAIN_S = (2.0, 8.0)
_LONGEST_AGAIN_S = 15.0  # as long as agents let themselves be sent away: a host must be heard
_LATELY_S = 10.0  # for how fast a lane works

T = TypeVar("T")


class Kind(StrEnum):
    """Of a request of an agent, but for the last one: a client's."""

    POLL = "poll"
    FACTS = "facts"
    REGISTRATION = "registration"
    QUESTIONS = "questions"
    SURVEY = "survey"
    CONSOLES = "consoles"
    IMAGE = "image"
    JOIN = "join"  # with a join token in place of a credential
    SEARCH = "search"  # a list by a regular expression


@dataclass(frozen=True, slots=True)
class Share:
    """``at_once``: requests of a host, or project, that are let in; ``rest``: times as long as the last one used a
    processor, until its next one is worked on."""

    lane: str
    at_once: int
    rest: float


SHARES: Mapping[Kind, Share] = {
    Kind.POLL: Share("polls", 4, 4.0),
    Kind.FACTS: Share("facts", 4, 1.0),
    Kind.REGISTRATION: Share("registrations", 4, 4.0),
    Kind.QUESTIONS: Share("looks", 2, 9.0),
    Kind.SURVEY: Share("looks", 2, 9.0),
    Kind.CONSOLES: Share("looks", 2, 4.0),
    Kind.IMAGE: Share("looks", 8, 4.0),  # while they are sent, too
    Kind.JOIN: Share("registrations", 1, 9.0),
    Kind.SEARCH: Share("searches", 8, 1.0),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """``patience_s``: while a request has waited for so long, no other is let in; agents wait for 15 s."""

    threads: int
    most_waiting: int
    patience_s: float = 1.0


LANES: Mapping[str, Limits] = {
    "polls": Limits(4, 5000, 5.0),  # nearly all of them are taken in groups
    "facts": Limits(3, 200),
    "registrations": Limits(2, 1000, 5.0),  # thousands at once: to send them away costs more than to let them wait
    "looks": Limits(2, 50),
    "searches": Limits(2, 100, 5.0),
}


class Lane:
    """Threads, and who waits for one. On the event loop."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limiter, self._limits, self._clock = CapacityLimiter(limits.threads), limits, clock
        self._numbers = itertools.count()
        self._since: dict[int, float] = {}  # who waits for a thread -> since when; the first waits longest
        self._begun: deque[float] = deque(maxlen=100)  # when the last ones got theirs

    @property
    def waiting(self) -> int:
        return len(self._since)

    @property
    def crowded(self) -> bool:
        """What waits for longer than its agent does is work for nothing, and the agent asks again."""
        longest = next(iter(self._since.copy().values()), math.inf)
        waits_s = self._clock() - longest
        return len(self._since) >= self._limits.most_waiting or waits_s >= self._limits.patience_s

    def retry_after_s(self) -> float:
        """When a client that is refused should come again: when those that wait are through, at the pace of late, and
        each at a moment of its own."""
        now = self._clock()
        lately = [at for at in self._begun.copy() if now - at <= _LATELY_S]
        through_s = len(self._since) * (now - lately[0]) / len(lately) if lately else 0.0
        soonest, latest = _AGAIN_S
        through_s = min(_LONGEST_AGAIN_S, through_s)
        return random.uniform(max(soonest, through_s / 2), max(latest, through_s))

    async def run(self, act: Callable[[], T]) -> T:
        with self.queued() as begun:

            def begin() -> T:
                begun()
                return act()

            return await to_thread.run_sync(begin, limiter=self._limiter)

    @contextlib.contextmanager
    def queued(self) -> Iterator[Callable[[], None]]:
        """While something waits to be worked on; what is given is to be called when that begins, in any thread."""
        number = next(self._numbers)
        self._since[number] = self._clock()

        def begun() -> None:
            if self._since.pop(number, None) is not None:
                self._begun.append(self._clock())

        try:
            yield begun
        finally:
            self._since.pop(number, None)


@dataclass(slots=True)
class Turn:
    """Of one host's requests of one kind."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    free_at: float = 0.0
    used_s: float = 0.0


class Admission:
    """On the event loop."""

    def __init__(self, lanes: Mapping[str, Limits] = LANES, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.lanes = {name: Lane(limits, clock) for name, limits in lanes.items()}
        self._turns: dict[tuple[str, Kind], Turn] = {}
        self._inside: Counter[tuple[str, Kind]] = Counter()

    @contextlib.contextmanager
    def entered(self, host: str, kind: Kind) -> Iterator[None]:
        """While one request of the host, or project, is served. Raises TooManyRequests, for that one alone, and
        ServerBusy."""
        key, share = (host, kind), SHARES[kind]
        if self._inside[key] >= share.at_once:
            message = f"{host}: {share.at_once} requests of this kind are under way ({kind}): ask again later."
            raise TooManyRequests(message, retry_after_s=random.uniform(*_AGAIN_S))
        lane = self.lanes[share.lane]
        if lane.crowded:
            raise ServerBusy("Very many ask for the same at once: ask again later.", retry_after_s=lane.retry_after_s())
        self._inside[key] += 1
        try:
            yield
        finally:
            self._inside[key] -= 1
            if not self._inside[key]:
                del self._inside[key]
                self._forget(key)

    async def run(
        self, host: str, kind: Kind, act: Callable[[], T], left: Callable[[], Awaitable[bool]] | None = None
    ) -> T:
        """``act`` in a thread of the kind's lane, when it is the host's turn. Raises ClientDisconnect if the client has
        ``left`` by then."""
        async with self.turn(host, kind) as turn:
            if left is not None and await left():
                raise ClientDisconnect
            return await self.lanes[SHARES[kind].lane].run(lambda: _measured(turn, act))

    @contextlib.asynccontextmanager
    async def turn(self, host: str, kind: Kind) -> AsyncIterator[Turn]:
        """The host's: nothing else of this kind is worked on for it. The block sets ``used_s``."""
        turn = self._turns.setdefault((host, kind), Turn())
        async with turn.lock:
            await asyncio.sleep(max(0.0, turn.free_at - self._clock()))
            try:
                yield turn
            finally:
                turn.free_at = self._clock() + SHARES[kind].rest * turn.used_s

    def _forget(self, key: tuple[str, Kind]) -> None:
        turn = self._turns.get(key)
        if turn is not None and turn.free_at <= self._clock():
            del self._turns[key]


def _measured(turn: Turn, act: Callable[[], T]) -> T:
    """By the processor's time: time spent in wait for a lock or the interpreter is free."""
    began = time.thread_time()
    try:
        return act()
    finally:
        turn.used_s = time.thread_time() - began
