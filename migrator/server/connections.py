"""How many connections there may be, of one address and in all, and how long a request's head and body may take, and
its answer may lie unread.

Owns the counts of this process and the timers of each connection; HTTP itself is uvicorn's. Each door has counts of its
own: a client that fills the agents' keeps no other from the API's.
"""

import asyncio
import logging
import resource
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from migrator.api.process.refusal_log import Refusals
from migrator.settings import ServerSettings

log = logging.getLogger(__name__)
MAX_HEAD_BYTES = 16 * 1024
_LEAST_OF_A_BODY = 64 * 1024  # bytes that arrive in one period, or the body ends in it
_RESERVED_FILES = 512  # for the database, images, listeners and what else the process opens

Key = int | tuple[int, str]  # the port that was reached, without or with the address that reached it


@dataclass(slots=True)
class Limits:
    """``total`` and ``of_address``: connections at one door."""

    total: int
    of_address: int
    head_s: float
    body_s: float
    counts: Counter[Key] = field(default_factory=Counter)
    refusals: Refusals = field(default_factory=Refusals)

    def enter(self, door: int, address: str) -> str | None:
        """Count a connection; why not, if it is one too many."""
        if self.counts[door] >= self.total:
            return "connections (max_connections)"
        if self.counts[door, address] >= self.of_address:
            return "connections of one address (max_connections_per_address)"
        self.counts[door] += 1
        self.counts[door, address] += 1
        return None

    def leave(self, door: int, address: str) -> None:
        keys: tuple[Key, Key] = (door, (door, address))
        for key in keys:
            self.counts[key] -= 1
            if not self.counts[key]:
                del self.counts[key]


def limits(settings: ServerSettings) -> Limits:
    """The settings', or less where the process may not open so many files. It may open as many as the system allows."""
    files = _raised_files()
    doors = 1 if settings.agent_listen is None else 2
    room = max(16, (files - _RESERVED_FILES) // doors)
    total = min(settings.max_connections, room)
    if total < settings.max_connections:
        log.warning(
            "max_connections = %d, but this process may open %d files: %d connections at each address (LimitNOFILE)",
            settings.max_connections,
            files,
            total,
        )
    of_address = min(settings.max_connections_per_address, max(8, total // 2))
    return Limits(total, of_address, settings.request_head_timeout, settings.request_body_timeout)


def _raised_files() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 65_536)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft if soft != resource.RLIM_INFINITY else 65_536
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft
    return wanted


def guarded(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol for ``uvicorn.Config(http=...)``, under ``limits``."""

    class Guarded(GuardedProtocol):
        bounds = limits

    return Guarded


class GuardedProtocol(H11Protocol):
    bounds: Limits

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._counted: tuple[int, str] | None = None
        self._waits_for: str | None = None  # "head" or "body"
        self._timer: asyncio.TimerHandle | None = None
        self._arrived = 0  # bytes in this period
        self._unread = UnreadAnswer(self.loop, self.bounds)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        door, address = (self.server or ("", 0))[1] or 0, (self.client or ("", 0))[0]
        refusal = self.bounds.enter(door, address)
        if refusal is not None:
            self.bounds.refusals.note(refusal, f"{address} at port {door}")
            transport.abort()
            return
        self._counted = (door, address)
        self._wait_for("head")

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_for(None)
        self._unread.forget()
        if self._counted is not None:
            self.bounds.leave(*self._counted)
            self._counted = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._counted is None:
            return
        self._arrived += len(data)
        super().data_received(data)
        self._wait_for(self._missing())

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.watch(self.transport)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.forget()

    def on_response_complete(self) -> None:
        self._unread.watch(self.transport)  # before the connection is closed, which waits for the client as well
        super().on_response_complete()
        self._wait_for(self._missing())

    def _missing(self) -> str | None:
        """What of a request has begun to arrive, and not ended."""
        if self.transport.is_closing():
            return None
        if self.conn.their_state is h11.SEND_BODY:
            return "body"
        # Between two requests nothing is due before uvicorn's own timer ends; it stops that one at the first byte.
        begun = self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None
        return "head" if begun else None

    def _wait_for(self, part: str | None) -> None:
        if part == self._waits_for:
            return
        self._waits_for, self._arrived = part, 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if part is not None:
            self._start(part)

    def _start(self, part: str) -> None:
        seconds = self.bounds.head_s if part == "head" else self.bounds.body_s
        self._timer = self.loop.call_later(seconds, self._over)

    def _over(self) -> None:
        """A body may take more than one period while it arrives at a fair pace, or while it is the server that is slow;
        not after it was answered."""
        self._timer = None
        answered = self.cycle is not None and self.cycle.response_complete
        fair = self.flow.read_paused or self._arrived >= _LEAST_OF_A_BODY
        if self._waits_for == "body" and fair and not answered:
            self._arrived = 0
            self._start("body")
            return
        address = (self.client or ("unknown", 0))[0]
        self.bounds.refusals.note(f"a request's {self._waits_for} took too long", address)
        self.transport.abort()


class UnreadAnswer:
    """Ends a connection whose client takes nothing of its answer in one period of ``body_s``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bounds: Limits) -> None:
        self._loop, self._bounds = loop, bounds
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, transport: asyncio.Transport) -> None:
        waiting = transport.get_write_buffer_size()
        if waiting and self._timer is None:
            self._timer = self._loop.call_later(self._bounds.body_s, self._look, transport, waiting)

    def forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, transport: asyncio.Transport, before: int) -> None:
        self._timer = None
        if transport.get_write_buffer_size() < before:
            self.watch(transport)
            return
        address = (transport.get_extra_info("peername") or ("unknown",))[0]
        self._bounds.refusals.note("an answer was not read", address)
        transport.abort()
