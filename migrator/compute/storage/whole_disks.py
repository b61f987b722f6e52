"""Whether a disk is whole: its file and the image under it are there, and neither was cut or exchanged.

What another copy of an instance is given up for. Owns what is read for that, in plain Python, which opens nothing that
a header names, and what of it is remembered, so that a disk which is looked at every second is not read every second.
How long it is read at a time is ``table_readings``'s. Changes no file. A disk's content that changed in place is not
found here: of what was copied, checksums tell.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from migrator.compute.storage import base_images, disk_headers
from migrator.compute.storage.table_readings import TableReadings
from migrator.errors import StorageError
from migrator.protocol import DiskSpec, ImageRef

K = TypeVar("K")
V = TypeVar("V")

_SHARE = 20  # of the time at most one part in so many is spent on reading one file
_REMEMBERED_S = 60.0  # at most, or for as long as it took, of a file that changes, as a running guest's does
_FILES = 10_000  # that are remembered
_ADVICE = "bring the file back from a backup, or from the other host"


@dataclass(frozen=True, slots=True)
class _Read:
    """A file as it was when its tables were read, what was wrong with it ("" for nothing), and until when that is taken
    for true although it has been written to since."""

    inode: int
    size: int
    written_ns: int
    problem: str
    until: float


class WholeDisks:
    """Safe to use from several threads. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._readings = TableReadings(clock)
        self._read: dict[Path, _Read] = {}
        self._bases: dict[tuple[Path, int, int], str] = {}  # path, inode and size -> its content's checksum

    def refuse_damaged(self, file: Path, disk: DiskSpec, pool: Path, image: ImageRef | None) -> None:
        """Raises StorageError, with the file's name, unless the disk is whole; DiskBeingRead while that is not known
        yet, of a large one, and the next call reads on."""
        chain = disk_headers.checked_chain(file, disk, pool, image)
        try:
            for base, _ in chain:
                if image is not None:
                    self._refuse_other(base, image)
            for one, disk_format in ((file, disk.format), *chain):
                if disk_format == "qcow2":
                    self._refuse_cut(one)
        except FileNotFoundError as error:
            raise StorageError(f"{error.filename} is missing, which {file} lies over", advice=_ADVICE) from error
        except OSError as error:
            raise StorageError(f"cannot read {file} and what it lies over: {error}") from error

    def _refuse_other(self, base: Path, image: ImageRef) -> None:
        """A base is used for the content alone that the instance was made from. The file is read once by this process,
        for the checksum that lies beside it would be true of the one that was there before."""
        found = base.stat()
        if image.size_bytes and found.st_size != image.size_bytes:
            raise StorageError(f"{base} has {found.st_size} bytes, and its image {image.size_bytes}", advice=_ADVICE)
        key = (base, found.st_ino, found.st_size)
        if image.checksum_sha256 and key not in self._bases:
            content = base_images.content(base)
            with self._lock:
                _remember(self._bases, key, content)
        if image.checksum_sha256 and self._bases[key] != image.checksum_sha256:
            raise StorageError(f"{base} is another image than the disk was made from", advice=_ADVICE)

    def _refuse_cut(self, file: Path) -> None:
        found = os.stat(file)
        read = self._known(file, found)
        if read is None:
            spent_s, problem = self._readings.read(file, found)
            until = self._clock() + max(min(_SHARE * spent_s, _REMEMBERED_S), spent_s)
            read = _Read(found.st_ino, found.st_size, found.st_mtime_ns, problem, until)
            with self._lock:
                _remember(self._read, file, read)
        if read.problem:
            raise StorageError(f"{file}: {read.problem}", advice=_ADVICE)

    def _known(self, file: Path, found: os.stat_result) -> _Read | None:
        with self._lock:
            read = self._read.get(file)
        if read is None or read.inode != found.st_ino or found.st_size < read.size:
            return None
        unchanged = (read.size, read.written_ns) == (found.st_size, found.st_mtime_ns)
        return read if unchanged or self._clock() < read.until else None


def _remember(known: dict[K, V], key: K, value: V) -> None:
    known[key] = value
    while len(known) > _FILES:
        known.pop(next(iter(known)))
