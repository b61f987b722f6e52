"""Wakes the long-polls of this process when something may have changed for their host.

Only a hint: a poll also looks by itself every ``FALLBACK_S``, which is how it learns what another server process did.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FALLBACK_S = 0.2


@dataclass(slots=True)
class Pace:
    """The last look at a host's assignments: when it ended, by the loop's clock, and how long it took (s)."""

    ended: float = 0.0
    took: float = 0.0


class Wakers:
    """``wake`` may be called from any thread; ``listening`` on the event loop given to ``bind``."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.paces: defaultdict[str, Pace] = defaultdict(Pace)
        self.closing = False

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def wake(self, hosts: Iterable[str]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set, tuple(hosts))

    def close(self) -> None:
        """Let every poll return at once, now and from now on: the server stops."""
        self.closing = True
        self.wake(list(self._listeners))

    def _set(self, hosts: tuple[str, ...]) -> None:
        for host in hosts:
            for event in self._listeners.get(host, ()):
                event.set()

    @contextlib.contextmanager
    def listening(self, host: str) -> Iterator[asyncio.Event]:
        """An event that is set at each ``wake`` for the host; register before looking, or a wake may be missed."""
        event = asyncio.Event()
        self._listeners[host].add(event)
        try:
            yield event
        finally:
            self._listeners[host].discard(event)
