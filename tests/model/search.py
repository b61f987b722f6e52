"""Breadth first over every state of a world, the safety rules at each, and from each the calm runs that must end.

Knows no host and no instance: what may happen, what must hold and what comes to rest is the world's to say. A world's
states are hashable. ``explore`` raises ``Found`` with the shortest trail that leads to a broken rule.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

ROUNDS = 60  # far more than any operation takes
S = TypeVar("S", bound=Hashable)


class Violation(Exception):
    """A safety rule was broken; the message says which."""


class Found(Exception):
    def __init__(self, rule: str, trail: list[str], state: object) -> None:
        super().__init__(rule + "\n  " + "\n  ".join(trail) + f"\n{state}")
        self.rule = rule


@dataclass(frozen=True)
class Calm(Generic[S]):
    """No more faults: ``round`` lets every process do what there is to do, ``rest`` looks at where that ends."""

    name: str
    round: Callable[[S], S]
    rest: Callable[[S], None]
    differs: Callable[[S], bool] = lambda _state: True  # elsewhere it is as the others are


class Searched(Protocol[S]):
    """``check`` and ``Calm.rest`` raise Violation. ``steps``: what can happen next, by name."""

    @property
    def start(self) -> S: ...

    def steps(self, state: S) -> Iterable[tuple[str, S]]: ...

    def check(self, state: S) -> None: ...

    def canonical(self, state: S) -> S:
        """The same state for all that differ in nothing that matters."""
        ...

    def renewed(self, state: S) -> S:
        """``state`` with all faults still to come."""
        ...

    def calms(self) -> Sequence[Calm[S]]:
        """Every way in which it can become calm. Where the first one passes by, the search begins."""
        ...


def explore(world: Searched[S], limit: int) -> int:
    """The number of states looked at: all there are, or the first ``limit``. Raises Found."""
    came_from: dict[S, tuple[S | None, str]] = {}
    calms = world.calms()
    try:
        seeds = milestones(world, calms[0])
    except Violation as broken:
        raise Found(str(broken), ["a calm run"], world.start) from None
    for number, seed in enumerate(seeds):
        came_from.setdefault(seed, (None, f"round {number} of a calm run"))
    queue = deque(came_from)
    good: list[set[S]] = [set() for _ in calms]
    while queue:
        state = queue.popleft()
        name = ""
        try:
            world.check(state)
            for calm, known_good in zip(calms, good, strict=True):
                name = calm.name
                if calm.differs(state):
                    _ends(world, calm, state, known_good)
            for name, after in world.steps(state):
                known = world.canonical(after)
                if known not in came_from and len(came_from) < limit:
                    came_from[known] = (state, name)
                    queue.append(known)
        except Violation as broken:
            raise Found(str(broken), [*_trail(came_from, state), name], state) from None
    return len(came_from)


def milestones(world: Searched[S], calm: Calm[S]) -> list[S]:
    """Where a run without faults passes by, so that a bounded search begins everywhere and not at the start only."""
    found = [world.canonical(world.start)]
    for _ in range(ROUNDS):
        after = world.renewed(world.canonical(calm.round(found[-1])))
        if after == found[-1]:
            break
        found.append(after)
    return found


def _trail(came_from: dict[S, tuple[S | None, str]], state: S) -> list[str]:
    names: list[str] = []
    at: S | None = state
    while at is not None:
        at, name = came_from[at]
        names.append(name)
    return names[::-1]


def _ends(world: Searched[S], calm: Calm[S], state: S, good: set[S]) -> None:
    """It comes to rest, and in order."""
    passed: list[S] = []
    for _ in range(ROUNDS):
        if state in good:
            break
        passed.append(state)
        after = world.canonical(calm.round(state))
        if after == state:
            calm.rest(state)
            break
        state = after
    else:
        raise Violation(f"{calm.name} never comes to rest")
    good.update(passed)
