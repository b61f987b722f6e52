"""A connection that is opened when first needed, and again after it broke.

Owns the life of one connection to a hypervisor's daemon, whatever its library: how long opening may take, when a call
is tried again, and what the caller is told. It imports no such library; ``Transport`` says what it needs of one.
"""

import threading
import time
from collections.abc import Callable
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
    """One connection, shared by any number of threads."""

    def __init__(self, transport: Transport[C], where: str, open_timeout_s: float = OPEN_TIMEOUT_S) -> None:
        self._transport, self._where, self._timeout_s = transport, where, open_timeout_s
        self._lock = threading.Lock()
        self._connection: C | None = None
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

    def open(self) -> C:
        """The connection. Raises HypervisorUnavailable after the time to open at the latest, however many threads
        wait for the same daemon."""
        asked_at = time.monotonic()
        with self._lock:
            if self._connection is not None:
                return self._connection
            if self._failure is not None and self._failed_at >= asked_at:
                raise self._failure  # somebody else waited and learnt it for us
            try:
                self._connection = self._open_in_time()
            except HypervisorUnavailable as failure:
                self._failed_at, self._failure = time.monotonic(), failure
                raise
            return self._connection

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            self._transport.close(connection)

    def _attempt(self, act: Callable[[C], T]) -> T:
        connection = self.open()
        try:
            return act(connection)
        except self._transport.error as error:
            if not self._transport.broken(connection, error):
                raise self._transport.translated(error) from error
            self._drop(connection)
            raise _BrokenError from error

    def _drop(self, connection: C) -> None:
        with self._lock:
            if self._connection is connection:
                self._connection = None
        self._transport.close(connection)

    def _open_in_time(self) -> C:
        opening = _Opening(self._transport)
        opening.start()
        opening.join(self._timeout_s)
        words = f"no answer within {self._timeout_s:g} s"
        with opening.lock:
            if opening.connection is not None:
                return opening.connection
            opening.abandoned = True
            words = str(opening.error or words)
        raise HypervisorUnavailable(f"cannot reach {self._where}: {words}", advice="see whether it runs")


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
