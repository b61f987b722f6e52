"""A journal in lines: which are written when, and what is made of unreadable lines.

Owns the order of writing (in memory only what is safe) and the start over a damaged journal. Where the lines are kept
is a ``Medium``'s; what they say is ``journal_state.py``'s.
"""

import contextlib
import logging
import threading
import uuid
from collections.abc import Iterable
from typing import Protocol

from migrator.compute.journal_state import JournalState, line_of
from migrator.errors import StorageError
from migrator.protocol import JOURNAL_UNWRITABLE

log = logging.getLogger("migrator.agent")


class JournalFull(StorageError):
    """A line could not be written: what it was about must not be begun. Nothing of it is left."""

    code = JOURNAL_UNWRITABLE


class Medium(Protocol):
    """Where lines are kept. ``append`` and ``replace`` return when the lines are safe, or raise JournalFull."""

    def lines(self) -> list[bytes]:
        """Raises OSError."""
        ...

    def append(self, line: bytes) -> None: ...

    def replace(self, lines: Iterable[bytes]) -> None: ...

    def keep_aside(self) -> str:
        """Keep a copy of what is there, for a person to look at; its name, "" for none."""
        ...

    def close(self) -> None: ...


COMPACT_LINES = 20_000


class LineJournal:
    """``Journal`` over any medium. Opening one raises the incarnation, durably if that is possible."""

    def __init__(self, medium: Medium, before: int = 0) -> None:
        """``before``: the incarnation before the first one of an empty journal, or of one that cannot be written."""
        self._medium = medium
        self._lock = threading.Lock()
        self._state = JournalState()
        self._lines = 0
        self._unsaved = True  # the incarnation is not on the disk
        self._impaired = self._lost = ""
        self._start = str(uuid.uuid4())
        whole = self._read()
        if not self._lines or not self._state.incarnation:
            self._state.incarnation = before
        self._state.incarnation += 1
        try:
            if self._lines > COMPACT_LINES or not whole:
                self._compact()
            else:
                self._save_incarnation()
        except JournalFull:  # a later start, too, must have a higher one than this start has
            self._state.incarnation = max(self._state.incarnation, before + 1)

    @property
    def incarnation(self) -> int:
        return self._state.incarnation

    @property
    def start(self) -> str:
        return self._start

    @property
    def impaired(self) -> str:
        return self._impaired

    @property
    def lost(self) -> str:
        return self._lost

    def begun(self, operation_id: str, epoch: int) -> bool:
        return epoch in self._state.begun.get(operation_id, ())

    def last_begun(self, operation_id: str) -> int | None:
        return max(self._state.begun.get(operation_id, ()), default=None)

    def begin(self, operation_id: str, epoch: int) -> None:
        with self._lock:
            if not self.begun(operation_id, epoch):
                self._append(line_of({"operation": operation_id, "epoch": epoch, "begun": True}))
                self._state.remember(operation_id, epoch, begun=True)

    def highest_epoch(self, operation_id: str) -> int:
        return self._state.epochs.get(operation_id, 0)

    def newest(self, instance_uuid: str) -> int:
        return self._state.newest(instance_uuid)

    def served(self, instance_uuid: str) -> int:
        return self._state.served.get(instance_uuid, (0, ""))[0]

    def note_epoch(self, operation_id: str, epoch: int, instance_uuid: str = "", serial: int = 0) -> None:
        with self._lock:
            newer = bool(serial) and serial > self._state.served.get(instance_uuid, (0, ""))[0]
            if epoch <= self.highest_epoch(operation_id) and not newer:
                return
            entry = {"operation": operation_id, "epoch": epoch}
            self._append(line_of(entry | ({"instance": instance_uuid, "serial": serial} if newer else {})))
            self._state.remember(operation_id, epoch, begun=False)
            if newer:
                self._state.serve(instance_uuid, serial, operation_id)

    def raise_incarnation(self, above: int) -> None:
        with self._lock:
            if self._state.incarnation <= above:
                self._lost = self._lost or (
                    "the agent's journal is an older copy, or a new one: it counted "
                    f"{self._state.incarnation} starts, and the server has heard {above}"
                )
                self._state.incarnation, self._unsaved = above + 1, True
                with contextlib.suppress(JournalFull):
                    self._save_incarnation()

    def recover(self) -> None:
        if self._impaired or self._unsaved:
            with self._lock, contextlib.suppress(JournalFull):
                self._unsaved = True
                self._save_incarnation()

    def close(self) -> None:
        self._medium.close()

    def _read(self) -> bool:
        """False: a line cannot be read. The last one was cut off by a crash before the server relied on it."""
        try:
            lines = self._medium.lines()
        except OSError as error:
            self._lost = f"the agent's journal cannot be read: {error}"
            log.error("%s", self._lost)
            return True
        damaged = [number for number, line in enumerate(lines, start=1) if not self._readable(line)]
        self._lines = len(lines)
        if damaged and damaged != [self._lines]:
            kept = self._medium.keep_aside()
            numbers = ", ".join(map(str, damaged[:10])) + (", ..." if len(damaged) > 10 else "")
            self._lost = f"{len(damaged)} of {self._lines} lines of the agent's journal cannot be read: {numbers}"
            self._lost += f"; the damaged journal is kept as {kept}" if kept else ""
            log.error("%s", self._lost)
        return not damaged

    def _readable(self, line: bytes) -> bool:
        try:
            self._state.apply(line)
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        return True

    def _append(self, line: bytes) -> None:
        if self._lines > 2 * COMPACT_LINES:
            with contextlib.suppress(JournalFull):  # there may be room for one line more
                self._compact()
        self._save_incarnation()
        self._write(line)

    def _save_incarnation(self) -> None:
        if self._unsaved:
            self._write(self._state.first_line())
            self._unsaved = False

    def _write(self, line: bytes) -> None:
        try:
            self._medium.append(line)
        except JournalFull as error:
            self._say(error)
            raise
        self._lines += 1
        self._impaired = ""

    def _compact(self) -> None:
        self._state.forget_old()
        lines = list(self._state.lines())
        try:
            self._medium.replace(lines)
        except JournalFull as error:
            self._say(error)
            raise
        self._lines, self._unsaved, self._impaired = len(lines), False, ""

    def _say(self, error: JournalFull) -> None:
        if not self._impaired:
            log.error("%s: only what stops a guest is done until it can be written", error)
        self._impaired = error.message


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

    def keep_aside(self) -> str:
        return ""

    def close(self) -> None:
        """Nothing is held."""
