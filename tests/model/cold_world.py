"""The cold world: what must hold in every state, and where it comes to rest when no more goes wrong."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from migrator.operations import OPERATIONS, VERIFY
from tests.model.cold_agent import acted, polled
from tests.model.cold_server import audited, cancelled, confirmed, free, may_confirm, order, reconcile
from tests.model.cold_state import PARTIAL, State, Step, Store, observed, on, store, stores
from tests.model.cold_steps import delivered, steps
from tests.model.search import Calm, Violation
from tests.model.server import Op, VisitedState

_REFUSED = 3  # the epoch of a move that was reverted in vain


class World(NamedTuple):
    """What a search may do. ``vouches``: see ``cold_steps.steps``. ``reverts``: the operator's word in a calm run."""

    start: State
    vouches: str = "off"
    reverts: bool = False

    def steps(self, state: State) -> Iterator[Step]:
        return steps(state, self.vouches)

    def check(self, state: State) -> None:
        check(state)

    def canonical(self, state: State) -> State:
        return canonical(state)

    def renewed(self, state: State) -> State:
        return state._replace(faults=self.start.faults)

    def calms(self) -> Sequence[Calm[State]]:
        return (
            Calm("a calm run", lambda state: _calm_round(state, self.reverts, True), _at_rest),
            Calm("a calm run without the lost", lambda s: _calm_round(s, self.reverts, False), _waits, _somebody_lost),
        )


# --- what must hold in every state ----------------------------------------------------------------------------------


def check(state: State) -> None:
    """Rules 1, 2 and 6: one runner, data somewhere, and a claim wherever something lies."""
    runners = [i for i, host in enumerate(state.hosts) if host.dom == "running"]
    if len(runners) > 1:
        raise Violation(f"hosts {runners} execute guest code")
    if all(kept.disk in (None, PARTIAL) for kept in stores(state)):
        raise Violation("the instance's disk is nowhere")
    claimed = {host for host, _ in state.claims}
    for i, host in enumerate(state.hosts):
        if i not in claimed and (host.dom != "absent" or host.store != Store(aside=host.store.aside)):
            raise Violation(f"host {i} holds something of the instance without a claim")
    if state.record.host not in claimed:
        raise Violation("the record names a host without a claim")
    if not state.op.active and state.claims != {(state.record.host, state.record.flavor)}:
        raise Violation(f"claims {sorted(state.claims)} do not balance with {state.record}")


# --- equal states ---------------------------------------------------------------------------------------------------


def canonical(state: State) -> State:
    """Only the order of generations and of contents matters, never their size."""
    return _rank_contents(_rank_generations(state))


def _rank_generations(state: State) -> State:
    used = {0, state.op.generation}
    for host in state.hosts:
        used |= {host.seen_generation} | {order.generation for order in (host.held, host.late) if order}
    rank = {generation: place for place, generation in enumerate(sorted(used))}
    if all(generation == place for generation, place in rank.items()):
        return state
    hosts = tuple(
        host._replace(
            seen_generation=rank[host.seen_generation],
            held=host.held and host.held._replace(generation=rank[host.held.generation]),
            late=host.late and host.late._replace(generation=rank[host.late.generation]),
        )
        for host in state.hosts
    )
    return state._replace(op=state.op._replace(generation=rank[state.op.generation]), hosts=hosts)


def _rank_contents(state: State) -> State:
    seen = [fact for fact in (*state.facts, *(host.fact for host in state.hosts)) if fact is not None]
    kept = [*stores(state), *(host.copying[1] for host in state.hosts if host.copying)]
    contents = {content for one in kept for content in one} | {c for fact in seen for _, c in fact.sums}
    contents |= {content for _, content in state.op.copied}
    ranked = sorted(content for content in contents if content is not None and content > 0)
    rank: dict[int | None, int | None] = {content: place for place, content in enumerate(ranked, start=1)}
    if all(content == place for content, place in rank.items()):
        return state

    def of(one: Store) -> Store:
        return Store(*(rank.get(content, content) for content in one))

    def told(fact: VisitedState | None) -> VisitedState | None:
        return fact and fact._replace(sums=tuple((target, rank.get(c, c) or c) for target, c in fact.sums))

    hosts = tuple(
        host._replace(
            store=of(host.store),
            copying=host.copying and (host.copying[0], of(host.copying[1])),
            fact=told(host.fact),
        )
        for host in state.hosts
    )
    copied = tuple((target, rank.get(c, c) or c) for target, c in state.op.copied)
    op, facts = state.op._replace(copied=copied), tuple(told(fact) for fact in state.facts)
    return state._replace(op=op, hosts=hosts, shared=of(state.shared), facts=facts)


