"""What lies on this host and is used by nothing here: shown, and removed where no instance's data can be lost.

Owns what of it is removed, and when: consoles' logs of domains that are not here, images in the cache and under disks,
half-made files, memories that a guest was restored from. An instance's directory is only ever shown. A file counts as
unused for the time in which this process saw it so and unchanged, by a clock that cannot be set. Never talks to
libvirt.
"""

import contextlib
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from migrator.compute.storage import idle_base_images
from migrator.compute.storage.atomic_files import PART, entries, half_made, locked
from migrator.compute.storage.base_images import BASE
from migrator.compute.storage.saved_memory import USED
from migrator.errors import StorageError
from migrator.protocol import Leftover, LeftoverKind

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_CONSOLE = re.compile(rf"({_UUID})\.log")
_CACHED = re.compile(rf"{_UUID}\.[0-9a-f]{{1,16}}")

Found = Iterator[tuple[Path, Leftover]]


@dataclass
class _Watched:
    """``mark``: what changes when a process uses the file; ``since``: by the clock, how long it has been this one."""

    mark: tuple[int, ...]
    since: float


class Leftovers:
    """Those of one host. ``pools``: name -> directory of every pool whose storage is there now; ``state``: the agent's
    own directory; ``retention_s``: for how long what is not used is left alone. Not for two threads at once."""

    def __init__(
        self,
        pools: Callable[[], Mapping[str, Path]],
        state: Path,
        retention_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pools, self._state, self._retention_s, self._clock = pools, state, retention_s, clock
        self._watched: dict[Path, _Watched] = {}

    def find(self, present: Collection[str]) -> list[Leftover]:
        """What nothing here uses, with how long that has been so. ``present``: instances with a domain here. Raises
        StorageError."""
        found, undecided = self._unused(present)
        now, known = self._clock(), self._watched
        self._watched = {path: known[path] for path in known if path in found or path in undecided}
        leftovers = []
        for path, what in found.items():
            with contextlib.suppress(FileNotFoundError):
                size, mark = _measured(path)
                watched = self._watched.get(path)
                if watched is None or watched.mark != mark:
                    watched = self._watched[path] = _Watched(mark, now)
                leftovers.append(what.model_copy(update={"bytes": size, "age_s": now - watched.since}))
        return leftovers

    def tidy(self, present: Collection[str]) -> list[Leftover]:
        """Remove what was not used for long enough; the answer is what is gone. Raises StorageError."""
        gone = []
        try:
            for pool in self._pools().values():
                idle_base_images.put_used_back(pool)
            for one in self.find(present):
                path = Path(one.path)
                if one.kind == LeftoverKind.DISKS or one.age_s < self._retention_s or locked(path):
                    continue
                if one.kind == LeftoverKind.BASE and not idle_base_images.is_out_of_use(path):
                    idle_base_images.take_out_of_use(path)
                    continue
                path.unlink(missing_ok=True)
                gone.append(one)
        except OSError as error:
            raise StorageError(f"cannot remove what nothing uses: {error}") from error
        return gone

    def _unused(self, present: Collection[str]) -> tuple[dict[Path, Leftover], set[Path]]:
        """What nothing uses, and what may or may not be used."""
        undecided: set[Path] = set()
        try:
            found = dict(_of_state(self._state, present))
            for pool, directory in self._pools().items():
                found |= dict(_of_pool(pool, directory, present))
                idle = idle_base_images.find(directory)
                if idle is None:
                    undecided |= set(idle_base_images.every(directory))
                else:
                    found |= {path: _leftover(LeftoverKind.BASE, path, pool) for path in idle}
        except OSError as error:
            raise StorageError(f"cannot look for what nothing uses: {error}") from error
        return found, undecided


def _of_state(state: Path, present: Collection[str]) -> Found:
    for path in entries(state / "consoles"):
        if (name := _CONSOLE.fullmatch(path.name)) is not None and name[1] not in present:
            yield path, _leftover(LeftoverKind.CONSOLE, path, instance=name[1])
    for path in entries(state / "images"):
        if _CACHED.fullmatch(path.name):
            yield path, _leftover(LeftoverKind.IMAGE, path)
        elif path.name.endswith(PART):
            yield path, _leftover(LeftoverKind.PART, path)


def _of_pool(pool: str, directory: Path, present: Collection[str]) -> Found:
    for path in entries(directory / BASE):
        if half_made(path):
            yield path, _leftover(LeftoverKind.PART, path, pool)
    for home in entries(directory):
        if re.fullmatch(_UUID, home.name) is None or not home.is_dir():
            continue
        if home.name not in present:
            yield home, _leftover(LeftoverKind.DISKS, home, pool, home.name)
        for path in entries(home):
            if path.name == USED:
                yield path, _leftover(LeftoverKind.MEMORY, path, pool, home.name)
            elif half_made(path):
                yield path, _leftover(LeftoverKind.PART, path, pool, home.name)


def _leftover(kind: LeftoverKind, path: Path, pool: str = "", instance: str = "") -> Leftover:
    return Leftover(kind=kind, pool=pool, path=str(path), instance=instance)


def _measured(path: Path) -> tuple[int, tuple[int, ...]]:
    """Bytes that it takes, and a mark that changes with every use. Raises FileNotFoundError."""
    stats = [file.lstat() for file in ([path, *entries(path)] if path.is_dir() else [path])]
    mark = tuple(value for stat in stats for value in (stat.st_mtime_ns, stat.st_size))
    return sum(stat.st_blocks * 512 for stat in stats), mark
