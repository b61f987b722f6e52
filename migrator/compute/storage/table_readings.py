"""The reading of disks' tables, a slice after the other: a large disk's take minutes, and those that a hostile host
wrote may take days.

Owns how long a slice is, and how much of its time the host spends on all of them. A reading that is not through in its
slice goes on where it stopped when it is asked for again. Never says what is in the tables (``qcow2_clusters`` does),
nor remembers what came out (``whole_disks`` does).
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from migrator.errors import DiskBeingRead, StorageError
from migrator.untrusted import qcow2_header
from migrator.untrusted.qcow2_clusters import TableReading
from migrator.untrusted.qcow2_header import Qcow2Header

SLICE_S = 1.0  # in one call; 64 KiB of tables stand for 512 MiB of a disk
_ABANDONED_S = 600.0  # after its pause, for a reading that was not asked for again
_MOST = 64  # readings of large disks under way, each of less than 1 MiB; of all disks twice as many
_FEW_TABLES = 256  # of a disk that is soon through: 128 GiB with clusters of 64 KiB


@dataclass
class _Begun:
    reading: TableReading
    inode: int
    size: int
    pause_until: float
    spent_s: float = 0.0
    turn: threading.Lock = field(default_factory=threading.Lock)


class TableReadings:
    """Safe to use from several threads: a file whose storage hangs keeps no other file waiting. ``clock`` is
    monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: dict[Path, _Begun] = {}

    def read(self, file: Path, found: os.stat_result) -> tuple[float, str]:
        """How long the reading of all tables took (s), and what is wrong; "" if nothing is. Raises DiskBeingRead until
        it is through; OSError."""
        with file.open("rb") as opened:
            try:
                header = qcow2_header.read(opened)
            except StorageError as error:
                return 0.0, error.message
            begun = self._reading(file, found, header)
            if not begun.turn.acquire(blocking=False):
                raise _being_read(file, begun)
            try:
                if self._clock() < begun.pause_until or not self._slice(begun, opened):
                    raise _being_read(file, begun)
                problem = begun.reading.problem(opened)
            except DiskBeingRead:
                raise
            except BaseException:
                self._end(file)
                raise
            finally:
                begun.turn.release()
        self._end(file)
        return begun.spent_s, problem

    def _reading(self, file: Path, found: os.stat_result, header: Qcow2Header) -> _Begun:
        """The one that is under way, unless the file is another one by now, or was cut. None gives way to another one:
        of more than there is room for none would ever be through."""
        now = self._clock()
        with self._lock:
            for other in [path for path, one in self._begun.items() if now > one.pause_until + _ABANDONED_S]:
                del self._begun[other]
            begun = self._begun.get(file)
            same = begun is not None and (begun.inode, begun.reading.header) == (found.st_ino, header)
            if begun is None or not same or found.st_size < begun.size:
                if begun is None and len(self._begun) >= (_MOST if _is_large(header) else 2 * _MOST):
                    raise _waiting(file)
                begun = self._begun[file] = _Begun(TableReading(header), found.st_ino, found.st_size, now)
            begun.size = found.st_size
            return begun

    def _slice(self, begun: _Begun, opened: BinaryIO) -> bool:
        """Whether the last table was read. All readings that are under way take half of the time of one processor at
        the most, so the more there are, the longer each pauses."""
        start = self._clock()
        done = begun.reading.advance(opened, lambda: self._clock() >= start + SLICE_S)
        end = self._clock()
        begun.spent_s += end - start
        begun.pause_until = end + (end - start) * (2 * len(self._begun) - 1)
        return done

    def _end(self, file: Path) -> None:
        with self._lock:
            self._begun.pop(file, None)


def _is_large(header: Qcow2Header) -> bool:
    return header.l1_entries > _FEW_TABLES or header.refcount_clusters > 1


def _waiting(file: Path) -> DiskBeingRead:
    """No number in it that changes: each sentence is a line of the operation's timeline."""
    return DiskBeingRead(
        f"the tables of {file} are not read yet, for those of many other disks are being read",
        advice="wait, or try again later: it is read when one of them is through",
    )


def _being_read(file: Path, begun: _Begun) -> DiskBeingRead:
    """In steps of a tenth, each of which is a line of the operation's timeline."""
    tenths = int(begun.reading.read_share * 10) * 10
    return DiskBeingRead(
        f"{file} is large: its tables are being read, and {tenths} % of them are",
        advice="wait: the reading goes on, at half of its speed, so that it does not slow the host down",
    )
