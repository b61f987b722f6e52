"""An abstract cluster: ground truth, agents and one operation, as one hashable value and the steps it can take.

Owns what may happen and when: the rules of ``compute/ensure.py`` and ``compute/worker.py`` in a few lines each, and a
pair of hypervisors reduced to a domain, a disk and a job. The decisions are the real ones: ``decide`` and
``assignments`` are called, never imitated. No SQL, no time: a delay is a step that has not been taken yet.

Facts travel on an ordered line a host. The server keeps only newer ones, so taking the n-th loses those before it:
that is loss, reordering and duplication at once.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from migrator.operations import OPERATIONS, Effect, Kind
from migrator.protocol import Ensure
from tests.model import server
from tests.model.server import Op, Order, Seen

LINE = 1  # facts under way from one host


class Violation(Exception):
    """A safety rule was broken; the message says which."""


class Host(NamedTuple):
    """Ground truth and agent of one host. ``begun`` and ``epochs`` are the journal: they survive a crash."""

    dom: str = "absent"
    reason: str | None = None
    stamp: tuple[int, int] | None = None  # operation, epoch
    disk: bool = False
    libvirtd: bool = True
    silent: bool = False
    held: Order | None = None
    late: Order | None = None  # an older answer that may still arrive
    seen_operation: int = 0
    seen_generation: int = 0
    begun: frozenset[tuple[int, int]] = frozenset()
    epochs: tuple[tuple[int, int], ...] = ()  # operation -> highest epoch
    started: int | None = None  # epoch whose transfer this process called
    quiet: bool = False
    half: tuple[Order, bool, bool | None, bool] | None = None  # acted, and looked at the job only
    line: tuple[Seen, ...] = ()


class State(NamedTuple):
    op: Op
    hosts: tuple[Host, ...]
    facts: tuple[Seen | None, ...]  # what the server keeps, by host
    job: tuple[str, int, int] | None  # stage, source, destination
    home: int | None  # where the guest's only complete data is
    record: int | None  # what the database says
    claims: frozenset[int]
    delete_requested: bool
    deleted: bool
    faults: int


class World(NamedTuple):
    """What a search may do. ``undefined``: a finished transfer leaves no domain behind on its source."""

    start: State
    undefined: bool = False
    may_cancel: bool = False
    may_delete: bool = False


Step = tuple[str, State]


def on(state: State, host: int, **changes: Any) -> State:
    hosts = list(state.hosts)
    hosts[host] = hosts[host]._replace(**changes)
    return state._replace(hosts=tuple(hosts))


def check(state: State) -> None:
    runners = [i for i, h in enumerate(state.hosts) if h.dom == "running"]
    if len(runners) > 1:
        raise Violation("two copies execute guest code")
    if runners and state.home is not None and runners != [state.home]:
        raise Violation("a copy runs where the guest does not live")
    if state.op.active and state.op.kind is Kind.LIVE_MIGRATION and 0 not in state.claims:
        if OPERATIONS[state.op.kind].reversible(state.op.phase):
            raise Violation("the source's claim is gone before the operation released it")
        if state.record == 0:
            raise Violation("the source's claim is gone while the record names it")
    if not state.op.active and state.claims != (frozenset() if state.record is None else {state.record}):
        raise Violation(f"claims {sorted(state.claims)} do not balance with the record {state.record}")


# --- the server ---------------------------------------------------------------------------------------------------


def reconcile(state: State) -> State | None:
    """One plan of ``decide``, applied; None: it has nothing to do."""
    op = state.op
    if not op.active:
        return None
    ups = tuple(not h.silent for h in state.hosts)
    plan = server.plan_of(op, state.facts, ups)
    if plan.empty:
        return None
    state, placed = _effect(state, plan.effect, op)
    if placed == -1:
        plan = server.refused_plan(op, state.facts, ups)
    after = server.applied(op, plan, placed if placed is not None and placed >= 0 else None)
    if op.forward and not after.forward and after.epoch == op.epoch:
        raise Violation("turned round without raising the epoch")
    state = state._replace(op=after)
    if plan.end is not None and state.delete_requested and not state.deleted:
        state = state._replace(
            op=server.new(Kind.DELETE, op.number + 1, state.record), facts=(None,) * len(state.hosts)
        )
    return state


def _effect(state: State, effect: Effect | None, op: Op) -> tuple[State, int | None]:
    claims = state.claims
    if effect is Effect.CLAIM_DESTINATION:
        choice = server.place(op, [not h.silent for h in state.hosts])
        return (state, -1) if choice is None else (state._replace(claims=claims | {choice}), choice)
    if effect is Effect.RELEASE_DESTINATION and op.destination is not None:
        return state._replace(claims=claims - {op.destination}), None
    if effect is Effect.RELEASE_SOURCE and op.source is not None:
        return state._replace(claims=claims - {op.source}), None
    if effect in (Effect.MOVE_RECORD, Effect.RECORD_BUILT):
        if state.home != op.destination:
            raise Violation("the record moves to a host where the guest does not live")
        return state._replace(record=op.destination), None
    if effect is Effect.RECORD_DELETED:
        return state._replace(deleted=True, record=None), None
    return state, None


def steps(world: World, state: State) -> Iterator[Step]:
    op = state.op
    if world.may_cancel and op.active and not op.cancel and OPERATIONS[op.kind].reversible(op.phase):
        yield "cancel", state._replace(op=op._replace(cancel=True, generation=op.generation + 1))
    if world.may_delete and op.active and not state.delete_requested and op.kind is not Kind.DELETE:
        yield "delete", state._replace(op=op._replace(cancel=True, generation=op.generation + 1), delete_requested=True)
    after = reconcile(state)
    if after is not None:  # a slow server is a late fact; what can come between two of its steps is tried here
        yield "reconcile", after
        if state.faults > 0:
            for i in range(len(state.hosts)):
                yield f"silent {i}", on(state, i, silent=True)._replace(faults=state.faults - 1)
        return
    for i in range(len(state.hosts)):
        yield from _host_steps(state, i)
    yield from job_steps(world, state)


def _host_steps(state: State, i: int) -> Iterator[Step]:
    host = state.hosts[i]
    if not host.silent:
        order = server.order_for(state.op, i)
        if order != host.held:
            yield f"poll {i}", polled(state, i, order)
        for n in range(len(host.line)):
            yield f"fact {n} of {i}", delivered(state, i, n)
    if host.half is not None:
        yield f"look {i}", looked(state, i)
    elif host.held is not None:
        yield f"act {i}", acted(state, i)
    if state.faults > 0:
        yield from _host_faults(state._replace(faults=state.faults - 1), i)
    elif host.silent:
        yield f"back {i}", on(state, i, silent=False)
    if not host.libvirtd:
        yield f"libvirtd back {i}", on(state, i, libvirtd=True)


def _host_faults(state: State, i: int) -> Iterator[Step]:
    host = state.hosts[i]
    if host.silent:
        yield f"back {i}", on(state, i, silent=False)._replace(faults=state.faults + 1)
    else:
        yield f"silent {i}", on(state, i, silent=True)
    yield f"crash {i}", crashed(state, i)
    # An agent has one poll under way at a time, so answers about two operations never change places.
    if host.late is not None and host.half is None and host.late.number == state.op.number:
        yield f"late {i}", on(state, i, held=host.late)
    if host.held is not None and host.half is None:
        if host.held.ensure in (Ensure.COMPATIBLE, Ensure.PREPARED, Ensure.DISKS_PRESENT, Ensure.RUNNING):
            yield f"act {i}, refused", acted(state, i, refuse=True)
        if host.held.ensure is Ensure.MIGRATING:
            yield f"act {i}, start fails", acted(state, i, refuse=True)
            yield f"crash {i} after the journal", crashed(acted(state, i, refuse=True), i)
        if host.held.ensure is Ensure.ABSENT:
            yield f"crash {i} before the files", crashed(acted(state, i, refuse=True), i)
    if host.libvirtd:
        yield f"libvirtd dies {i}", libvirtd_dies(state, i)


def polled(state: State, i: int, order: Order | None) -> State:
    host = state.hosts[i]
    if order is None:  # the worker forgets the operation
        return on(state, i, held=None, late=host.held, seen_generation=0, started=None, quiet=False, half=None)
    return on(state, i, held=order, late=host.held, half=None)


def delivered(state: State, i: int, n: int) -> State:
    host, fact = state.hosts[i], state.hosts[i].line[n]
    state = on(state, i, line=host.line[n + 1 :])
    if fact.number != state.op.number or i not in (state.op.source, state.op.destination):
        return state
    facts = list(state.facts)
    facts[i] = fact
    return state._replace(facts=tuple(facts))


def crashed(state: State, i: int) -> State:
    return on(
        state,
        i,
        held=None,
        late=None,
        seen_generation=0,
        started=None,
        quiet=False,
        seen_operation=0,
        half=None,
        line=(),
    )


def libvirtd_dies(state: State, i: int) -> State:
    """The guest lives on; a transfer that it took part in does not."""
    state = on(state, i, libvirtd=False)
    if state.hosts[i].dom == "shut_off":  # why a domain stopped is not remembered across a restart
        state = on(state, i, reason="unknown")
    if state.job is None or i not in state.job[1:]:
        return state
    stage, source, destination = state.job
    state = state._replace(job=None)
    for h in (source, destination):  # each agent's call came back broken
        state = on(state, h, started=None, quiet=False)
    if stage == "copy":
        return on(on(state, source, dom="running", reason=None), destination, dom="absent", stamp=None)
    if stage == "switch":  # the source waits for a word that never comes
        return on(on(state, source, dom="paused", reason="migration"), destination, dom="absent", stamp=None)
    return on(state, source, dom="paused", reason="migration")  # the destination runs already


# --- the transfer -------------------------------------------------------------------------------------------------


def job_steps(world: World, state: State) -> Iterator[Step]:
    if state.job is None:
        return
    stage, source, destination = state.job
    yield from _job_forward(world, state, stage, source, destination)
    if state.faults > 0 and stage in ("copy", "switch"):
        yield "transfer fails", job_fails(state._replace(faults=state.faults - 1))


def _job_forward(world: World, state: State, stage: str, source: int, destination: int) -> Iterator[Step]:
    if stage == "copy":
        yield "switch over", on(state._replace(job=("switch", source, destination)), source, dom="paused", reason=None)
    elif stage == "switch":
        after = state._replace(job=("resumed", source, destination), home=destination)
        yield "resume there", on(after, destination, dom="running")
    else:
        after = state._replace(job=None)
        if world.undefined:
            yield "confirm", on(after, source, dom="absent", stamp=None, reason=None)
        else:
            yield "confirm", on(after, source, dom="shut_off", reason="migrated")


def job_fails(state: State) -> State:
    assert state.job is not None
    _, source, destination = state.job
    state = on(state._replace(job=None), source, dom="running", reason=None)
    return on(state, destination, dom="absent", stamp=None)


# --- the agent ----------------------------------------------------------------------------------------------------


def acted(state: State, i: int, refuse: bool = False) -> State:
    """Admit, act, and look at the job: ``looked`` sees the domain, possibly a moment later."""
    host = state.hosts[i]
    order = host.held
    assert order is not None
    epochs = dict(host.epochs)
    if order.number != host.seen_operation:  # each operation has a memory of its own
        host = host._replace(seen_operation=order.number, seen_generation=0, started=None, quiet=False)
        state = on(state, i, **host._asdict())
    if order.epoch < epochs.get(order.number, 0) or order.generation < host.seen_generation:
        return on(state, i, held=None)  # stale: ignored
    epochs[order.number] = order.epoch
    state = on(state, i, epochs=tuple(sorted(epochs.items())), seen_generation=order.generation)
    if not host.libvirtd:
        state = on(state, i, started=None, quiet=False)
        return on(state, i, half=(order, False, None, refuse))
    handler = HANDLERS.get(order.ensure)
    problem = False
    if handler is not None:
        state, problem = handler(state, i, order, refuse)
    job = state.job is not None and state.job[1] == i
    checks_fail = refuse and order.ensure is Ensure.COMPATIBLE
    return on(state, i, half=(order, problem or checks_fail, job, checks_fail))


def looked(state: State, i: int) -> State:
    host = state.hosts[i]
    assert host.half is not None
    order, problem, job, checks_fail = host.half
    state = on(state, i, half=None)
    if not host.libvirtd or job is None:
        fact = Seen(order.number, order.epoch, order.phase, None, problem="transient")
        return _put(state, i, fact)
    attempt = None
    if order.source and order.ensure in (
        Ensure.OBSERVED,
        Ensure.MIGRATING,
        Ensure.NOT_MIGRATING,
        Ensure.ABSENT,
    ):
        state, attempt = _attempt(state, i, order, job)
    fact = Seen(
        order.number,
        order.epoch,
        order.phase,
        host.dom,
        host.reason,
        job,
        attempt,
        host.disk if order.ensure is not Ensure.ABSENT or order.deletes else False,
        not checks_fail,
        "final" if problem and not checks_fail else None,
    )
    return _put(state, i, fact)


def _put(state: State, i: int, fact: Seen) -> State:
    line = state.hosts[i].line
    if line and line[-1] == fact:
        return state
    return on(state, i, line=(*line, fact)[-LINE:])


def _attempt(state: State, i: int, order: Order, job: bool) -> tuple[State, str]:
    host = state.hosts[i]
    if job:
        return on(state, i, quiet=False), "running"
    if order.ensure is Ensure.MIGRATING:
        begun = (order.number, order.epoch) in host.begun
    else:
        begun = any(n == order.number for n, _ in host.begun) or (host.stamp or (0, 0))[0] == order.number
    if not begun:
        return state, "none"
    if host.dom == "absent" or host.reason == "migrated" or host.started is not None or host.quiet:
        return state, "ended"
    return on(state, i, quiet=True), "running"


def _migrating(state: State, i: int, order: Order, refuse: bool) -> tuple[State, bool]:
    host, key = state.hosts[i], (order.number, order.epoch)
    if key in host.begun or host.stamp == key:
        return on(state, i, begun=host.begun | {key}), False
    if host.dom != "running" or state.job is not None:
        return state, True
    state = on(state, i, begun=host.begun | {key}, started=None, quiet=False)
    if refuse:
        return state, True
    destination = order.destination
    assert destination is not None
    target = state.hosts[destination]
    state = on(state, i, stamp=key)
    if not target.libvirtd or target.dom != "absent" or not target.disk:
        return state, True
    state = on(state, i, started=order.epoch)
    state = on(state, destination, dom="incoming", stamp=key)
    return state._replace(job=("copy", i, destination)), False


def _not_migrating(state: State, i: int, order: Order, _refuse: bool) -> tuple[State, bool]:
    """An abort during the switch-over comes too late, as libvirt's does."""
    host = state.hosts[i]
    begun = any(n == order.number for n, _ in host.begun) or (host.stamp or (0, 0))[0] == order.number
    if state.job is not None and state.job[:2] == ("copy", i) and begun:
        return job_fails(state), False
    return state, False


