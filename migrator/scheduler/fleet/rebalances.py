"""Makes rebalances, and accepts what they propose: from then on it is a drain of the kind ``rebalance``, with the
budgets, checks and results of every drain."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from migrator.db import drains, rebalances
from migrator.db.drain_rows import DrainRow
from migrator.db.engine import Connection, Database
from migrator.db.rebalances import RebalanceMoveRow, RebalanceRow
from migrator.errors import BadRequest, Conflict
from migrator.scheduler.fleet.balance.model import BalancePlan, Change, Proposal, Use
from migrator.scheduler.fleet.balancing import BalanceOptions, propose
from migrator.scheduler.fleet.plan.model import Way
from migrator.scheduler.fleet.plan.vocabulary import FLEET, REBALANCE, DrainRequest, MoveState
from migrator.scheduler.fleet.records import create as create_drain
from migrator.scheduler.requests.requests import Caller
from migrator.settings import ServerSettings


def create(db: Database, caller: Caller, options: BalanceOptions, settings: ServerSettings) -> RebalanceRow:
    """Plan, and keep what is proposed. Begins nothing."""
    with db.read() as connection:
        left = settings.rebalance_at_most_per_day - rebalances.begun_in_a_day(connection)
        limited = BalanceOptions(options.objective, max(0, min(options.at_most, left)), options.horizon_s)
        found = propose(connection, limited, settings)
    values: dict[str, Any] = {"objective": options.objective.value, "plan": _plan(found), "user_id": caller.user_id}
    values["request"] = {"at_most": options.at_most, "horizon_s": options.horizon_s}
    moves = [_move(one, found) for one in found.proposals]
    with db.write() as connection:
        return rebalances.create(connection, values, moves, settings.rebalance_lifetime)


def accept(db: Database, caller: Caller, ident: str, servers: Collection[str]) -> DrainRow:
    """Let the proposed moves of these servers begin; none named: all that are left. Raises NotFound, BadRequest (one is
    not proposed), Conflict (too old, nothing left, another rebalance is under way)."""
    with db.write() as connection:
        row = rebalances.get(connection, ident, lock=True)
        if row.expired:
            message = f"Rebalance {row.uuid} is too old: what it proposes was measured before"
            raise Conflict(message, advice="ask again: `migrator rebalance`")
        chosen = _chosen(row, rebalances.moves(connection, row.id), servers)
        drain = _drain_of(connection, caller, row)
        for move in chosen:
            drains.add_move(connection, drain.id, _accepted(move))
        rebalances.accept(connection, row.id, [move.instance_uuid for move in chosen], drain.id)
        drains.say(connection, drain.id, "accepted", f"{len(chosen)} moves accepted by {caller.user_id}")
        return drains.get(connection, drain.uuid)


def _chosen(
    row: RebalanceRow, found: Sequence[RebalanceMoveRow], servers: Collection[str]
) -> Sequence[RebalanceMoveRow]:
    left = [move for move in found if move.drain_id is None]
    proposed = {move.instance_uuid for move in found}
    if unknown := sorted(set(servers) - proposed):
        raise BadRequest(f"Rebalance {row.uuid} proposes no move of {', '.join(unknown[:20])}")
    chosen = [move for move in left if not servers or move.instance_uuid in servers]
    if not chosen:
        raise Conflict(f"Rebalance {row.uuid} has nothing left to accept")
    return chosen


def _drain_of(connection: Connection, caller: Caller, row: RebalanceRow) -> DrainRow:
    """The rebalance's own that is under way, or a new one. One rebalance moves instances at a time: of a second one the
    plan would not know what the first still does."""
    for active in drains.active_of(connection, [FLEET]):
        if active.before.get("rebalance") != row.uuid:
            message = f"Rebalance {active.before.get('rebalance')} is under way"
            raise Conflict(message, advice=f"wait for it, or `migrator drain-cancel {active.uuid}`")
        drains.change(connection, active.id, active.generation, {})
        return active
    request = DrainRequest([Way.LIVE, Way.LEAVE], reason=f"rebalance {row.uuid}", disable=False)
    made = create_drain(connection, caller, REBALANCE, FLEET, request, {"rebalance": row.uuid})
    drains.change(connection, made.id, made.generation, {"planned_at": drains.NOW})
    return made


def _accepted(move: RebalanceMoveRow) -> Mapping[str, Any]:
    told = {"why": move.proposal["why"], "remedy": "", "begin_s": 0.0, "end_s": 0.0}
    told |= {name: move.proposal[name] for name in ("duration_s", "downtime_s")}
    return {
        "instance_uuid": move.instance_uuid,
        "name": move.name,
        "source": move.source,
        "destination": move.destination,
        "state": MoveState.WAITING.value,
        "way": Way.LIVE.value,
        "position": move.position,
        "plan": told,
        "group_uuid": move.group_uuid,
        "attempts": 0,
    }


def _plan(found: BalancePlan) -> Mapping[str, Any]:
    hosts = [{"host": one.host, **_change(one)} for one in found.hosts]
    return {"hosts": hosts, "emptied": list(found.emptied), "left": dict(found.left)}


def _change(one: Change) -> dict[str, Any]:
    numbers = {"before": one.instances_before, "after": one.instances_after}
    return {"before": _share(one.before), "after": _share(one.after), "instances": numbers}


def _share(use: Use) -> dict[str, float]:
    return {"cpus": round(use.cpus, 4), "memory": round(use.memory_mb, 4)}


def _move(one: Proposal, found: BalancePlan) -> Mapping[str, Any]:
    guest, group = one.guest, one.guest.group
    last = next(change for change in found.hosts if change.host == one.destination.host)
    alone = one.destination.after.plus(one.destination.before, -1)
    proposal = {"why": one.why, "cost_s": round(one.cost_s, 1), "gain_s": round(one.gain_s, 1)}
    proposal |= {"duration_s": guest.duration_s, "downtime_s": guest.downtime_s, "moved_mib": guest.moved_mib}
    proposal |= {"adds": _share(alone), "source": _change(one.source)}
    proposal |= {"destination": _change(one.destination) | {"after": _share(last.after)}}
    return {
        "instance_uuid": guest.uuid,
        "name": guest.name,
        "source": one.source.host,
        "destination": one.destination.host,
        "group_uuid": group.uuid if group is not None and not group.soft else None,
        "proposal": proposal,
    }
