"""What can happen next in the cold world: the server, the agents, the operator, and what goes wrong."""

from collections.abc import Iterator

from migrator.protocol import Ensure
from tests.model.cold_agent import acted, crashed, polled, started, torn
from tests.model.cold_server import cancelled, confirmed, may_cancel, may_confirm, order, reconcile
from tests.model.cold_state import State, Step, on
from tests.model.server import COLD

# what a hypervisor may refuse, or not have done yet
_MAY_FAIL = frozenset(Ensure) - {Ensure.OBSERVED, Ensure.WITHDRAWN}


def steps(state: State, vouches: str) -> Iterator[Step]:
    """``vouches``: for which silent hosts an operator may vouch that they run nothing: "off" for those without power,
    "silent" for all, "-" for none; "lease" for those that have ended their guests themselves, until they are heard."""
    if may_confirm(state.op):
        yield "confirm", confirmed(state)
    if may_cancel(state.op):
        yield "cancel or revert", cancelled(state)
    after = reconcile(state)
    if after is not None:  # a slow server is a late fact; what can come between two of its steps is tried here
        yield "reconcile", after
        if state.faults > 0:
            for i, host in enumerate(state.hosts):
                if not host.silent:
                    yield f"silent {i}", on(state, i, silent=True)._replace(faults=state.faults - 1)
        return
    for i in range(len(state.hosts)):
        yield from _by_itself(state, i, vouches)
        if state.faults > 0:
            yield from _faults(state._replace(faults=state.faults - 1), i)


def _by_itself(state: State, i: int, vouches: str) -> Iterator[Step]:
    """What needs no fault: agent and server do their work, and what was lost comes back."""
    host = state.hosts[i]
    if not host.silent:
        wanted = order(state, i)
        if wanted != host.held:
            yield f"poll {i}", polled(state, i, wanted)
        if host.fact is not None:
            yield f"fact of {i}", delivered(state, i)
    if host.held is not None:
        yield f"act {i}", acted(state, i)
    if host.silent:
        yield f"back {i}", on(state, i, silent=False, power=True, declared=host.declared and vouches != "lease")
        if not host.declared and vouches == "lease":
            yield f"lease lapses {i}", lapsed(state, i)
        if not host.declared and (vouches == "silent" or (vouches == "off" and not host.power)):
            yield f"declared dead {i}", on(state, i, declared=True)._replace(disturbed=True)
    elif host.declared and (state.op.locks_instance or not state.op.active):
        yield f"declared alive {i}", on(state, i, declared=False)
    if not host.libvirtd:
        yield f"libvirtd back {i}", on(state, i, libvirtd=True)


def _faults(state: State, i: int) -> Iterator[Step]:
    host = state.hosts[i]
    if not host.power:
        return
    if not host.silent:
        yield f"silent {i}", on(state, i, silent=True)
    yield f"crash {i}", crashed(state, i)
    yield f"no power {i}", unplugged(state, i)
    if host.dom == "running":
        yield f"guest ends {i}", on(state, i, dom="shut_off")._replace(disturbed=True)
    if host.dom == "shut_off" and i == state.op.source and not _has_told(state, i):
        yield f"started by hand {i}", started(state, i)._replace(disturbed=True)
    if host.late is not None and host.late.number == state.op.number:
        yield f"late {i}", on(state, i, held=host.late)
    if host.held is not None:
        if host.held.ensure in _MAY_FAIL and host.libvirtd:
            yield f"act {i}, refused", acted(state, i, refuse=True)
            yield f"crash {i} half-way", crashed(acted(state, i, refuse=True), i)
        yield f"crash {i} at the end", crashed(acted(state, i), i)
        if host.held.ensure is Ensure.COPIED and (after := torn(state, i)) is not None:
            yield f"torn on the way to {i}", after
    if host.libvirtd:
        yield f"libvirtd dies {i}", on(state, i, libvirtd=False)


def _has_told(state: State, i: int) -> bool:
    """Whether an operator who starts the source's guest by hand is too late to be noticed: its disk's sum is known, or
    under way, or no agent looks there any more."""
    op, said = state.op, (state.facts[i], state.hosts[i].fact)
    looked_at = op.kind in COLD and op.forward and op.phase in ("offer", "copy") and op.power == "running"
    return not looked_at or any(fact is not None and fact.sums and fact.phase == "copy" for fact in said)


def lapsed(state: State, i: int) -> State:
    """The agent of a silent host keeps its promise: it ends what runs, and does nothing before it is heard."""
    dom = "shut_off" if state.hosts[i].dom == "running" else state.hosts[i].dom
    return on(crashed(state, i), i, dom=dom, declared=True)._replace(disturbed=True)


def unplugged(state: State, i: int) -> State:
    """Everything on the host ends, and nothing of it starts when the power is back."""
    dom = "shut_off" if state.hosts[i].dom == "running" else state.hosts[i].dom
    state = crashed(state, i)._replace(disturbed=True)
    return on(state, i, dom=dom, offered=False, power=False, libvirtd=True, silent=True)


def delivered(state: State, i: int) -> State:
    fact = state.hosts[i].fact
    state = on(state, i, fact=None)
    if fact is None or i not in (state.op.source, state.op.destination):
        return state
    facts = list(state.facts)
    facts[i] = fact
    return state._replace(facts=tuple(facts))
