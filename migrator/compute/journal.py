"""The agent's memory that outlives it: incarnations, epochs seen, transfers begun.

Append-only JSON lines, each on the disk (fsync) before the method that wrote it returns. A line torn by a crash is
the last one and was never relied upon: it is cut off at the next start. Never asks the hypervisor, never decides.
"""

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Protocol

from migrator.errors import Conflict, MigratorError, StorageError


class JournalDamaged(MigratorError):
    """A line other than the last cannot be read: what was begun here is unknown, so nothing may be begun."""

    code = "journal_damaged"


class JournalFull(StorageError):
    """A line could not be written: what it was about must not be begun. Nothing of it is left."""


class Journal(Protocol):
    """What ``Worker`` needs. Every writing method is durable when it returns, and safe to call again; one that raises
    JournalFull has changed nothing."""

    @property
    def incarnation(self) -> int:
        """Of this start of the agent; higher than that of every earlier one."""
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

    def note_epoch(self, operation_id: str, epoch: int) -> None:
        """Remember an epoch; a lower one than is known changes nothing."""
        ...


class Medium(Protocol):
    """Where lines are kept. ``append`` and ``replace`` return when the lines are safe."""

    def lines(self) -> list[bytes]: ...

    def append(self, line: bytes) -> None: ...

    def replace(self, lines: Iterable[bytes]) -> None: ...

    def close(self) -> None: ...


# The newest operations survive a compaction. Should a host see as many during one transfer, the domain's stamp still
# tells that it was begun.
KEPT_OPERATIONS = 2000
COMPACT_LINES = 20_000


class LineJournal:
    """``Journal`` over any medium. Opening one raises the incarnation durably.

    Line shapes: ``{"incarnation": 3}``, ``{"operation": "...", "epoch": 2}`` and the latter with ``"begun": true``.
    """

    def __init__(self, medium: Medium, before: int = 0) -> None:
        """``before``: the incarnation before the first one of an empty journal."""
        self._medium = medium
        self._lock = threading.Lock()
        self._incarnation = before
        self._epochs: dict[str, int] = {}  # in the order last touched
        self._begun: dict[str, set[int]] = {}
        self._lines = 0
        self._read()
        self._incarnation += 1
        if self._lines > COMPACT_LINES:
            self._compact()
        else:
            self._append({"incarnation": self._incarnation})

    @property
    def incarnation(self) -> int:
        return self._incarnation

    def begun(self, operation_id: str, epoch: int) -> bool:
        return epoch in self._begun.get(operation_id, ())

    def last_begun(self, operation_id: str) -> int | None:
        return max(self._begun.get(operation_id, ()), default=None)

    def begin(self, operation_id: str, epoch: int) -> None:
        with self._lock:
            if not self.begun(operation_id, epoch):
                self._append({"operation": operation_id, "epoch": epoch, "begun": True})
                self._remember(operation_id, epoch, begun=True)

    def highest_epoch(self, operation_id: str) -> int:
        return self._epochs.get(operation_id, 0)

    def note_epoch(self, operation_id: str, epoch: int) -> None:
        with self._lock:
            if epoch > self.highest_epoch(operation_id):
                self._append({"operation": operation_id, "epoch": epoch})
                self._remember(operation_id, epoch, begun=False)

    def close(self) -> None:
        self._medium.close()

    def _read(self) -> None:
        lines = self._medium.lines()
        self._incarnation = 0 if lines else self._incarnation
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
                if "incarnation" in entry:
                    self._incarnation = max(self._incarnation, int(entry["incarnation"]))
                else:
                    self._remember(str(entry["operation"]), int(entry["epoch"]), begun=bool(entry.get("begun")))
            except (ValueError, KeyError, TypeError) as error:
                raise JournalDamaged(
                    f"line {number} of the agent's journal cannot be read: {line[:80]!r}",
                    advice="make sure that no transfer is active on this host, then move the journal away",
                ) from error
        self._lines = len(lines)

    def _remember(self, operation_id: str, epoch: int, *, begun: bool) -> None:
        known = self._epochs.pop(operation_id, 0)
        self._epochs[operation_id] = max(known, epoch)
        if begun:
            self._begun.setdefault(operation_id, set()).add(epoch)

    def _append(self, entry: dict[str, object]) -> None:
        if self._lines > 2 * COMPACT_LINES:
            self._compact()
        self._medium.append(_line(entry))
        self._lines += 1

    def _compact(self) -> None:
        for operation_id in list(self._epochs)[:-KEPT_OPERATIONS]:
            del self._epochs[operation_id]
            self._begun.pop(operation_id, None)
        entries: list[dict[str, object]] = [{"incarnation": self._incarnation}]
        for operation_id, epoch in self._epochs.items():
            entries.append({"operation": operation_id, "epoch": epoch})
            begun = sorted(self._begun.get(operation_id, ()))
            entries += [{"operation": operation_id, "epoch": e, "begun": True} for e in begun]
        self._medium.replace(_line(entry) for entry in entries)
        self._lines = len(entries)


