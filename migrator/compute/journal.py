"""The agent's memory that outlives it: incarnations, epochs, transfers begun, the newest operation of an instance.

Append-only JSON lines, each on the disk (fsync) before the method that wrote it returns. A line that a crash cut off is
the last one and was never relied upon. A journal that cannot be written or read never ends the agent: it goes on
without what needs one, says so (``impaired``, ``lost``), and tries again. Never asks the hypervisor, never decides.
"""

import contextlib
import errno
import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Protocol

from migrator.compute.line_journal import JournalFull, LineJournal, Medium, MemoryMedium
from migrator.errors import Conflict
from migrator.private_files import PASSAGE, make_folder, opener

__all__ = ["FileMedium", "Journal", "JournalFull", "LineJournal", "Medium", "MemoryMedium", "open_journal"]

log = logging.getLogger("migrator.agent")


class Journal(Protocol):
    """What ``Worker`` needs. Every writing method is durable when it returns, and safe to call again; one that raises
    JournalFull has changed nothing."""

    @property
    def incarnation(self) -> int:
        """Of this start of the agent; higher than that of every earlier one."""
        ...

    @property
    def start(self) -> str:
        """Which start of the agent this is, however old the journal was that it found."""
        ...

    @property
    def impaired(self) -> str:
        """Why nothing can be written down now; "" if it can."""
        ...

    @property
    def lost(self) -> str:
        """What of the earlier journal could not be read; "" for nothing."""
        ...

    def begun(self, operation_id: str, epoch: int) -> bool:
        """Whether a transfer may have been started under this operation and epoch."""
        ...

    def last_begun(self, operation_id: str) -> int | None:
        """The highest epoch under which a transfer may have been started."""
        ...

    def begin(self, operation_id: str, epoch: int) -> None:
        """Record, before starting it, that a transfer is going to be started."""
        ...

    def highest_epoch(self, operation_id: str) -> int:
        """0 for an operation never seen."""
        ...

    def newest(self, instance_uuid: str) -> int:
        """The serial of the newest operation that was served here for the instance; 0 for none. For an instance that
        was forgotten the highest that it may have been."""
        ...

    def served(self, instance_uuid: str) -> int:
        """The same, as it is known for certain; 0 where it is not."""
        ...

    def note_epoch(self, operation_id: str, epoch: int, instance_uuid: str = "", serial: int = 0) -> None:
        """Remember an epoch, and the operation as one that was served for the instance; older ones than are known
        change nothing."""
        ...

    def raise_incarnation(self, above: int) -> None:
        """The server knows a later start of this host's agent than the journal does."""
        ...

    def recover(self) -> None:
        """Try to write again, if the last attempt failed. Never raises."""
        ...


class FileMedium:
    """One file, held by one agent: a lock beside it keeps a second process away. Raises Conflict if it is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = _hold(path)
        self._file: FileIO | None = None
        self._torn_at: int | None = None  # a line could not be written, and was not cut off: it begins there

    def lines(self) -> list[bytes]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        whole, _, torn = content.rpartition(b"\n")
        if torn:
            self._torn_at = len(content) - len(torn)
            with contextlib.suppress(OSError):  # tried again before the next line
                self._cut(self._opened())
        return whole.split(b"\n") if whole else []

    def append(self, line: bytes) -> None:
        try:
            file = self._opened()
            self._cut(file)
            self._torn_at = os.fstat(file.fileno()).st_size
            _write(file, line)
            self._torn_at = None
        except OSError as error:
            with contextlib.suppress(OSError):
                if self._file is not None:
                    self._cut(self._file)
            raise JournalFull(f"cannot write to the agent's journal {self._path}: {error}") from error

    def _cut(self, file: FileIO) -> None:
        """Half a line in the middle could not be read by the next agent."""
        if self._torn_at is not None:
            os.ftruncate(file.fileno(), self._torn_at)
            os.fsync(file.fileno())
            self._torn_at = None

    def replace(self, lines: Iterable[bytes]) -> None:
        part = self._path.with_name(self._path.name + ".new")
        try:
            with open(part, "wb", buffering=0, opener=opener) as file:
                _write(file, b"".join(lines))
            os.replace(part, self._path)
            self._torn_at = None
            self._close_file()  # the old one has no name any more
            self._opened()
        except OSError as error:
            raise JournalFull(f"cannot write the agent's journal {self._path} anew: {error}") from error

    def keep_aside(self) -> str:
        aside = self._path.with_name(f"{self._path.name}.damaged-{int(time.time())}")
        try:
            os.link(self._path, aside)
        except OSError as error:
            log.warning("the damaged journal cannot be kept aside: %s", error)
            return ""
        return str(aside)

    def close(self) -> None:
        self._close_file()
        self._lock.close()

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _opened(self) -> FileIO:
        """Opened again after a failure, whichever it was."""
        if self._file is None:
            self._file = self._open()
        return self._file

    def _open(self) -> FileIO:
        make_folder(self._path.parent, PASSAGE)
        file = open(self._path, "ab", buffering=0, opener=opener)  # noqa: SIM115 - held for life
        try:
            _sync_directory(self._path.parent)
        except OSError:
            file.close()
            raise
        return file


def open_journal(path: Path) -> LineJournal:
    """The agent's journal at ``path``. Raises Conflict while another process holds it.

    A new one counts from the time of day: there may have been one before, and the server hears no agent that is older
    than the one that it has heard."""
    return LineJournal(FileMedium(path), before=int(time.time()))


class _Closeable(Protocol):
    def close(self) -> None: ...


def _hold(path: Path) -> _Closeable:
    """Keep a second agent away from ``path``: by a lock on the disk, or where that cannot be made (a full disk) by a
    name of this machine."""
    held = Conflict(f"another agent holds {path}", advice="run one agent a host")
    try:
        make_folder(path.parent, PASSAGE)
        lock = open(path.with_name(path.name + ".lock"), "ab", buffering=0, opener=opener)  # noqa: SIM115 - held for life
    except OSError as error:
        log.error("the lock of the agent's journal cannot be made: %s", error)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0migrator-agent:{path}"[:100])
        except OSError as taken:
            name.close()
            if taken.errno == errno.EADDRINUSE:
                raise held from taken
            raise
        return name
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise held from error
    return lock


def _write(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
    os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