def _absent(state: State, i: int, order: Order, refuse: bool) -> tuple[State, bool]:
    host = state.hosts[i]
    if not order.kill and state.job is not None and i in state.job[1:]:
        return state, False
    if host.dom not in ("absent", "shut_off", "crashed"):
        left = (host.stamp or (0, 0))[0] == order.number and (
            (host.dom == "incoming" and not order.source) or (host.dom == "paused" and host.reason == "migration")
        )
        if not order.kill and not left:
            return state, False
    if state.home == i and order.kind not in (Kind.DELETE, Kind.BUILD):
        raise Violation(f"destroys the guest's only copy on {i}")
    if order.kind is Kind.LIVE_MIGRATION and order.source and state.record == i:
        raise Violation(f"cleans source {i} before the record has moved")
    if order.kill and state.job is not None and i in state.job[1:]:
        state = state._replace(job=None)
    state = on(state, i, dom="absent", reason=None, stamp=None)
    if refuse:
        return state, True
    state = on(state, i, disk=False if order.deletes else host.disk)
    return (state._replace(home=None) if state.home == i else state), False


def _running(state: State, i: int, order: Order, refuse: bool) -> tuple[State, bool]:
    host = state.hosts[i]
    if host.dom == "running":
        return state, False
    if refuse or host.dom not in ("absent", "shut_off", "crashed"):
        return state, True
    if order.kind is Kind.BUILD and order.forward:
        state = on(state, i, disk=True)
    if not state.hosts[i].disk:
        return state, True
    state = on(state, i, dom="running", reason=None, stamp=(order.number, order.epoch))
    return state._replace(home=i), False


def _shut_off(state: State, i: int, _order: Order, _refuse: bool) -> tuple[State, bool]:
    dom = state.hosts[i].dom
    if dom == "absent":
        return state, True
    return (state if dom in ("shut_off", "incoming") else on(state, i, dom="shut_off", reason="shutdown")), False


def _disk(state: State, i: int, _order: Order, refuse: bool) -> tuple[State, bool]:
    return (state, True) if refuse else (on(state, i, disk=True), False)


HANDLERS = {
    Ensure.MIGRATING: _migrating,
    Ensure.NOT_MIGRATING: _not_migrating,
    Ensure.ABSENT: _absent,
    Ensure.RUNNING: _running,
    Ensure.SHUT_OFF: _shut_off,
    Ensure.PREPARED: _disk,
    Ensure.DISKS_PRESENT: _disk,
}