# --- calm -----------------------------------------------------------------------------------------------------------


def _calm_round(state: State, reverts: bool, returned: bool) -> State:
    """Every process does what there is to do. ``returned``: the lost host is back; otherwise lost for good."""
    state = state._replace(faults=0)
    for i, host in enumerate(state.hosts):
        lost = host.silent and not returned
        state = on(state, i, silent=lost, power=host.power or not lost, libvirtd=True, late=None)
        if not lost and host.declared and not _owes(state.op, i):
            state = on(state, i, declared=False)
    state = _reconciled(state)
    if may_confirm(state.op) and not _nobody_can_help(state):
        state = _reconciled(cancelled(state) if _reverted(state, reverts) else confirmed(state))
    for i in range(len(state.hosts)):
        state = _turn(state, i)
    check(state)
    state = _reconciled(state)
    return state if OPERATIONS[state.op.kind].moves else audited(state)


def _reverted(state: State, reverts: bool) -> bool:
    """The operator's word: who was refused one, for that host has not got its disks, says the other."""
    return _gone(state) or (reverts and state.op.epoch < _REFUSED)


def _gone(state: State) -> bool:
    """Whether the destination has lost its disk."""
    return state.op.destination is not None and store(state, state.op.destination).disk is None


def _nobody_can_help(state: State) -> bool:
    """One end has lost its disk, and the other end is lost: a client that is refused both words asks no more."""
    source = state.op.source
    return _gone(state) and source is not None and state.hosts[source].silent


def _somebody_lost(state: State) -> bool:
    return any(host.silent for host in state.hosts)


def _owes(op: Op, i: int) -> bool:
    return op.active and not op.locks_instance and i in (op.source, op.destination)


def _turn(state: State, i: int) -> State:
    host = state.hosts[i]
    if not host.silent:
        wanted = order(state, i)
        if wanted != host.held:
            state = polled(state, i, wanted)
    if state.hosts[i].held is not None:
        state = acted(state, i)
    return delivered(state, i) if not host.silent else state


def _reconciled(state: State) -> State:
    for _ in range(100):
        after = reconcile(state)
        if after is None:
            return state
        state = after
    raise Violation("decide never comes to rest")


_AS_IT_WAS = {"running": "active", "shut_off": "stopped", "saved": "suspended"}
# how the operation ended -> how the instance was found -> how it is to be left. One that moved suspended is resumed.
_WANTED = dict.fromkeys(("error", "cancelled", "reverted", "completed"), _AS_IT_WAS) | {
    "confirmed": _AS_IT_WAS | {"saved": "active"}
}


def _at_rest(state: State) -> None:
    """Rule 10, and the cluster in order: one copy, where the record says, and nothing of it elsewhere."""
    op, record = state.op, state.record
    if op.active:
        direction = "forward" if op.forward else "backward"
        raise Violation(f"{op.kind} rests in {op.phase} ({direction}), waiting for {op.wait_reason!r}")
    free(state)
    wanted = _WANTED.get(op.end or "", {}).get(op.power or "", record.vm_state)
    if not state.disturbed and record.vm_state != wanted:
        raise Violation(f"the operation is {op.end}, and an instance that was {op.power} is {record.vm_state}")
    for i, host in enumerate(state.hosts):
        if host.offered:
            raise Violation(f"host {i} still offers its disks")
        if i != record.host and (host.dom != "absent" or host.store != Store(aside=host.store.aside)):
            raise Violation(f"left behind on host {i}")
    if observed(state, record.host) == "absent":
        raise Violation("the record names a host without the instance")


def _waits(state: State) -> None:
    """Rule 10 for those who are not there: whatever still waits says for whom or what."""
    op = state.op
    if op.active and not op.wait_reason and op.phase != VERIFY:  # there an operator is waited for
        raise Violation(f"{op.kind} rests in {op.phase} without a reason")
    if OPERATIONS[op.kind].moves and not (op.active and op.locks_instance):
        free(state)
