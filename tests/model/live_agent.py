"""The agent in the live world: the rules of ``compute/handlers/live.py`` and ``compute/agent/worker.py`` in a few lines
each.
"""

from migrator.operations import Kind
from migrator.protocol import Ensure
from tests.model.live_state import HALF, LINE, WHOLE, State, on
from tests.model.live_transfer import job_fails
from tests.model.search import Violation
from tests.model.server import Order, VisitedState


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
        fact = VisitedState(order.number, order.epoch, order.phase, None, problem="transient")
        return _put(state, i, fact)
    attempt = None
    if order.source and order.ensure in (
        Ensure.OBSERVED,
        Ensure.MIGRATING,
        Ensure.NOT_MIGRATING,
        Ensure.ABSENT,
    ):
        state, attempt = _attempt(state, i, order, job)
    fact = VisitedState(
        order.number,
        order.epoch,
        order.phase,
        host.dom,
        host.reason,
        job,
        attempt,
        bool(host.disk) and (order.ensure is not Ensure.ABSENT or order.deletes),
        not checks_fail,
        "final" if problem and not checks_fail else None,
        _arrived(state, i, order),
    )
    return _put(state, i, fact)


def _arrived(state: State, i: int, order: Order) -> bool:
    host = state.hosts[i]
    bears = (host.stamp or (0, 0))[0] == order.number
    return order.kind is Kind.LIVE_MIGRATION and not order.source and host.kept and bears


def _put(state: State, i: int, fact: VisitedState) -> State:
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
    if (host.dom != "running" and not (order.paused and host.user_paused)) or state.job is not None:
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
    if _arrived(state, i, order):
        return state, True
    if host.dom not in ("absent", "shut_off", "crashed"):
        left = (host.stamp or (0, 0))[0] == order.number and (
            (host.dom == "incoming" and not order.source)
            or (host.dom == "paused" and host.reason == "migration")
            or (order.paused and host.user_paused)
        )
        if not order.kill and not left:
            return state, False
    if state.home == i and order.kind not in (Kind.DELETE, Kind.BUILD):
        raise Violation(f"destroys the guest's only copy on {i}")
    if order.kind is Kind.LIVE_MIGRATION and order.source and state.record == i:
        raise Violation(f"cleans source {i} before the record has moved")
    if order.kill and state.job is not None and i in state.job[1:]:
        state = state._replace(job=None)
    state = on(state, i, dom="absent", reason=None, stamp=None, kept=False, unsynced=None)
    if refuse:
        return state, True
    if order.deletes:
        _may_delete(state, i, order)
        state = on(state, i, disk="")
    return (state._replace(home=None) if state.home == i else state), False


def _may_delete(state: State, i: int, order: Order) -> None:
    """Of the copies that are whole, one stays: the guest's own, or the best that is left of it."""
    left = [other.disk for j, other in enumerate(state.hosts) if j != i]
    if order.kind is Kind.LIVE_MIGRATION and state.hosts[i].disk == WHOLE and WHOLE not in left:
        raise Violation(f"deletes on {i} the only disk that is whole")


def _running(state: State, i: int, order: Order, refuse: bool) -> tuple[State, bool]:
    host = state.hosts[i]
    if host.dom == "running":
        return state, False
    if refuse or host.dom not in ("absent", "shut_off", "crashed"):
        return state, True
    if order.kind is Kind.BUILD and order.forward:
        state = on(state, i, disk=WHOLE)
    if not state.hosts[i].disk:
        return state, True
    state = on(state, i, dom="running", reason=None, stamp=(order.number, order.epoch))
    return state._replace(home=i), False


def _shut_off(state: State, i: int, _order: Order, _refuse: bool) -> tuple[State, bool]:
    dom = state.hosts[i].dom
    if dom == "absent":
        return state, True
    return (state if dom in ("shut_off", "incoming") else on(state, i, dom="shut_off", reason="shutdown")), False


def _disk(state: State, i: int, order: Order, refuse: bool) -> tuple[State, bool]:
    """Made for what is copied hither; a build's is whole at once."""
    made = HALF if order.kind is Kind.LIVE_MIGRATION else WHOLE
    return (state, True) if refuse else (on(state, i, disk=state.hosts[i].disk or made), False)


HANDLERS = {
    Ensure.MIGRATING: _migrating,
    Ensure.NOT_MIGRATING: _not_migrating,
    Ensure.ABSENT: _absent,
    Ensure.RUNNING: _running,
    Ensure.SHUT_OFF: _shut_off,
    Ensure.PREPARED: _disk,
    Ensure.DISKS_PRESENT: _disk,
}
