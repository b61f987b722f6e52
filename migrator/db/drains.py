"""Drains, their moves and their events: rows in and out, changed by compare-and-swap on the drain's ``generation``.

A drain and its moves are one thing: a transaction that changes a move raises the generation of its drain, too.
"""

import uuid as uuids
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, and_, func, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from migrator.db import server_heartbeat
from migrator.db.clock import now_expression
from migrator.db.drain_rows import DrainEventRow, DrainMoveRow, DrainRow, HeardRow
from migrator.db.tables import claims, drain_events, drain_moves, drains, hosts, instances, operations
from migrator.errors import BadRequest, ConcurrentUpdate, Conflict, DrainNotFound

MOVING, STOPPED = "moving", "done"


def create(connection: Connection, values: Mapping[str, Any], deadline_s: float | None) -> DrainRow:
    """An active drain. Raises Conflict where the host has one already."""
    moment, uuid = now_expression(connection), str(uuids.uuid4())
    rest = {"active": True, "generation": 1, "undo": False, "total_s": 0.0, "longest_s": 0.0}
    deadline = moment + deadline_s if deadline_s is not None else None
    try:
        connection.execute(drains.insert().values(uuid=uuid, created_at=moment, deadline_at=deadline, **rest, **values))
    except IntegrityError as error:
        message = f"Host {values['host']} is being drained already"
        raise Conflict(message, advice=f"see `migrator drain-list --host {values['host']}`") from error
    return get(connection, uuid)


def get(connection: Connection, ident: str, *, lock: bool = False) -> DrainRow:
    """By UUID or by id. Raises DrainNotFound."""
    key = (
        drains.c.id == int(ident) if ident.isascii() and ident.isdigit() and len(ident) < 10 else drains.c.uuid == ident
    )
    query = select(drains).where(key)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise DrainNotFound(f"Drain {ident} could not be found.", advice="see `migrator drain-list`")
    return cast(DrainRow, row)


def listed(
    connection: Connection, host: str | None, active: bool | None, limit: int, marker: str | None = None
) -> Sequence[DrainRow]:
    """The newest first, only drains that are older than the marker's. Raises BadRequest for a marker that is none."""
    query = select(drains).order_by(drains.c.id.desc()).limit(limit)
    if marker is not None:
        query = query.where(drains.c.id < _marked(connection, marker))
    if host is not None:
        query = query.where(drains.c.host == host)
    if active is not None:
        query = query.where(drains.c.active == active)
    return cast(Sequence[DrainRow], connection.execute(query).all())


def _marked(connection: Connection, marker: str) -> int:
    try:
        return get(connection, marker).id
    except DrainNotFound as error:
        raise BadRequest(f"marker [{marker}] not found", advice="begin again without a marker") from error


def operations_under_way(connection: Connection, drain_id: int) -> Sequence[int]:
    """Of the drain's moves."""
    m = drain_moves.c
    query = select(m.operation_id).where(m.drain_id == drain_id, m.state == MOVING, m.operation_id.is_not(None))
    return cast(Sequence[int], connection.execute(query.order_by(m.operation_id)).scalars().all())


def active_ids(connection: Connection) -> Sequence[int]:
    query = select(drains.c.id).where(drains.c.active == true()).order_by(drains.c.id)
    return connection.execute(query).scalars().all()


def active_of(connection: Connection, names: Sequence[str]) -> Sequence[DrainRow]:
    """Active drains of these hosts."""
    query = select(drains).where(drains.c.active == true(), drains.c.host.in_(names)).order_by(drains.c.id)
    return cast(Sequence[DrainRow], connection.execute(query).all())


def change(connection: Connection, drain_id: int, seen: int, values: Mapping[str, Any]) -> None:
    """Change the drain if it is still active at generation ``seen``. Raises ConcurrentUpdate otherwise."""
    mine = and_(drains.c.id == drain_id, drains.c.generation == seen, drains.c.active == true())
    moments = {name: now_expression(connection) for name, value in values.items() if value is NOW}
    changed = connection.execute(update(drains).where(mine).values(**{**values, **moments}, generation=seen + 1))
    if changed.rowcount == 0:
        raise ConcurrentUpdate(f"Drain {drain_id} changed since generation {seen}")


NOW = object()  # in ``change``: the moment of the change


def lock_active(connection: Connection) -> None:
    """No other transaction begins a move of any drain before this one is over."""
    query = select(drains.c.id).where(drains.c.active == true()).order_by(drains.c.id)
    connection.execute(query.with_for_update()).all()


def moves(connection: Connection, drain_id: int) -> Sequence[DrainMoveRow]:
    query = select(drain_moves).where(drain_moves.c.drain_id == drain_id)
    order = (drain_moves.c.position, drain_moves.c.instance_uuid)
    return cast(Sequence[DrainMoveRow], connection.execute(query.order_by(*order)).all())


