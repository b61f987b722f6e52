"""Downtime as the guest's user would feel it: the gaps between ticks on the guest's console.

A follower reads the console files of every host each few milliseconds and stamps each line with this machine's
monotonic clock at its *arrival*. The guest's own clock cannot measure its downtime: it stands still while the guest
is paused, so the guest itself never notices a gap. All hosts are on one machine, hence one clock stamps them all.

Owns reading and judging; never talks to a hypervisor. A gap includes the tick's own 100 ms.
"""

import itertools
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from migrator.lab.process import PATIENCE

TICK_MS = 100.0
_POLL_S = 0.004
_LINE = re.compile(
    r"boot (?P<boot>[0-9a-f-]{36})|tick (?P<tick>\d+) [\d.]+|disk (?P<ring>ok|BAD) (?P<block>\d+)"
    r"|disk sum=(?P<sum>[0-9a-f]{16}) bytes=(?P<bytes>\d+) size=(?P<size>\d+) (?P<how>new|kept|LOST)"
)


@dataclass(frozen=True, slots=True)
class Tick:
    """``at``: seconds of the monotonic clock at arrival; ``life``: how many boots were seen before it."""

    at: float
    host: str
    life: int
    number: int


@dataclass(frozen=True, slots=True)
class Content:
    """What the guest read of the lasting content on its disk: ``sum`` over ``bytes``, on a disk of ``size`` bytes.
    ``new``: it wrote it in this life, for its disk had none."""

    host: str
    life: int
    sum: str
    bytes: int
    size: int
    new: bool


@dataclass
class _Console:
    """One host's file: how far it was read, and the start of a line whose end has not come."""

    path: Path
    offset: int = 0
    partial: str = ""

    def lines(self) -> list[str]:
        try:
            if self.path.stat().st_size <= self.offset:
                return []
            with self.path.open("rb") as file:
                file.seek(self.offset)
                new = file.read()
        except FileNotFoundError:
            return []
        self.offset += len(new)
        *whole, self.partial = (self.partial + new.decode(errors="replace")).split("\n")
        return [line.strip() for line in whole]


