"""Disks that are kept aside: what an instance left on this host when it was brought back elsewhere without them.

Owns their names, ``<pool>/.kept.<instance>.<operation>``: beside the instances' own directories, so that an overlay
still finds what it is backed by, and under a name that nothing else looks for. Owns how long they are kept: the time is
counted while this agent runs, by a clock that cannot be set, so that a wrong date deletes nothing early. Never deletes
what was not counted to the end or named by an operator; never talks to libvirt.
"""

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from migrator.compute.storage.atomic_files import remove_folder
from migrator.errors import Conflict, StorageError
from migrator.private_files import PASSAGE, make_folder, sync, write_text
from migrator.protocol import KeptDisks

AGE = ".kept_age"
_WRITE_S = 600.0  # between two writes of an age; a killed agent forgets so much of it, and keeps the disks longer
_NAME = re.compile(r"\.kept\.([0-9a-f-]{36})\.([0-9a-f-]{36})")
_DROPPED = ".dropped."


@dataclass
class _Counted:
    seconds: float
    at: float  # until when, by the clock
    written: float | None  # the seconds that the file says; None: it could not be written yet


class KeptAside:
    """Those of one host. ``pools``: name -> directory of every pool whose storage is there now; ``host``: whose agent
    counts, where several see the same storage."""

    def __init__(
        self,
        pools: Callable[[], Mapping[str, Path]],
        host: str,
        retention_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pools, self._host, self._retention_s, self._clock = pools, host, retention_s, clock
        self._ages: dict[Path, _Counted] = {}
        self._lock = threading.RLock()

    def listed(self, uuid: str | None = None) -> list[KeptDisks]:
        """Raises StorageError."""
        with self._lock:
            found = [self._fact(pool, path) for pool, path in self._directories()]
        return [one for one in found if uuid in (None, one.instance)]

    def set_aside(self, homes: Sequence[Path], uuid: str, operation: str) -> None:
        """Rename these directories of the instance; one that is not there has nothing to keep. Raises StorageError."""
        with self._lock:
            for home in homes:
                if home.is_dir():
                    _rename(home, _directory(home.parent, uuid, operation))
                    self._age(_directory(home.parent, uuid, operation))

    def exchange(self, uuid: str, kept: str, operation: str) -> None:
        """Put back what the operation ``kept`` set aside, in every pool that has some of it, and keep what is there now
        aside as ``operation``'s. May be called again, whatever ended it. Raises StorageError."""
        with self._lock:
            for _, directory in self._of(uuid, kept):
                home = directory.parent / str(UUID(uuid))
                stead = _directory(home.parent, uuid, operation)
                if not stead.exists():
                    make_folder(home, PASSAGE)  # it may have had nothing: then that is what can be put back
                    _rename(home, stead)
                    self._age(stead)
                (directory / AGE).unlink(missing_ok=True)
                _rename(directory, home)
                self._ages.pop(directory, None)

    def delete(self, uuid: str, operation: str) -> int:
        """Delete what the operation set aside; the bytes that are free again. Raises StorageError."""
        with self._lock:
            return sum(self._drop(directory) for _, directory in self._of(uuid, operation))

    def tend(self) -> list[KeptDisks]:
        """Count the time that has passed, and delete what was kept for long enough: those are the answer."""
        with self._lock:
            gone = []
            for pool, directory in self._directories():
                age, now = self._age(directory), self._clock()
                passed, age.at = max(0.0, now - age.at), now
                if age.written is None:  # another host's to count, or its disk is full: not counted
                    continue
                age.seconds += passed
                if age.seconds >= self._retention_s:
                    gone.append(self._fact(pool, directory))
                    self._drop(directory)
                elif age.seconds - age.written >= _WRITE_S:
                    self._write(directory, age)
            self._clear()
            return gone

    # parts
    def _directories(self) -> list[tuple[str, Path]]:
        found = []
        for pool, path in self._pools().items():
            with contextlib.suppress(FileNotFoundError):
                found += [(pool, one) for one in sorted(path.iterdir()) if _NAME.fullmatch(one.name) and one.is_dir()]
        return found

    def _of(self, uuid: str, operation: str) -> list[tuple[str, Path]]:
        wanted = _directory(Path(), uuid, operation).name
        return [(pool, path) for pool, path in self._directories() if path.name == wanted]

    def _fact(self, pool: str, directory: Path) -> KeptDisks:
        found = _NAME.fullmatch(directory.name)
        assert found is not None
        files = [path for path in sorted(directory.iterdir()) if not path.name.startswith(".")]
        age = self._age(directory)
        return KeptDisks(
            instance=found[1],
            operation=found[2],
            pool=pool,
            path=str(directory),
            files=tuple(path.name for path in files),
            bytes=sum(path.stat().st_blocks * 512 for path in files),
            age_s=age.seconds,
            left_s=max(0.0, self._retention_s - age.seconds),
        )

    def _age(self, directory: Path) -> _Counted:
        known = self._ages.get(directory)
        if known is None or known.written is None:
            known = self._ages[directory] = self._read(directory)
            if known.written is None and not (directory / AGE).exists():
                self._write(directory, known)
        return known

    def _read(self, directory: Path) -> _Counted:
        """An age that cannot be read is counted from the beginning: too long rather than too short."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads((directory / AGE).read_text())
            seconds = max(0.0, float(told["seconds"]))
            return _Counted(seconds, self._clock(), seconds if told["host"] == self._host else None)
        with contextlib.suppress(OSError):
            (directory / AGE).unlink()
        return _Counted(0.0, self._clock(), None)

    def _write(self, directory: Path, age: _Counted) -> None:
        """A full disk only keeps them longer."""
        half = directory / f"{AGE}.new"
        with contextlib.suppress(OSError):
            write_text(half, json.dumps({"host": self._host, "seconds": round(age.seconds, 1)}))
            os.replace(half, directory / AGE)
            age.written = age.seconds

    def _drop(self, directory: Path) -> int:
        """Renamed first: what a killed agent leaves of it is no instance's disk any more."""
        freed = sum(path.lstat().st_blocks * 512 for path in directory.iterdir())
        dropped = directory.with_name(directory.name.replace(".kept.", _DROPPED, 1))
        _rename(directory, dropped)
        self._ages.pop(directory, None)
        remove_folder(dropped)
        return freed

    def _clear(self) -> None:
        for path in self._pools().values():
            for half in path.glob(f"{_DROPPED}*"):
                remove_folder(half)


def _directory(pool: Path, uuid: str, operation: str) -> Path:
    return pool / f".kept.{UUID(uuid)}.{UUID(operation)}"


def _rename(old: Path, new: Path) -> None:
    """On the disk when it returns. Raises StorageError, also where something has that name: nothing is overwritten."""
    if new.exists():
        raise Conflict(f"{new} exists already: {old} is left where it is", advice="see what lies there")
    try:
        os.rename(old, new)
        sync(new.parent)
    except OSError as error:
        raise StorageError(f"cannot rename {old} to {new}: {error}") from error


def kept_gb(kept: Iterable[KeptDisks]) -> int:
    """GiB that they take, rounded up."""
    return -(-sum(one.bytes for one in kept) // 1024**3)
