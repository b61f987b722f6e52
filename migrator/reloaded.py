"""What was read from files, read again when they change. A version that cannot be read changes nothing but the log.

Owns when files are looked at: where their content is needed, not more often than once a second, and in a thread of its
own. The event loop reads and parses none of them, and waits for none on a disk that gives no answer.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Generic, TypeVar

from migrator.errors import MigratorError

T = TypeVar("T")
_Version = tuple[tuple[int, int, int] | None, ...]
_REST_S = 1.0  # between two looks
_PATIENCE_S = 2.0  # after which a request goes on by what was read before
log = logging.getLogger(__name__)


class Reloaded(Generic[T]):
    """``read`` is tried at once: what it raises then stops the start."""

    def __init__(
        self, paths: Sequence[Path], read: Callable[[], T], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._paths, self._read, self._clock = paths, read, clock
        self._lock = threading.Lock()
        self._looking: Future[None] | None = None
        self._version = self._now()
        self.value = read()  # as it was read last, without a look
        self._next = clock() + _REST_S

    async def latest(self) -> T:
        """The value after a look, if it is time for one; who comes while one is made waits for that one."""
        looking = self._begun()
        if looking is not None:
            await asyncio.wait([asyncio.wrap_future(looking)], timeout=_PATIENCE_S)
        return self.value

    def _begun(self) -> Future[None] | None:
        if not self._paths or (self._looking is None and self._clock() < self._next):
            return None
        with self._lock:
            if self._looking is None and self._clock() >= self._next:
                self._looking = Future()
                self._looking.set_running_or_notify_cancel()  # whose request ends early ends no look
                threading.Thread(target=self._look, args=(self._looking,), daemon=True, name="reload").start()
            return self._looking

    def _look(self, looking: "Future[None]") -> None:
        try:
            self._read_if_changed()
        finally:
            with self._lock:
                self._next = self._clock() + _REST_S
                self._looking = None
            looking.set_result(None)

    def _read_if_changed(self) -> None:
        found = self._now()
        if found == self._version:
            return
        self._version = found
        names = ", ".join(map(str, self._paths))
        try:
            self.value = self._read()
        except MigratorError as error:
            log.error("%s changed and cannot be used; what it said before stays in force: %s", names, error.sentence)
        except Exception:
            log.exception("%s changed and cannot be used; what it said before stays in force", names)
        else:
            log.info("%s changed and was read again", names)

    def _now(self) -> _Version:
        """Taken before the content is read: a change in that time is seen at the next look."""
        return tuple(_version(path) for path in self._paths)


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