class FileMedium:
    """One file, held by one agent: a lock beside it keeps a second process away. Raises Conflict if it is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = open(path.with_name(path.name + ".lock"), "ab", buffering=0)  # noqa: SIM115 - held for life
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise Conflict(f"another agent holds {path}", advice="run one agent a host") from error
        self._file = self._open()
        self._torn_at: int | None = None  # a line could not be written, and was not cut off: it begins there

    def lines(self) -> list[bytes]:
        content = self._path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn:
            os.ftruncate(self._file.fileno(), len(content) - len(torn))
            os.fsync(self._file.fileno())
        return whole.split(b"\n") if whole else []

    def append(self, line: bytes) -> None:
        try:
            self._cut()
            self._torn_at = os.fstat(self._file.fileno()).st_size
            _write(self._file, line)
            self._torn_at = None
        except OSError as error:
            with contextlib.suppress(OSError):  # tried again before the next line
                self._cut()
            raise JournalFull(f"cannot write to the agent's journal {self._path}: {error}") from error

    def _cut(self) -> None:
        """Half a line in the middle could not be read by the next agent."""
        if self._torn_at is not None:
            os.ftruncate(self._file.fileno(), self._torn_at)
            self._torn_at = None

    def replace(self, lines: Iterable[bytes]) -> None:
        part = self._path.with_name(self._path.name + ".new")
        try:
            with open(part, "wb", buffering=0) as file:
                _write(file, b"".join(lines))
            os.replace(part, self._path)
            self._file.close()
            self._file = self._open()
        except OSError as error:
            raise JournalFull(f"cannot write the agent's journal {self._path} anew: {error}") from error

    def close(self) -> None:
        self._file.close()
        self._lock.close()

    def _open(self) -> FileIO:
        file = open(self._path, "ab", buffering=0)  # noqa: SIM115 - held for life
        _sync_directory(self._path.parent)
        return file


class MemoryMedium:
    """Lines in a list that the caller keeps across simulated restarts."""

    def __init__(self, kept: list[bytes]) -> None:
        self._kept = kept

    def lines(self) -> list[bytes]:
        return [line.rstrip(b"\n") for line in self._kept]

    def append(self, line: bytes) -> None:
        self._kept.append(line)

    def replace(self, lines: Iterable[bytes]) -> None:
        self._kept[:] = list(lines)

    def close(self) -> None:
        """Nothing is held."""


def open_journal(path: Path) -> LineJournal:
    """The agent's journal at ``path``. Raises Conflict while another process holds it, JournalDamaged.

    A new one counts from the time of day: there may have been one before, and the server hears nobody who is older than
    whom it has heard."""
    return LineJournal(FileMedium(path), before=int(time.time()))


def _line(entry: dict[str, object]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


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
