"""What the server does in the live world: one plan of the real ``decide``, applied, with its effect on the records."""

from migrator.operations import Effect, Kind
from tests.model import server
from tests.model.live_state import State
from tests.model.search import Violation
from tests.model.server import Op


def reconcile(state: State) -> State | None:
    """One plan of ``decide``, applied; None: it has nothing to do."""
    op = state.op
    if not op.active:
        return None
    ups = tuple(not h.silent for h in state.hosts)
    plan = server.plan_of(op, state.facts, ups)
    if plan.empty:
        return None
    if plan.asks is not None:
        plan = server.placed_plan(op, state.facts, ups, server.place(op, list(ups)))
    after = server.applied(op, plan)
    state = _effect(state, plan.effect, op, after.destination)
    if op.forward and not after.forward and after.epoch == op.epoch:
        raise Violation("turned round without raising the epoch")
    state = state._replace(op=after)
    if plan.final_status is not None and state.delete_requested and not state.deleted:
        state = state._replace(
            op=server.new(Kind.DELETE, op.number + 1, state.record), facts=(None,) * len(state.hosts)
        )
    return state


def _effect(state: State, effect: Effect | None, op: Op, claimed: int | None) -> State:
    claims = state.claims
    if effect is Effect.CLAIM_DESTINATION:
        assert claimed is not None
        return state._replace(claims=claims | {claimed})
    if effect is Effect.RELEASE_DESTINATION and op.destination is not None:
        return state._replace(claims=claims - {op.destination})
    if effect is Effect.RELEASE_SOURCE and op.source is not None:
        return state._replace(claims=claims - {op.source})
    if effect in (Effect.MOVE_RECORD, Effect.RECORD_BUILT):
        if state.home != op.destination:
            raise Violation("the record moves to a host where the guest does not live")
        return state._replace(record=op.destination)
    if effect is Effect.RECORD_DELETED:
        return state._replace(deleted=True, record=None)
    return state
