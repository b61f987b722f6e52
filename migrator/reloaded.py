"""What was read from files, read again when they change. A version that cannot be read changes nothing but the log.

Owns when files are looked at: where their content is needed, and not more often than once a second.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from migrator.errors import MigratorError

T = TypeVar("T")
_Version = tuple[tuple[int, int, int] | None, ...]
_REST_S = 1.0  # between two looks
log = logging.getLogger(__name__)


class Reloaded(Generic[T]):
    """``read`` is tried at once: what it raises then stops the start."""

    def __init__(
        self, paths: Sequence[Path], read: Callable[[], T], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._paths, self._read, self._clock = paths, read, clock
        self._lock = threading.Lock()
        self._version = self._now()
        self._value = read()
        self._next = clock() + _REST_S

    @property
    def value(self) -> T:
        if self._paths and self._clock() >= self._next and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._next = self._clock() + _REST_S
                self._lock.release()
        return self._value

    def _look(self) -> None:
        found = self._now()
        if found == self._version:
            return
        self._version = found
        names = ", ".join(map(str, self._paths))
        try:
            self._value = self._read()
        except MigratorError as error:
            log.error("%s changed and cannot be used; what it said before stays in force: %s", names, error.sentence)
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
