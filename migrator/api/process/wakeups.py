"""Wakes the long-polls of this process when something may have changed for their host.

Only a hint. What another server process did is seen by one look for all hosts every ``FALLBACK_S``: thousands of polls
that each look for themselves would be all that the server does.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from anyio import CapacityLimiter, to_thread

FALLBACK_S = 0.2
_REST = 9.0  # times as long as a look at all hosts took, until the next one
_LONGEST_REST_S = 1.0
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pace:
    """The last look at a host's assignments: when it ended, by the loop's clock, and how long it took (s)."""

    ended: float = 0.0
    took: float = 0.0


@dataclass(slots=True, eq=False)
class Listener:
    """A host's long-poll. ``ended``: a later one of the same host took its place."""

    event: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False


class HostNotifier:
    """``wake`` may be called from any thread; ``listening`` on the event loop given to ``bind``."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[str, Listener] = {}
        self.paces: defaultdict[str, Pace] = defaultdict(Pace)
        self._watching = CapacityLimiter(1)  # a thread of its own, so that no other work keeps it waiting
        self.closing = False
        self.watched = False  # a thread looks for all hosts
        self.answers_held = 0  # of the Compute API: see routing.Answer

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    @property
    def held(self) -> int:
        """Hosts whose polls are held, or worked on."""
        return len(self._listeners)

    def wake(self, hosts: Iterable[str]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set, tuple(hosts))

    def close(self) -> None:
        """Let every poll return at once, now and from now on: the server stops."""
        self.closing = True
        self.wake(list(self._listeners))

    def _set(self, hosts: tuple[str, ...]) -> None:
        for host in hosts:
            if host in self._listeners:
                self._listeners[host].event.set()

    async def watch(self, read: Callable[[], Mapping[str, Hashable]]) -> None:
        """Wake each host whose mark has changed, for ever. ``look``: the marks of all hosts; called in a thread."""
        seen: Mapping[str, Hashable] = {}
        self.watched = True
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                if self._listeners:
                    marks = await to_thread.run_sync(read, limiter=self._watching)
                    self._set(tuple(host for host in marks.keys() | seen.keys() if marks.get(host) != seen.get(host)))
                    seen = marks
            except Exception:  # the database is away: each poll looks on its own, and says so
                log.debug("what asks something of the hosts could not be looked at", exc_info=True)
            await asyncio.sleep(min(_LONGEST_REST_S, max(FALLBACK_S, _REST * (clock() - began))))

    @contextlib.contextmanager
    def listening(self, host: str) -> Iterator["Listener"]:
        """The host's one poll: its event is set at each ``wake`` for the host; register before looking, or a wake may
        be missed. A poll that comes later ends this one."""
        listener = Listener()
        before = self._listeners.get(host)
        self._listeners[host] = listener
        if before is not None:
            before.ended = True
            before.event.set()
        try:
            yield listener
        finally:
            if self._listeners.get(host) is listener:
                del self._listeners[host]
