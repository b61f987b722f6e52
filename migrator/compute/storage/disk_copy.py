"""Fetching an instance's files from another host.

Owns the one copy of an instance that may be under way here: its threads, its half-made files and its numbers. A file
is read in pieces on several connections at once, written with its holes kept, and appears under its name when it is
complete and on the disk. What a killed agent left half made is thrown away. How bytes are read is the ``Reader``'s
business; whether the content is right is found out by checksums, and whether it is safe by ``inspect``: not here.
"""

import contextlib
import errno
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from migrator.compute.storage.atomic_files import appear, free_bytes
from migrator.errors import DriverError, StorageError
from migrator.private_files import PASSAGE, make_folder
from migrator.protocol import JobFact

PIECE_BYTES = 64 * 1024**2
_STREAMED = 8 * 1024**2
READERS = 2  # connections to the source; more only fight for its one dispatching thread
STOP_WAIT_S = 4.5
PARTIAL = ".copying.part"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Reader(Protocol):
    """One connection to the host that offers the files. Everything raises DriverError."""

    def size(self, path: str) -> int:
        """Bytes of the file, holes counted."""
        ...

    def read(self, path: str, offset: int, length: int, sink: Callable[[int, bytes], None]) -> None:
        """Hand each run of data to ``sink`` with its offset; what is not handed over is zeros. A piece may be read
        twice, when the connection broke. What ``sink`` raises ends it."""
        ...

    def close(self) -> None: ...


