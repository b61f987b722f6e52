"""Averages of what a host and its guests really use, from counters that only grow.

Owns how far back an average goes, and that a counter which begins anew begins a new average. Never asks a hypervisor
itself.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from migrator.compute.use_counters import GuestCounters, HostCounters
from migrator.protocol import GuestUse, HostUse

WINDOW_S = 300.0  # that an average covers at the most
READING_S = 15.0  # between two readings
_SHORTEST_S = 5.0  # less says nothing


@dataclass
class UseMeter:
    """One object is one agent's memory. Not for two threads at once. ``read`` raises DriverError."""

    read: Callable[[], HostCounters]
    clock: Callable[[], float]
    _readings: deque[tuple[float, HostCounters]] = field(default_factory=deque)

    def sample(self) -> None:
        """Read, if it is time. Raises DriverError."""
        now = self.clock()
        if self._readings and now - self._readings[-1][0] < READING_S:
            return
        self._readings.append((now, self.read()))
        while now - self._readings[0][0] > WINDOW_S:
            self._readings.popleft()

    def host(self) -> HostUse | None:
        """None: too little was read yet."""
        run = _unbroken([(at, reading.busy_s) for at, reading in self._readings])
        if run is None:
            return None
        over_s, cpus, number = run
        memory = [reading.memory_mb for _, reading in list(self._readings)[-number:]]
        return HostUse(over_s=over_s, cpus=cpus, memory_mb=sum(memory) // number)

    def guests(self) -> Mapping[str, GuestUse]:
        """Of every guest that the newest reading has."""
        newest = self._readings[-1][1].guests if self._readings else None
        found = {uuid: self._guest(uuid) for uuid in newest or ()}
        return {uuid: use for uuid, use in found.items() if use is not None}

    def _guest(self, uuid: str) -> GuestUse | None:
        seen: list[tuple[float, GuestCounters]] = []
        for at, reading in reversed(self._readings):
            counters = (reading.guests or {}).get(uuid)
            if counters is None:
                break
            seen.insert(0, (at, counters))
        run = _unbroken([(at, counters.busy_s) for at, counters in seen])
        if run is None:
            return None
        over_s, cpus, number = run
        kept = [counters for _, counters in seen[-number:]]
        waited_s = max(0.0, kept[-1].waited_s - kept[0].waited_s)
        memory = sum(counters.memory_mb for counters in kept) // number
        return GuestUse(over_s=over_s, cpus=cpus, waiting_cpus=waited_s / over_s, memory_mb=memory)


def _unbroken(readings: Sequence[tuple[float, float]]) -> tuple[float, float, int] | None:
    """Over the newest readings between which the counter never fell: seconds, the mean growth of a second, and how
    many readings these are."""
    falls = [place for place, ((_, one), (_, other)) in enumerate(pairwise(readings), 1) if other < one]
    run = readings[falls[-1] if falls else 0 :]
    over_s = run[-1][0] - run[0][0] if run else 0.0
    if over_s < _SHORTEST_S:
        return None
    return over_s, (run[-1][1] - run[0][1]) / over_s, len(run)
