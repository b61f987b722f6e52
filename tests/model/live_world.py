"""The live world: what may happen and when, what must hold, and where it comes to rest."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from migrator.operations import OPERATIONS, Kind
from migrator.protocol import Ensure
from migrator.scheduler.decision.verdict import Verdict
from tests.model import server
from tests.model.live_agent import acted, crashed, delivered, looked, polled
from tests.model.live_disasters import disk_is_lost, guest_ends, power_cut
from tests.model.live_server import reconcile
from tests.model.live_state import State, Step, on
from tests.model.live_transfer import job_steps, libvirtd_dies
from tests.model.search import Calm, Violation


class World(NamedTuple):
    """What a search may do. ``undefined``: a finished transfer leaves no domain behind on its source."""

    start: State
    undefined: bool = False
    disasters: frozenset[str] = frozenset()  # "power", "guest", "disk"
    may_cancel: bool = False
    may_delete: bool = False

    def steps(self, state: State) -> Iterator[Step]:
        return _steps(self, state)

    def check(self, state: State) -> None:
        check(state)

    def canonical(self, state: State) -> State:
        return canonical(state)

    def renewed(self, state: State) -> State:
        return state._replace(faults=self.start.faults)

    def calms(self) -> Sequence[Calm[State]]:
        return (Calm("calm", lambda state: _calm_round(self, state), _at_rest),)


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


# --- steps ---------------------------------------------------------------------------------------------------------


def _steps(world: World, state: State) -> Iterator[Step]:
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
    if state.faults > 0:
        yield from _disasters(world, state._replace(faults=state.faults - 1))
    yield from job_steps(state, world.undefined)


def _disasters(world: World, state: State) -> Iterator[Step]:
    for i, host in enumerate(state.hosts):
        if "power" in world.disasters:
            yield f"power cut {i}", power_cut(state, i)
        if "disk" in world.disasters and host.disk and _unproven(state, i):
            yield f"disk lost {i}", disk_is_lost(state, i)
    if "guest" in world.disasters and state.home is not None and state.hosts[state.home].dom == "running":
        yield "guest ends", guest_ends(state)


def _unproven(state: State, i: int) -> bool:
    """Whether the guest has arrived there, and its disks have still to be shown before the source's are deleted. Who
    was told to delete them may do so any time: no proof outlives its moment."""
    op = state.op
    if not op.active or i != op.destination or op.source is None or op.phase not in ("attest", "cleanup"):
        return False
    source, said = state.hosts[op.source], (state.facts[i], *state.hosts[i].line)
    told = (source.held, source.late, source.half[0] if source.half else None)
    if any(order and order.ensure is Ensure.ABSENT for order in told):
        return False
    shown = [fact for fact in said if fact and (fact.epoch, fact.phase, fact.disk) == (op.epoch, op.phase, True)]
    return not shown if op.phase == "attest" else source.silent


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


# --- calm ----------------------------------------------------------------------------------------------------------


def _calm_round(world: World, state: State) -> State:
    state = state._replace(faults=0)
    for i in range(len(state.hosts)):
        state = on(state, i, silent=False, libvirtd=True, late=None)
    state = _reconciled(state)
    for i in range(len(state.hosts)):
        order = server.order_for(state.op, i)
        if order != state.hosts[i].held:
            state = polled(state, i, order)
        if state.hosts[i].half is not None:
            state = looked(state, i)
        elif state.hosts[i].held is not None:
            state = looked(acted(state, i), i) if _admitted(acted(state, i), i) else acted(state, i)
        while state.hosts[i].line:
            state = delivered(state, i, 0)
    state = next((after for _, after in job_steps(state, world.undefined)), state)
    check(state)
    return canonical(_reconciled(state))


def _admitted(state: State, i: int) -> bool:
    return state.hosts[i].half is not None


def _reconciled(state: State) -> State:
    for _ in range(100):
        after = reconcile(state)
        if after is None:
            return state
        state = after
    raise Violation("decide never comes to rest")


def _at_rest(state: State) -> None:
    op = state.op
    if (
        op.active
        and op.wait_reason
        and op.phase == "attest"
        and state.home is not None
        and not state.hosts[state.home].disk
    ):
        return  # what is left of its data is kept until an operator has looked
    if op.active:
        alarms = (Verdict.LOST.value.upper(), Verdict.SPLIT.value.upper())
        raise Violation(
            f"{op.kind} rests in {op.phase} ({'forward' if op.forward else 'backward'}), waiting for {op.wait_reason!r}"
            + (" (an alarm)" if (op.wait_reason or "").startswith(alarms) else "")
        )
    if state.home != state.record:
        raise Violation(f"the guest lives on {state.home}, the record says {state.record}")
    if state.record is not None and op.kind is not Kind.DELETE and state.hosts[state.record].dom == "absent":
        raise Violation("the record names a host without the guest")
    left = [i for i, h in enumerate(state.hosts) if i != state.record and (h.dom != "absent" or h.disk)]
    if left:
        raise Violation(f"left behind on {left}")