def pieces(reader: Reader, path: str) -> Iterator[bytes]:
    """All of a file, from its beginning to its end. Raises DriverError."""
    size = reader.size(path)
    for start in range(0, size, _STREAMED):
        piece = bytearray(min(_STREAMED, size - start))

        def put(offset: int, data: bytes, start: int = start, piece: bytearray = piece) -> None:
            piece[offset - start : offset - start + len(data)] = data

        reader.read(path, start, len(piece), put)
        yield bytes(piece)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file: its path there, its path here, and the bytes (without holes) that it is thought to hold."""

    source: str
    path: Path
    expected: int

    @property
    def part(self) -> Path:
        return self.path.with_name(f".{self.path.name}{PARTIAL}")


@dataclass
class _Open:
    """A file that is being written; ``left``: pieces of it that are not complete yet."""

    wanted: RemoteFile
    descriptor: int
    left: int
    received: int = 0


@dataclass(frozen=True, slots=True)
class _Piece:
    file: _Open
    offset: int
    length: int


class _Stopped(Exception):
    """The agent asked the copy to end, or another thread of it failed."""


class DiskCopyJob(threading.Thread):
    """One copy, begun by ``start``. A daemon: it dies with the agent, and a later one begins anew.

    ``prepare`` makes what the files need beside them; ``inspect`` raises DriverError for a complete file that must not
    appear; ``appeared`` is told each one that has."""

    def __init__(
        self,
        uuid: str,
        wanted: Sequence[RemoteFile],
        connect: Callable[[], Reader],
        prepare: Callable[[], None],
        inspect: Callable[[RemoteFile], None],
        appeared: Callable[[Path], None],
    ) -> None:
        super().__init__(name=f"copy-{uuid}", daemon=True)
        self._wanted, self._connect, self._prepare = tuple(wanted), connect, prepare
        self._inspect, self._appeared = inspect, appeared
        self._pieces: queue.SimpleQueue[_Piece] = queue.SimpleQueue()
        self._open: list[_Open] = []
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._total = sum(wanted.expected for wanted in self._wanted)
        self._began = time.monotonic()
        self._ended: float | None = None
        self.error: DriverError | None = None

    @property
    def active(self) -> bool:
        return self._ended is None

    def fact(self) -> JobFact:
        """How far it is."""
        seconds = (self._ended or time.monotonic()) - self._began
        received = sum(file.received for file in self._open)
        done = self._ended is not None and self.error is None
        total = max(self._total, received)
        processed = total if done else received
        return JobFact(
            active=self.active,
            disk_total_bytes=total,
            disk_processed_bytes=processed,
            disk_remaining_bytes=total - processed,
            elapsed_ms=int(seconds * 1000),
            bytes_per_s=int(received / seconds) if seconds > 0 else None,
        )

    def stop(self) -> bool:
        """Ask it to end, and wait a moment. Whether it has."""
        self._fail(DriverError("the copy was stopped"))
        self.join(STOP_WAIT_S)
        return not self.is_alive()

    def run(self) -> None:
        try:
            self._prepare()
            if self._wanted:
                with contextlib.closing(self._connect()) as reader, self._parts(reader):
                    self._fetch(reader)
        except (DriverError, OSError) as error:
            self._fail(error)
        finally:
            self._ended = time.monotonic()

    @contextlib.contextmanager
    def _parts(self, reader: Reader) -> Iterator[None]:
        """Every file open under its half-made name, as large as it will be, and its pieces queued."""
        try:
            for wanted in self._wanted:
                make_folder(wanted.path.parent, PASSAGE)
                drop_parts(wanted.path.parent, wanted.part.name)
                size = reader.size(wanted.source)
                descriptor = os.open(wanted.part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                offsets = range(0, size, PIECE_BYTES) or (0,)
                file = _Open(wanted, descriptor, len(offsets))
                self._open.append(file)
                os.ftruncate(descriptor, size)
                for offset in offsets:
                    self._pieces.put(_Piece(file, offset, min(PIECE_BYTES, size - offset)))
            yield
        finally:
            for file in self._open:
                os.close(file.descriptor)
                file.wanted.part.unlink(missing_ok=True)

    def _fetch(self, reader: Reader) -> None:
        """All pieces, with a second connection where there is more than one."""
        helpers = [threading.Thread(target=self._help, daemon=True) for _ in range(READERS - 1)]
        for helper in helpers if self._pieces.qsize() > 1 else ():
            helper.start()
        try:
            self._work(reader)
        finally:
            for helper in helpers:
                if helper.ident is not None:
                    helper.join()

    def _help(self) -> None:
        try:
            with contextlib.closing(self._connect()) as reader:
                self._work(reader)
        except DriverError as error:
            self._fail(error)

    def _work(self, reader: Reader) -> None:
        while not self._end.is_set():
            try:
                piece = self._pieces.get_nowait()
            except queue.Empty:
                return
            try:
                self._take(reader, piece)
            except _Stopped:
                return
            except (DriverError, OSError) as error:
                self._fail(error)

    def _take(self, reader: Reader, piece: _Piece) -> None:
        file = piece.file

        def write(offset: int, data: bytes) -> None:
            if self._end.is_set():
                raise _Stopped
            rest = memoryview(data)
            while rest:
                written = os.pwrite(file.descriptor, rest, offset)
                offset, rest = offset + written, rest[written:]
            with self._lock:
                file.received += len(data)

        if piece.length:
            reader.read(file.wanted.source, piece.offset, piece.length, write)
        with self._lock:
            file.left -= 1
        if not file.left:
            self._inspect(file.wanted)
            appear(file.wanted.part, file.wanted.path)
            self._appeared(file.wanted.path)

    def _fail(self, error: DriverError | OSError) -> None:
        """The first error is the one that is told; it ends every thread."""
        with self._lock:
            if self.error is None and self._ended is None:
                self.error = error if isinstance(error, DriverError) else self._storage_error(error)
        self._end.set()

    def _storage_error(self, error: OSError) -> StorageError:
        directory = self._wanted[0].path.parent
        if error.errno not in _FULL:
            return StorageError(f"cannot write to {directory}: {error.strerror or error}")
        missing = self._total - sum(file.received for file in self._open) - free_bytes(directory)
        return StorageError(
            f"{directory} is full: {max(missing, 1) / 1024**2:.0f} MiB more are needed to hold the copy",
            advice="free some space, or choose another host",
        )


def drop_parts(directory: Path, pattern: str = f".*{PARTIAL}") -> None:
    """Throw away what a copy that is over left half made. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):  # the directory itself may be gone, or go at any moment
        for part in directory.glob(pattern):
            part.unlink(missing_ok=True)
