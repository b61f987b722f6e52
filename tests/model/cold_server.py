"""What the server does in the cold world: one plan of the real ``decide``, applied, with its effect on the records."""

from collections.abc import Callable, Mapping

from migrator.operations import OPERATIONS, Actor, Effect
from migrator.protocol import DomainState
from migrator.scheduler.decision.snapshot import Plan
from migrator.scheduler.state.effects import POWER
from tests.model import server
from tests.model.cold_state import Record, State, observed, store
from tests.model.search import Violation
from tests.model.server import COLD, Op, Order

_RETURNED = {"running": DomainState.RUNNING, "saved": DomainState.SAVED}


def reconcile(state: State) -> State | None:
    """One plan, applied; None: there is nothing to do."""
    op = state.op
    if not op.active:
        return None
    views = tuple(host.view for host in state.hosts)
    plan = server.plan_of(op, state.facts, views)
    if plan.empty:
        return None
    choice = None
    if plan.asks is not None:
        choice = server.place(op, [host.view is True for host in state.hosts])
        plan = server.placed_plan(op, state.facts, views, choice)
    after = server.applied(op, plan)
    if op.forward and not after.forward and after.epoch == op.epoch:
        raise Violation("turned round without raising the epoch")
    if plan.phase is not None and after.forward and op.phase == "copy":
        _copied(state)
    if plan.effect is not None:
        state = _EFFECTS[plan.effect](state, after if choice is not None else op, plan)
    state = state._replace(op=after)
    if op.locks_instance and not (after.active and after.locks_instance) and OPERATIONS[op.kind].moves:
        free(state)
    return state


def audited(state: State) -> State:
    """A guest that was stopped or started after the operation was over is noted, where its host tells."""
    host = state.record.host
    found = POWER.get(DomainState(observed(state, host)))
    if state.op.active or state.hosts[host].silent or found is None:
        return state
    known = state.record.running == (found["power_state"] == 1)
    return state if known else state._replace(record=_put_down(state.record, found))


def order(state: State, host: int) -> Order | None:
    """What the host is to make true now."""
    return server.order_for(state.op, host, tuple(each.view for each in state.hosts))


def _copied(state: State) -> None:
    """The copy counts as complete: then it is what the source has at this moment."""
    op = state.op
    assert op.source is not None
    assert op.destination is not None
    here, there = store(state, op.source), store(state, op.destination)
    whole = here.disk is not None and here.disk == there.disk
    if not whole or (op.power == "saved" and here.memory != there.memory):
        raise Violation(f"a copy counts as complete that is {there}, and the source's {here}")


def free(state: State) -> None:
    """The instance is its user's again: it is where the record says, and nowhere else does it run."""
    record = state.record
    host = state.hosts[record.host]
    if host.power and not state.disturbed:
        found = POWER[DomainState(_present(state, record.host))]
        if (record.vm_state, record.running) != (found["vm_state"], found["power_state"] == 1):
            raise Violation(f"the instance is free, is {found['vm_state']}, and the record says {record}")
    if (host.dom == "running" or not state.disturbed) and host.flavor != record.flavor:
        raise Violation(f"the instance is free with flavor {host.flavor}, and the record says {record.flavor}")


def _present(state: State, host: int) -> str:
    found = observed(state, host)
    if found == "absent":
        raise Violation(f"the instance is free, and host {host}, which the record names, has no domain of it")
    return found


# --- effects --------------------------------------------------------------------------------------------------------


def _host(op: Op, actor: Actor) -> int:
    found = op.source if actor is Actor.SOURCE else op.destination
    assert found is not None
    return found


def _claim(state: State, op: Op, _plan: Plan) -> State:
    destination = _host(op, Actor.DESTINATION)
    if destination == op.source:
        return state._replace(claims=frozenset({(destination, "largest")}))
    return state._replace(claims=state.claims | {(destination, op.new_flavor)})


def _release(actor: Actor, staying: str) -> Callable[[State, Op, Plan], State]:
    def release(state: State, op: Op, _plan: Plan) -> State:
        host = op.source if actor is Actor.SOURCE else op.destination
        if host is None:
            return state
        if op.source == op.destination:
            return state._replace(claims=frozenset({(host, "old" if staying == "old" else op.new_flavor)}))
        return state._replace(claims=frozenset(c for c in state.claims if c[0] != host))

    return release


def _found(plan: Plan, otherwise: DomainState) -> Mapping[str, object]:
    fact = plan.effect_fact
    return POWER[fact.domain.state if fact is not None and fact.domain is not None else otherwise]


def _put_down(record: Record, found: Mapping[str, object]) -> Record:
    return record._replace(vm_state=str(found["vm_state"]), running=found["power_state"] == 1)


def _moved(state: State, op: Op, plan: Plan) -> State:
    record = state.record._replace(host=_host(op, Actor.DESTINATION))
    return state._replace(record=_put_down(record, _found(plan, DomainState.RUNNING)))


def _resized(state: State, op: Op, plan: Plan) -> State:
    running = _found(plan, DomainState.RUNNING)["power_state"] == 1
    return state._replace(record=Record(_host(op, Actor.DESTINATION), op.new_flavor, "resized", running))


def _returned(state: State, op: Op, plan: Plan) -> State:
    wanted = _RETURNED.get(op.power or "running", DomainState.SHUT_OFF)
    record = state.record._replace(host=_host(op, Actor.SOURCE), flavor="old")
    return state._replace(record=_put_down(record, _found(plan, wanted)))


def _confirmed(state: State, _op: Op, _plan: Plan) -> State:
    record = state.record
    return state._replace(record=record._replace(vm_state="active" if record.running else "stopped"))


def _power(state: State, _op: Op, plan: Plan) -> State:
    domain = plan.effect_fact.domain if plan.effect_fact is not None else None
    known = domain is not None and domain.state in POWER
    return state._replace(record=_put_down(state.record, POWER[domain.state])) if known and domain else state


_EFFECTS: Mapping[Effect, Callable[[State, Op, Plan], State]] = {
    Effect.CLAIM_DESTINATION: _claim,
    Effect.RELEASE_DESTINATION: _release(Actor.DESTINATION, "old"),
    Effect.RELEASE_SOURCE: _release(Actor.SOURCE, "new"),
    Effect.MOVE_RECORD: _moved,
    Effect.RECORD_RESIZED: _resized,
    Effect.RECORD_RETURNED: _returned,
    Effect.RECORD_CONFIRMED: _confirmed,
    Effect.RECORD_POWER: _power,
}


# --- the operator ---------------------------------------------------------------------------------------------------


def may_cancel(op: Op) -> bool:
    """Only what moves is cancelled; and a confirmation, as long as it is not proven."""
    table = OPERATIONS[op.kind]
    asked = op.cancel or (op.confirm and op.phase != "attest")
    return table.moves and op.active and table.reversible(op.phase) and not asked


def may_confirm(op: Op) -> bool:
    if not (op.active and op.locks_instance) or op.kind not in COLD or op.confirm:
        return False
    reverting = (
        not op.forward and dict(op.error).get("status") == "reverted" and op.phase in ("verify", "record", "keep")
    )
    return reverting or (op.phase == "verify" and op.forward and not op.cancel)


def cancelled(state: State) -> State:
    return state._replace(op=state.op._replace(cancel=True, generation=state.op.generation + 1))


def confirmed(state: State) -> State:
    return state._replace(op=state.op._replace(confirm=True, generation=state.op.generation + 1))
