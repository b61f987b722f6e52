"""What the guest itself saw: the gaps between its ticks, and the sum of what its disk keeps.

Real guests only; of a simulated one nothing is known, and every answer is None.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.demo.cloud import DemoFailed

if TYPE_CHECKING:
    from migrator.lab.ticks import TickFollower


@dataclass(frozen=True, slots=True)
class Saw:
    """``gap_ms``: the longest silence between two ticks; ``before`` and ``after``: sums of the disk's content."""

    gap_ms: int | None = None
    before: str | None = None
    after: str | None = None


class Witness:
    """Follows one instance over all hosts, from its first boot on."""

    def __init__(self, ticks: "TickFollower | None") -> None:
        self._ticks = ticks
        self._begun = 0.0
        self._boots = 0
        self._before: str | None = None

    def begin(self) -> None:
        """From here on. Waits until the guest is seen to live and has told what its disk holds."""
        if self._ticks is not None:
            self._ticks.wait_ticks(10, timeout=60)
            self._before = self._ticks.content().sum
            self._begun, self._boots = time.monotonic(), len(self._ticks.boots)

    def disk_size(self, boots: int) -> int | None:
        """Bytes, as the guest sees them once it has booted ``boots`` times since ``begin``."""
        if self._ticks is None:
            return None
        self._ticks.wait_boots(self._boots + boots)
        return self._ticks.content().size

    def end(self, boots: int = 0) -> Saw:
        """What was seen since ``begin``, once the guest has booted ``boots`` times since and read its disk again.

        Raises DemoFailed if it lived twice, or lost or garbled what it had written.
        """
        ticks = self._ticks
        if ticks is None:
            return Saw()
        ticks.wait_boots(self._boots + boots)
        after = ticks.content() if boots else ticks.wait_content()
        ticks.wait_ticks(5, timeout=30)
        if ticks.problems:
            raise DemoFailed("the guest saw what must not be: " + "; ".join(ticks.problems))
        if len(ticks.boots) != self._boots + boots:
            raise DemoFailed(f"the guest booted {len(ticks.boots) - self._boots} times, {boots} were expected")
        if after.sum != self._before:
            raise DemoFailed(f"the disk's content was {self._before} before the move and is {after.sum} after it")
        return Saw(round(ticks.max_gap_ms(since=self._begun, until=time.monotonic())), self._before, after.sum)


@contextmanager
def follow(consoles: Mapping[str, Path]) -> Iterator[Witness]:
    """``consoles``: host -> file; empty for a simulated guest."""
    if not consoles:
        yield Witness(None)
        return
    from migrator.lab.ticks import TickFollower

    with TickFollower(consoles) as ticks:
        yield Witness(ticks)
