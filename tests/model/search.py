"""Breadth first over every state of a world, the safety rules at each, and from each a calm run that must end.

``explore`` raises ``Found`` with the shortest trail that leads to a broken rule.
"""

from collections import deque

from migrator.operations import Kind
from migrator.scheduler.verdict import Verdict
from tests.model import server
from tests.model import world as w
from tests.model.world import State, Violation, World

ROUNDS = 60  # far more than any operation takes


class Found(Exception):
    def __init__(self, rule: str, trail: list[str], state: State) -> None:
        super().__init__(rule + "\n  " + "\n  ".join(trail) + f"\n{state}")
        self.rule = rule


def canonical(state: State) -> State:
    """Only the order of generations matters, never their size."""
    used = {0, state.op.generation}
    for host in state.hosts:
        used |= {host.seen_generation}
        used |= {o.generation for o in (host.held, host.late, host.half[0] if host.half else None) if o}
    rank = {g: i for i, g in enumerate(sorted(used))}
    if all(g == r for g, r in rank.items()):
        return state
    hosts = tuple(
        host._replace(
            seen_generation=rank[host.seen_generation],
            held=host.held and host.held._replace(generation=rank[host.held.generation]),
            late=host.late and host.late._replace(generation=rank[host.late.generation]),
            half=host.half and (host.half[0]._replace(generation=rank[host.half[0].generation]), *host.half[1:]),
        )
        for host in state.hosts
    )
    return state._replace(op=state.op._replace(generation=rank[state.op.generation]), hosts=hosts)


def explore(world: World, limit: int, *, calm: bool = True) -> int:
    """The number of states looked at: all there are, or the first ``limit``. Raises Found."""
    came_from: dict[State, tuple[State | None, str]] = {}
    try:
        seeds = _milestones(world)
    except Violation as broken:
        raise Found(str(broken), ["a calm run"], world.start) from None
    for number, seed in enumerate(seeds):
        came_from.setdefault(seed, (None, f"round {number} of a calm run"))
    queue = deque(came_from)
    good: set[State] = set()
    while queue:
        state = queue.popleft()
        name = ""
        try:
            w.check(state)
            if calm:
                name = "calm"
                _ends(world, state, good)
            for name, after in w.steps(world, state):
                known = canonical(after)
                if known not in came_from and len(came_from) < limit:
                    came_from[known] = (state, name)
                    queue.append(known)
        except Violation as broken:
            raise Found(str(broken), [*_trail(came_from, state), name], state) from None
    return len(came_from)


def _milestones(world: World) -> list[State]:
    """Where a run without faults passes by, so that a bounded search begins everywhere and not at the start only."""
    found = [canonical(world.start)]
    for _ in range(ROUNDS):
        after = _calm_round(world, found[-1])._replace(faults=world.start.faults)
        if after == found[-1]:
            break
        found.append(after)
    return found


def _trail(came_from: dict[State, tuple[State | None, str]], state: State) -> list[str]:
    names: list[str] = []
    at: State | None = state
    while at is not None:
        at, name = came_from[at]
        names.append(name)
    return names[::-1]


def _ends(world: World, state: State, good: set[State]) -> None:
    """No more faults, every host speaks: the operation ends and leaves the cluster in order."""
    passed: list[State] = []
    for _ in range(ROUNDS):
        state = canonical(state)
        if state in good:
            break
        passed.append(state)
        after = _calm_round(world, state)
        if after == state:
            _at_rest(state)
            break
        state = after
    else:
        raise Violation("a calm run never comes to rest")
    good.update(passed)


def _calm_round(world: World, state: State) -> State:
    state = state._replace(faults=0)
    for i in range(len(state.hosts)):
        state = w.on(state, i, silent=False, libvirtd=True, late=None)
    state = _reconciled(state)
    for i in range(len(state.hosts)):
        order = server.order_for(state.op, i)
        if order != state.hosts[i].held:
            state = w.polled(state, i, order)
        if state.hosts[i].half is not None:
            state = w.looked(state, i)
        elif state.hosts[i].held is not None:
            state = w.looked(w.acted(state, i), i) if _admitted(w.acted(state, i), i) else w.acted(state, i)
        while state.hosts[i].line:
            state = w.delivered(state, i, 0)
    state = next((after for _, after in w.job_steps(world, state)), state)
    w.check(state)
    return canonical(_reconciled(state))


def _admitted(state: State, i: int) -> bool:
    return state.hosts[i].half is not None


def _reconciled(state: State) -> State:
    for _ in range(100):
        after = w.reconcile(state)
        if after is None:
            return state
        state = after
    raise Violation("decide never comes to rest")


def _at_rest(state: State) -> None:
    op = state.op
    if op.active:
        alarms = (Verdict.LOST.value.upper(), Verdict.SPLIT.value.upper())
        raise Violation(
            f"{op.kind} rests in {op.phase} ({'forward' if op.forward else 'backward'}), waiting for {op.waiting!r}"
            + (" (an alarm)" if (op.waiting or "").startswith(alarms) else "")
        )
    if state.home != state.record:
        raise Violation(f"the guest lives on {state.home}, the record says {state.record}")
    if state.record is not None and op.kind is not Kind.DELETE and state.hosts[state.record].dom == "absent":
        raise Violation("the record names a host without the guest")
    left = [i for i, h in enumerate(state.hosts) if i != state.record and (h.dom != "absent" or h.disk)]
    if left:
        raise Violation(f"left behind on {left}")