@dataclass
class TickFollower:
    """Follows one instance on all ``consoles`` (host name -> file, which need not exist yet). A context manager.

    ``from_start``: also read what the files hold already; it is stamped with the moment it was read.
    """

    consoles: Mapping[str, Path]
    from_start: bool = True
    ticks: list[Tick] = field(default_factory=list)
    boots: list[str] = field(default_factory=list)
    disk_ok: int = 0
    contents: list[Content] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._consoles = {host: _Console(path) for host, path in self.consoles.items()}
        if not self.from_start:
            for console in self._consoles.values():
                console.offset = console.path.stat().st_size if console.path.exists() else 0
        self._seen: dict[tuple[int, int], str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="ticks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Read once more and end."""
        self._stop.set()
        self._thread.join()
        self.read()

    def max_gap_ms(self, since: float = 0.0, until: float = float("inf")) -> float:
        """The longest time between two consecutive ticks that overlaps the window (monotonic seconds).

        With ``until`` left out, the time from the last tick until now counts too, for a guest that stopped must not
        look healthy. 0 when the window has no two ticks.
        """
        arrivals = [tick.at for tick in list(self.ticks)]
        if until == float("inf") and arrivals and not self._stop.is_set():
            arrivals.append(time.monotonic())
        pairs = itertools.pairwise(arrivals)
        return max(((b - a) * 1000 for a, b in pairs if b >= since and a <= until), default=0.0)

    def last(self) -> Tick | None:
        return self.ticks[-1] if self.ticks else None

    def wait_ticks(self, count: int, timeout: float = 30.0) -> None:
        """Until ``count`` more ticks came. Raises TimeoutError."""
        wanted = len(self.ticks) + count
        self._wait(lambda: len(self.ticks) >= wanted, timeout, f"{count} ticks")

    def wait_host(self, host: str, timeout: float = 30.0) -> None:
        """Until the newest tick came from ``host``. Raises TimeoutError."""

        def there() -> bool:
            last = self.last()
            return last is not None and last.host == host

        self._wait(there, timeout, f"a tick from {host}")

    def wait_boots(self, count: int, timeout: float = 60.0) -> None:
        """Until ``count`` boots were seen since the start. Raises TimeoutError."""
        self._wait(lambda: len(self.boots) >= count, timeout, f"boot {count}")

    def wait_content(self, timeout: float = 60.0) -> Content:
        """What the guest reads of its disk next, in a line that comes after this call. Raises TimeoutError."""
        seen = len(self.contents)
        self._wait(lambda: len(self.contents) > seen, timeout, "the sum of the disk's content")
        return self.contents[-1]

    def content(self, timeout: float = 60.0) -> Content:
        """What the guest of the newest life read of its disk, waiting for it if it has said nothing yet."""
        return self._content_of_life(timeout)[-1]

    def first_content(self, timeout: float = 60.0) -> Content:
        """What the guest of the newest life found on its disk when it booted, or wrote there then."""
        return self._content_of_life(timeout)[0]

    def _content_of_life(self, timeout: float) -> list[Content]:
        def found() -> list[Content]:
            return [content for content in list(self.contents) if content.life == len(self.boots)]

        self._wait(lambda: bool(found()), timeout, "the sum of the disk's content")
        return found()

    def _wait(self, done: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = time.monotonic() + PATIENCE * timeout
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {PATIENCE * timeout:.0f} s in vain for {what}; last was {self.last()}")
            time.sleep(_POLL_S)

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.read()
            time.sleep(_POLL_S)

    def read(self) -> None:
        """Take in what is new in all files. The thread calls this; call it yourself only when it does not run."""
        before = self.last()
        batch: list[Tick] = []
        now = time.monotonic()
        for host, console in self._consoles.items():
            for line in console.lines():
                self._take(host, line, now, batch)
        # Within one look the order between hosts is unknown, so there it is not judged; a doubled number always is.
        batch.sort(key=lambda tick: (tick.life, tick.number))
        if before and batch and (batch[0].life, batch[0].number) < (before.life, before.number):
            self.problems.append(f"tick {batch[0].number} on {batch[0].host} came after {before.number}")
        self.ticks += batch

    def _take(self, host: str, line: str, now: float, batch: list[Tick]) -> None:
        found = _LINE.fullmatch(line) or self._joined(host, line)
        if found is None:
            return
        if found["boot"]:
            self.boots.append(found["boot"])
        elif found["tick"]:
            self._take_tick(Tick(now, host, len(self.boots), int(found["tick"])), batch)
        elif found["sum"]:
            self._take_content(host, found)
        elif found["ring"] == "ok":
            self.disk_ok += 1
        else:
            self.problems.append(f"the disk of the guest on {host} lost block {found['block']}")

    def _take_content(self, host: str, found: re.Match[str]) -> None:
        if found["how"] == "LOST":
            self.problems.append(f"the content of the guest's disk on {host} is not what was written: {found['sum']}")
        numbers = {name: int(found[name]) for name in ("bytes", "size")}
        self.contents.append(Content(host, len(self.boots), found["sum"], **numbers, new=found["how"] == "new"))

    def _take_tick(self, tick: Tick, batch: list[Tick]) -> None:
        key = (tick.life, tick.number)
        if earlier := self._seen.get(key):
            self.problems.append(f"tick {tick.number} was printed twice: on {earlier} and on {tick.host}")
            return
        self._seen[key] = tick.host
        same_file = [other.number for other in batch if other.host == tick.host and other.life == tick.life]
        if same_file and tick.number < same_file[-1]:
            self.problems.append(f"tick {tick.number} on {tick.host} came after {same_file[-1]}")
        batch.append(tick)

    def _joined(self, host: str, line: str) -> re.Match[str] | None:
        """A line that began on one host and ended on another: the serial port moved in the middle of it."""
        for other, console in self._consoles.items():
            if other != host and console.partial and (found := _LINE.fullmatch(console.partial + line)):
                console.partial = ""
                return found
        return None
