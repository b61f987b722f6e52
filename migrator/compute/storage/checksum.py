"""Checksums of whole files, worked out in the background and remembered.

Two files of equal content agree, however sparse each is: only blocks that are not all zeros are added up, each with
its offset, and the size comes last. XXH3-128 finds every accident at the disk's own speed; it is no defence against
an attacker who may write on both hosts. What has a checksum is on the disk, for the source may be deleted for it, and
the process that wrote the file may have been killed before it was. Owns its threads; never changes a file.
"""

import errno
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from xxhash import xxh3_128

from migrator.errors import StorageError
from migrator.private_files import sync

BLOCK = 256 * 1024
READERS = 2  # files read at once
_ZEROS = bytes(BLOCK)

Key = tuple[int, int, int]  # inode, size, mtime in ns: another file, or another content, has another


class Checksums:
    """Each file is read once as long as it stays what it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = threading.Semaphore(READERS)
        self._files: dict[Path, _Reading] = {}

    def of(self, paths: Mapping[str, Path]) -> dict[str, str] | None:
        """The checksums by the same keys; None while one is still being worked out. Raises StorageError, and reads
        anew at the next call."""
        readings = {name: self._reading(path) for name, path in paths.items()}
        for name, reading in readings.items():
            if reading.error is not None:
                with self._lock:
                    self._files.pop(paths[name], None)
                raise StorageError(f"cannot read {paths[name]}: {reading.error}") from reading.error
        done = {name: reading.checksum for name, reading in readings.items() if reading.checksum is not None}
        return done if len(done) == len(paths) else None

    def begin(self, path: Path) -> None:
        """Start reading, unless that content was read or is being read. Raises StorageError."""
        self._reading(path)

    def forget(self, directory: Path) -> None:
        """The files there are gone."""
        with self._lock:
            for path in [path for path in self._files if path.parent == directory]:
                del self._files[path]

    def _reading(self, path: Path) -> "_Reading":
        try:
            key = _key(os.stat(path))
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error}") from error
        with self._lock:
            reading = self._files.get(path)
            if reading is None or reading.key != key:
                reading = self._files[path] = _Reading(path, key, self._turn)
                reading.start()
            return reading


class _Reading(threading.Thread):
    """One file being read. A daemon: a checksum that no step waits for keeps no process alive."""

    def __init__(self, path: Path, key: Key, turn: threading.Semaphore) -> None:
        super().__init__(name=f"checksum-{path.name}", daemon=True)
        self._path, self.key, self._turn = path, key, turn
        self.checksum: str | None = None
        self.error: OSError | None = None

    def run(self) -> None:
        with self._turn:
            try:
                for path in (self._path, self._path.parent, self._path.parent.parent):
                    sync(path)
                self.checksum = checksum(self._path)
            except OSError as error:
                self.error = error


def checksum(path: Path) -> str:
    """``xxh3-128:<hex>`` of the file's content. Raises OSError."""
    total = xxh3_128()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        for offset in _data_blocks(descriptor, size):
            block = os.pread(descriptor, BLOCK, offset)
            if block != _ZEROS[: len(block)]:
                total.update(offset.to_bytes(8, "little"))
                total.update(block)
    finally:
        os.close(descriptor)
    total.update(size.to_bytes(8, "little"))
    return f"xxh3-128:{total.hexdigest()}"


def _data_blocks(descriptor: int, size: int) -> Iterator[int]:
    """Offsets of the blocks that may hold something else than zeros."""
    at = 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        end = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        start = max(at, start // BLOCK * BLOCK)
        yield from range(start, end, BLOCK)
        at = start + -(-(end - start) // BLOCK) * BLOCK


def _key(found: os.stat_result) -> Key:
    return found.st_ino, found.st_size, found.st_mtime_ns
