"""When each move begins under the budgets: the most important first, then what finishes soonest. Pure."""

import heapq
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from migrator.scheduler.fleet.plan.model import Budgets, Guest

_AHEAD = 50  # moves of one source that are looked at, where the first of them has to wait for another host


@dataclass(frozen=True, slots=True)
class Run:
    """``destination`` None: it is stopped where it is."""

    guest: Guest
    destination: str | None
    duration_s: float


@dataclass(slots=True)
class _State:
    budgets: Budgets
    leaving: Counter[str] = field(default_factory=Counter)
    coming: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    under_way: int = 0

    def full(self, source: str) -> bool:
        return _reached(self.budgets.fleet, self.under_way) or _reached(self.budgets.per_source, self.leaving[source])

    def admits(self, run: Run) -> bool:
        group = run.guest.group
        return not (
            (run.destination and _reached(self.budgets.per_destination, self.coming[run.destination]))
            or (group is not None and self.groups[group.uuid])
        )

    def count(self, run: Run, by: int) -> None:
        self.under_way += by
        self.leaving[run.guest.source] += by
        if run.destination is not None:
            self.coming[run.destination] += by
        if run.guest.group is not None:
            self.groups[run.guest.group.uuid] += by


def timetable(runs: Sequence[Run], budgets: Budgets) -> Mapping[str, tuple[float, float]]:
    """Instance -> (begin, end) in seconds."""
    queues: dict[str, deque[Run]] = {}
    for run in sorted(runs, key=lambda r: (-r.guest.priority, r.duration_s, r.guest.uuid)):
        queues.setdefault(run.guest.source, deque()).append(run)
    state, now = _State(budgets), 0.0
    ends: list[tuple[float, int, Run]] = []
    times: dict[str, tuple[float, float]] = {}
    while queues or ends:
        for run in _begun(queues, state):
            times[run.guest.uuid] = now, now + run.duration_s
            heapq.heappush(ends, (now + run.duration_s, len(times), run))
        now, _, ended = heapq.heappop(ends)
        state.count(ended, -1)
    return times


def _begun(queues: dict[str, deque[Run]], state: _State) -> list[Run]:
    """Those that begin now, taken out of their queues; of every source in turn."""
    begun: list[Run] = []
    for source in list(queues):
        if _reached(state.budgets.fleet, state.under_way):
            break
        queue = queues[source]
        begun += _of_source(queue, source, state)
        if not queue:
            del queues[source]
    return begun


def _of_source(queue: deque[Run], source: str, state: _State) -> list[Run]:
    begun: list[Run] = []
    passed: list[Run] = []
    while queue and len(passed) < _AHEAD and not state.full(source):
        run = queue.popleft()
        if state.admits(run):
            state.count(run, 1)
            begun.append(run)
        else:
            passed.append(run)
    queue.extendleft(reversed(passed))
    return begun


def _reached(limit: int, number: int) -> bool:
    return bool(limit) and number >= limit
