"""The agent in the cold world: the rules of ``compute/handlers/cold.py``, ``power.py`` and ``absent`` in a few
lines each, with the hypervisor's: one process a disk, by the image's lock.

A handler answers with the state after it, and with what it adds to the fact.
"""

from collections.abc import Callable, Mapping
from typing import Any

from migrator.protocol import MEMORY, Ensure
from tests.model.cold_state import PARTIAL, REBUILT, State, Store, observed, on, put, store, stores
from tests.model.search import Violation
from tests.model.server import COLD, Order, VisitedState

Answer = tuple[State, Mapping[str, Any]]
NOTHING: Mapping[str, Any] = {}
REFUSED: Mapping[str, Any] = {"problem": "final"}
CLEARS = (Ensure.ABSENT, Ensure.SET_ASIDE)
OUT_OF_REACH: Mapping[str, Any] = {"problem": "transient"}


def polled(state: State, i: int, order: Order | None) -> State:
    host = state.hosts[i]
    if order is None:  # the worker forgets the operation; an answer to an older poll is thrown away
        return on(state, i, held=None, late=None, seen_generation=0, copying=None)
    return on(state, i, held=order, late=host.held)


def crashed(state: State, i: int) -> State:
    """The agent's process. The copy that it makes ends with it; half-made files have no name yet."""
    return on(state, i, held=None, late=None, seen_generation=0, copying=None, fact=None)


def torn(state: State, i: int) -> State | None:
    """The file that comes next arrives otherwise than it was sent. None: none is on its way."""
    after = acted(state, i)
    own = after.hosts[i].store
    came = {name: PARTIAL for name in Store._fields if getattr(own, name) != getattr(state.hosts[i].store, name)}
    return put(after, i, **came) if came else None


def acted(state: State, i: int, refuse: bool = False) -> State:
    """Admit, act, look: one fact. ``refuse``: the hypervisor does not do it."""
    order = state.hosts[i].held
    assert order is not None
    if order.epoch < state.hosts[i].epoch or order.generation < state.hosts[i].seen_generation:
        return on(state, i, held=None)  # stale: ignored
    state = on(state, i, epoch=order.epoch, seen_generation=order.generation)
    if not state.hosts[i].libvirtd:
        return on(state, i, fact=VisitedState(order.number, order.epoch, order.phase, None, problem="transient"))
    state, adds = HANDLERS[order.ensure](state, i, order, refuse)
    disk = store(state, i).disk is not None and (order.ensure not in CLEARS or _empties(state, order))
    fact = VisitedState(order.number, order.epoch, order.phase, observed(state, i), disk=disk)
    return on(state, i, fact=fact._replace(**adds))


def _empties(state: State, order: Order) -> bool:
    return order.deletes and not (state.op.shared and order.spares)


# --- handlers -------------------------------------------------------------------------------------------------------


def _observed(state: State, _i: int, _order: Order, _refuse: bool) -> Answer:
    return state, NOTHING


def _described(state: State, i: int, _order: Order, refuse: bool) -> Answer:
    return state, {"checks": state.hosts[i].dom != "absent" and not refuse}


def _compatible(state: State, i: int, _order: Order, refuse: bool) -> Answer:
    return state, {"checks": state.hosts[i].dom != "running" and not refuse}


def _shut_off(state: State, i: int, _order: Order, refuse: bool) -> Answer:
    """``refuse``: the guest does not hear yet."""
    if state.hosts[i].dom == "absent":
        return state, REFUSED
    return (state if refuse else _stopped(state, i)), NOTHING


def _stopped(state: State, i: int) -> State:
    return on(state, i, dom="shut_off") if state.hosts[i].dom == "running" else state


def _not_running(state: State, i: int, _order: Order, refuse: bool) -> Answer:
    return (state if refuse else _stopped(on(state, i, copying=None), i)), NOTHING


def _suspended(state: State, i: int, order: Order, refuse: bool) -> Answer:
    dom = observed(state, i)
    if dom == "running":
        return (state, REFUSED) if refuse else (put(_stopped(state, i), i, memory=store(state, i).disk), NOTHING)
    return state, (REFUSED if dom != "saved" and order.forward else NOTHING)


def _offered(state: State, i: int, order: Order, refuse: bool) -> Answer:
    if state.hosts[i].dom == "running" or refuse:
        return state, REFUSED
    if not order.copies:
        return state, NOTHING
    sums = _sums(state, i, order)
    return (on(state, i, offered=True), {"sums": sums}) if sums else (state, REFUSED)


def _sums(state: State, i: int, order: Order) -> tuple[tuple[str, int], ...]:
    """Of all that is to be copied, or of nothing."""
    own = store(state, i)
    found = {"vda": own.disk, MEMORY: own.memory}
    known = [(target, content) for target in order.copies if (content := found[target]) is not None]
    return tuple(known) if len(known) == len(order.copies) else ()


def _disks_whole(state: State, i: int, order: Order, _refuse: bool) -> Answer:
    if not order.copies or store(state, i).disk is None:
        return state, NOTHING
    sums = _sums(state, i, order)
    if state.hosts[i].dom == "running" or not sums:
        return state, REFUSED
    return state, {"sums": sums}


def _withdrawn(state: State, i: int, _order: Order, refuse: bool) -> Answer:
    return (state, REFUSED) if refuse else (on(state, i, offered=False), NOTHING)


