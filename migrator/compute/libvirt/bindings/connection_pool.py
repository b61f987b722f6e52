"""Connections that are opened when first needed, and again after they broke.

Owns the life of the connections to one hypervisor's daemon, whatever its library: how long opening may take, when a
call is tried again, and what the caller is told. It imports no such library; ``Transport`` says what it needs of one.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from migrator.errors import DriverError, HypervisorUnavailable

T = TypeVar("T")
C = TypeVar("C")

OPEN_TIMEOUT_S = 10.0


class Transport(Protocol[C]):
    """What the hypervisor's library knows about its connections."""

    @property
    def error(self) -> type[Exception]:
        """What its calls raise."""
        ...

    def open(self) -> C:
        """A new connection. Raises ``error``; may block for ever when the daemon is stopped."""
        ...

    def close(self, connection: C) -> None:
        """Drop it; never raises."""
        ...

    def broken(self, connection: C, error: Any) -> bool:
        """Whether ``error`` means that the connection is of no use any more."""
        ...

    def translated(self, error: Any) -> DriverError:
        """``error`` in the words of our own tree."""
        ...


class Reconnecting(Generic[C]):
    """Connections to one daemon, for any number of threads: each call has one for itself while it lasts.

    Two threads never share one. In libvirt's client before 10.4 a thread that waits for its answer can be woken by
    another one's call on the same connection, and then follows a pointer into a stack frame that is gone
    (CVE-2024-4418): agents died of it when their libvirtd was slow.
    """

    def __init__(
        self,
        transport: Transport[C],
        where: str,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        *,
        advice: str = "see whether it runs",
    ) -> None:
        """``where``: the daemon, as errors name it; ``advice``: what to do when it cannot be reached."""
        self._transport, self._where, self._timeout_s, self._advice = transport, where, open_timeout_s, advice
        self._lock = threading.Lock()  # of what follows; never held while a daemon is waited for
        self._idle: list[C] = []
        self._closed = False
        self._opening = threading.Lock()
        self._failed_at = 0.0
        self._failure: HypervisorUnavailable | None = None

    def call(self, act: Callable[[C], T]) -> T:
        """``act`` with a live connection, and once more with a new one when the first turned out to be broken: so
        ``act`` must be idempotent. Raises HypervisorUnavailable, or the transport's translation."""
        try:
            return self._attempt(act)
        except _BrokenError:
            pass
        try:
            return self._attempt(act)
        except _BrokenError as broken:
            raise HypervisorUnavailable(f"{self._where} does not answer: {broken.__cause__}") from broken.__cause__

    def open(self) -> None:
        """See that there is a connection. Raises HypervisorUnavailable after the time to open at the latest, however
        many threads wait for the same daemon."""
        with self.lent():
            pass

    @contextmanager
    def lent(self) -> Iterator[C]:
        """A connection for the block alone, kept for the next one that asks. Raises HypervisorUnavailable."""
        connection = self._take()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def close(self) -> None:
        """For good: what is lent is closed when it comes back."""
        with self._lock:
            self._closed = True
        self._close_idle()

    def _attempt(self, act: Callable[[C], T]) -> T:
        connection = self._take()
        broken = False
        try:
            return act(connection)
        except self._transport.error as error:
            broken = self._transport.broken(connection, error)
            if not broken:
                raise self._transport.translated(error) from error
            raise _BrokenError from error
        finally:
            if broken:
                self._transport.close(connection)
                self._close_idle()  # the same daemon's: they broke with it
            else:
                self._give_back(connection)

    def _take(self) -> C:
        asked_at = time.monotonic()
        if (idle := self._idle_one()) is not None:
            return idle
        with self._opening:
            if (idle := self._idle_one()) is not None:
                return idle
            if self._failure is not None and self._failed_at >= asked_at:
                raise self._failure  # another thread waited and learnt it for us
            try:
                return self._open_in_time()
            except HypervisorUnavailable as failure:
                self._failed_at, self._failure = time.monotonic(), failure
                raise

    def _idle_one(self) -> C | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: C) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        self._transport.close(connection)

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            self._transport.close(connection)

    def _open_in_time(self) -> C:
        opening = _Opening(self._transport)
        opening.start()
        opening.join(self._timeout_s)
        message = f"no answer within {self._timeout_s:g} s"
        with opening.lock:
            if opening.connection is not None:
                return opening.connection
            opening.abandoned = True
            message = str(opening.error or message)
        raise HypervisorUnavailable(f"cannot reach {self._where}: {message}", advice=self._advice)


class _BrokenError(Exception):
    """The connection broke under a call."""


class _Opening(threading.Thread, Generic[C]):
    """Opens in a thread of its own, for a stopped daemon would keep us for ever; closes what comes too late."""

    def __init__(self, transport: Transport[C]) -> None:
        super().__init__(name="hypervisor-open", daemon=True)
        self._transport = transport
        self.lock = threading.Lock()
        self.connection: C | None = None
        self.error: Exception | None = None
        self.abandoned = False

    def run(self) -> None:
        try:
            connection = self._transport.open()
        except self._transport.error as error:
            self.error = error
            return
        with self.lock:
            if not self.abandoned:
                self.connection = connection
                return
        self._transport.close(connection)