def add_move(connection: Connection, drain_id: int, values: Mapping[str, Any]) -> None:
    connection.execute(drain_moves.insert().values(drain_id=drain_id, **values))


def change_move(connection: Connection, drain_id: int, instance_uuid: str, values: Mapping[str, Any]) -> None:
    mine = and_(drain_moves.c.drain_id == drain_id, drain_moves.c.instance_uuid == instance_uuid)
    connection.execute(update(drain_moves).where(mine).values(**values))


def try_again(connection: Connection, drain_id: int) -> None:
    """What failed may begin again, as often as at first."""
    failed = and_(drain_moves.c.drain_id == drain_id, drain_moves.c.state == "failed")
    again = {"state": "waiting", "attempts": 0, "destination": None}
    connection.execute(update(drain_moves).where(failed).values(**again))


def under_way(connection: Connection) -> Sequence[DrainMoveRow]:
    """Moves of all active drains that are under way, or that stopped a member of a server group."""
    stopped = and_(drain_moves.c.state == STOPPED, drain_moves.c.way == "stop", drain_moves.c.group_uuid.is_not(None))
    query = (
        select(drain_moves)
        .join(drains, drains.c.id == drain_moves.c.drain_id)
        .where(drains.c.active == true(), or_(drain_moves.c.state == MOVING, stopped))
    )
    return cast(Sequence[DrainMoveRow], connection.execute(query).all())


def reserved(connection: Connection, but: int) -> Sequence[Any]:
    """(destination, flavor, spec) of moves that are planned or under way and hold no claim at their destination yet, of
    every active drain; of the drain ``but`` only those under way."""
    m = drain_moves.c
    query = (
        select(m.destination, instances.c.flavor, instances.c.spec)
        .select_from(
            drain_moves.join(drains, drains.c.id == m.drain_id).join(instances, instances.c.uuid == m.instance_uuid)
        )
        .outerjoin(claims, and_(claims.c.instance_uuid == m.instance_uuid, claims.c.host == m.destination))
        .where(drains.c.active == true(), m.destination.is_not(None), claims.c.id.is_(None))
        .where(or_(m.state == MOVING, and_(m.state == "waiting", m.drain_id != but)))
    )
    return connection.execute(query).all()


def hosts_heard(connection: Connection) -> Sequence[HeardRow]:
    """Every host, without its description: this is read for every look at a drain."""
    h = hosts.c
    silent_s = (server_heartbeat.clock_of(connection.dialect.name) - h.last_seen).label("silent_s")
    query = select(h.name, h.disabled, h.approved, h.forced_down, silent_s).order_by(h.name)
    return cast(Sequence[HeardRow], connection.execute(query).all())


def arriving(connection: Connection, host: str) -> Sequence[str]:
    """Names of instances that are not on the host and that an operation under way brings there."""
    o, i = operations.c, instances.c
    there = and_(o.active == true(), o.locks_instance == true(), o.destination == host)
    elsewhere = or_(i.host.is_(None), i.host != host)
    query = select(i.name).join(operations, o.instance_uuid == i.uuid).where(there, elsewhere).order_by(i.name)
    return connection.execute(query).scalars().all()


def counts(connection: Connection, ids: Sequence[int]) -> Mapping[int, Mapping[str, int]]:
    """Drain -> state of a move -> how many."""
    m = drain_moves.c
    query = select(m.drain_id, m.state, func.count().label("number")).where(m.drain_id.in_(ids))
    found: dict[int, dict[str, int]] = {key: {} for key in ids}
    for row in connection.execute(query.group_by(m.drain_id, m.state)):
        found[row.drain_id][row.state] = row.number
    return found


def say(connection: Connection, drain_id: int, name: str, message: str, instance_uuid: str | None = None) -> None:
    """Add a line to the drain's events."""
    row = {"drain_id": drain_id, "name": name, "message": message, "instance_uuid": instance_uuid}
    connection.execute(drain_events.insert().values(at=now_expression(connection), **row))


def last_said(connection: Connection, drain_id: int, name: str) -> str | None:
    """The newest event of this name."""
    e = drain_events.c
    query = select(e.message).where(e.drain_id == drain_id, e.name == name).order_by(e.id.desc()).limit(1)
    return connection.execute(query).scalar_one_or_none()


def events(connection: Connection, drain_id: int, limit: int = 1000) -> Sequence[DrainEventRow]:
    """The newest ones, the oldest of them first."""
    query = select(drain_events).where(drain_events.c.drain_id == drain_id).order_by(drain_events.c.id.desc())
    rows = cast(Sequence[DrainEventRow], connection.execute(query.limit(limit)).all())
    return rows[::-1]