def _copied(state: State, i: int, order: Order, refuse: bool) -> Answer:
    """What is missing is fetched, one file an attempt; what is there is summed. ``refuse``: the disk is full."""
    if state.hosts[i].dom == "running" or refuse:
        return on(state, i, copying=None), REFUSED
    if not order.copies or (sums := _sums(state, i, order)):
        return state, {"sums": sums if order.copies else ()}
    source = state.op.source
    assert source is not None
    there = state.hosts[source]
    if not (there.offered and there.power and there.libvirtd):
        return on(state, i, copying=None), OUT_OF_REACH
    copying = state.hosts[i].copying
    if copying is None or copying[0] != order.epoch:
        return on(state, i, copying=(order.epoch, there.store)), NOTHING
    torn = copying[1] != there.store or there.dom == "running"
    own = state.hosts[i].store
    missing = "disk" if own.disk is None and "vda" in order.copies else "memory"
    return put(state, i, **{missing: PARTIAL if torn else getattr(there.store, missing)}), NOTHING


def _rebuilt(state: State, i: int, order: Order, refuse: bool) -> Answer:
    own = store(state, i)
    if state.hosts[i].dom == "running" or refuse or (order.finds and own.disk is None):
        return state, REFUSED
    return (state if own.disk is not None else put(state, i, disk=REBUILT)), NOTHING


def _powered(state: State, i: int, order: Order, refuse: bool) -> Answer:
    host, own = state.hosts[i], store(state, i)
    if host.dom == "running":
        return (put(state, i, memory=None), NOTHING) if order.power == "running" else (state, REFUSED)
    if own.disk is None:
        return state, REFUSED
    if own.disk == PARTIAL:
        raise Violation(f"a torn disk is put to use on host {i}")
    state = on(state, i, dom="shut_off", flavor=order.flavor)
    if order.power != "running":
        return state, NOTHING
    locked = state.op.shared and any(other.dom == "running" for other in state.hosts)
    return (state, REFUSED) if locked or refuse else (_started(state, i, order), NOTHING)


def _started(state: State, i: int, order: Order) -> State:
    own, source = store(state, i), state.op.source
    if own.memory is not None and own.memory != own.disk:
        raise Violation(f"a memory is resumed on host {i} with another disk than its own")
    moved = order.kind in COLD and order.forward and source is not None and source != i
    if moved and source is not None and (store(state, source).disk or 0) > (own.disk or 0):
        raise Violation(f"the copy on host {i} is started although its source ran since")
    return started(state, i)


def started(state: State, i: int) -> State:
    """The guest runs, and writes. A saved memory is used up by that."""
    disk = store(state, i).disk
    content = disk if disk == REBUILT else 1 + max(s.disk or 0 for s in stores(state))
    return on(put(state, i, disk=content, memory=None), i, dom="running")


def _absent(state: State, i: int, order: Order, refuse: bool) -> Answer:
    """``refuse``: the domain goes and the files do not, yet."""
    state = on(state, i, copying=None, offered=False)
    if state.hosts[i].dom == "running" and not order.kill:
        return state, NOTHING
    state = on(state, i, dom="absent", flavor="")
    if refuse or not _empties(state, order):
        return state, NOTHING
    if store(state, i).disk is not None:
        _may_delete(state, i)
    return put(state, i, disk=None, memory=None), NOTHING


def _set_aside(state: State, i: int, order: Order, refuse: bool) -> Answer:
    """As ``_absent``; what the disk holds is there still, under another name."""
    own = store(state, i).disk
    if state.hosts[i].dom == "running" and not order.kill:
        return on(state, i, copying=None, offered=False), NOTHING
    state = on(state, i, copying=None, offered=False, dom="absent", flavor="")
    if refuse or not _empties(state, order) or own is None:
        return state, NOTHING
    return put(state, i, disk=None, memory=None, aside=own), NOTHING


def _may_delete(state: State, i: int) -> None:
    """Rule 2: what is deleted lives elsewhere, and after a move its user has confirmed it."""
    op, content = state.op, store(state, i).disk
    if op.shared:
        raise Violation(f"host {i} deletes the shared disk")
    if not op.forward:
        home = op.source
    else:
        home = op.destination
        if op.kind in COLD and not op.confirm:
            raise Violation(f"host {i} deletes its disk, and nobody has confirmed")
        if state.record.host != home:
            raise Violation(f"host {i} deletes its disk before the record has moved")
    if home is None or home == i:
        raise Violation(f"host {i} deletes the only disk")
    left = store(state, home).disk
    older = op.forward and (left or 0) < (content or 0)  # also of one that was made anew: no client gave its data up
    if left is None or left == PARTIAL or older:
        raise Violation(f"host {i} deletes its disk ({content}), and host {home} has {left}")


HANDLERS: Mapping[Ensure, Callable[[State, int, Order, bool], Answer]] = {
    Ensure.OBSERVED: _observed,
    Ensure.DESCRIBED: _described,
    Ensure.COMPATIBLE: _compatible,
    Ensure.SHUT_OFF: _shut_off,
    Ensure.NOT_RUNNING: _not_running,
    Ensure.SUSPENDED: _suspended,
    Ensure.OFFERED: _offered,
    Ensure.DISKS_WHOLE: _disks_whole,
    Ensure.WITHDRAWN: _withdrawn,
    Ensure.COPIED: _copied,
    Ensure.REBUILT: _rebuilt,
    Ensure.POWERED: _powered,
    Ensure.ABSENT: _absent,
    Ensure.SET_ASIDE: _set_aside,
}
