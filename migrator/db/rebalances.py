"""Rebalances and their proposed moves: rows in and out. What becomes of an accepted move stands in its drain's."""

import uuid as uuids
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, func, select, update

from migrator.db.clock import now_expression
from migrator.db.tables import drain_moves, operations, rebalance_moves, rebalances
from migrator.errors import NotFound

_R, _M = rebalances.c, rebalance_moves.c
_DAY_S = 86_400.0


class RebalanceRow(NamedTuple):
    """A row of ``rebalances``; ``expired``: whether its lifetime is over."""

    id: int
    uuid: str
    objective: str
    request: Mapping[str, Any]
    plan: Mapping[str, Any]
    user_id: str
    created_at: float
    expires_at: float
    expired: bool


class RebalanceMoveRow(NamedTuple):
    """A row of ``rebalance_moves``."""

    rebalance_id: int
    instance_uuid: str
    name: str
    source: str
    destination: str
    position: int
    group_uuid: str | None
    proposal: Mapping[str, Any]
    drain_id: int | None


def create(
    connection: Connection, values: Mapping[str, Any], moves: Sequence[Mapping[str, Any]], lifetime_s: float
) -> RebalanceRow:
    moment, uuid = now_expression(connection), str(uuids.uuid4())
    rest = {"uuid": uuid, "created_at": moment, "expires_at": moment + lifetime_s}
    connection.execute(rebalances.insert().values(**values, **rest))
    row = get(connection, uuid)
    for position, move in enumerate(moves):
        connection.execute(rebalance_moves.insert().values(rebalance_id=row.id, position=position, **move))
    return row


def get(connection: Connection, ident: str, *, lock: bool = False) -> RebalanceRow:
    """By UUID or by id. Raises NotFound."""
    number = ident.isascii() and ident.isdigit() and len(ident) < 10
    query = _query(connection).where(_R.id == int(ident) if number else _R.uuid == ident)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"Rebalance {ident} could not be found.", advice="see `migrator rebalance-list`")
    return cast(RebalanceRow, row)


def listed(connection: Connection, limit: int) -> Sequence[RebalanceRow]:
    """The newest first."""
    query = _query(connection).order_by(_R.id.desc()).limit(limit)
    return cast(Sequence[RebalanceRow], connection.execute(query).all())


def _query(connection: Connection) -> Any:
    return select(rebalances, (_R.expires_at <= now_expression(connection)).label("expired"))


def moves(connection: Connection, rebalance_id: int) -> Sequence[RebalanceMoveRow]:
    query = select(rebalance_moves).where(_M.rebalance_id == rebalance_id).order_by(_M.position)
    return cast(Sequence[RebalanceMoveRow], connection.execute(query).all())


def move_of_drain(connection: Connection, drain_id: int, instance_uuid: str) -> RebalanceMoveRow | None:
    query = select(rebalance_moves).where(_M.drain_id == drain_id, _M.instance_uuid == instance_uuid)
    return cast(RebalanceMoveRow | None, connection.execute(query).one_or_none())


def counts(connection: Connection, ids: Collection[int]) -> Mapping[int, tuple[int, int]]:
    """Rebalance -> how many moves were proposed, and accepted."""
    query = select(_M.rebalance_id, func.count(), func.count(_M.drain_id)).where(_M.rebalance_id.in_(ids))
    rows = connection.execute(query.group_by(_M.rebalance_id)).all()
    return {ident: (int(proposed), int(accepted)) for ident, proposed, accepted in rows}


def accept(connection: Connection, rebalance_id: int, uuids_: Collection[str], drain_id: int) -> None:
    mine = (_M.rebalance_id == rebalance_id, _M.instance_uuid.in_(uuids_))
    connection.execute(update(rebalance_moves).where(*mine).values(drain_id=drain_id))


def begun_in_a_day(connection: Connection) -> int:
    """Moves of rebalances that began in the last 24 hours."""
    same = (drain_moves.c.drain_id == _M.drain_id) & (drain_moves.c.instance_uuid == _M.instance_uuid)
    query = select(func.count()).select_from(rebalance_moves).join(drain_moves, same)
    query = query.join(operations, operations.c.id == drain_moves.c.operation_id)
    recent = operations.c.created_at > now_expression(connection) - _DAY_S
    return int(connection.execute(query.where(recent)).scalar_one())
