"""Recoveries: which evacuations of lost hosts the servers began, and hosts of which one may be due.

A recovery is a row beside that of its drain, which has everything else. ``host`` and ``lost_at`` are a loss: of each
loss at most one recovery begins, whatever servers there are.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Row, exists, false, func, or_, select, true
from sqlalchemy.exc import IntegrityError

from migrator.db import drains as drain_rows
from migrator.db import server_heartbeat
from migrator.db.drain_rows import DrainRow, RecoveryRow
from migrator.db.hosts import UNDER_WAY_S, all_hosts
from migrator.db.rows import HostRow
from migrator.db.tables import drain_moves, drains, hosts, instances, recoveries
from migrator.errors import Conflict, DrainNotFound

_R = recoveries.c
_EVACUATION = "evacuation"  # the kind of drain that a recovery is


def silent(connection: Connection, down_after_s: float) -> Sequence[HostRow]:
    """Approved hosts that were not heard for so long, or were forced down."""
    dialect = connection.dialect.name
    unheard = hosts.c.last_seen < server_heartbeat.clock_of(dialect) - down_after_s
    query = all_hosts(dialect).where(hosts.c.approved == true(), or_(unheard, hosts.c.forced_down == true()))
    return cast(Sequence[HostRow], connection.execute(query.order_by(hosts.c.name)).all())


def metadata_on(connection: Connection, names: Collection[str]) -> Sequence[Row[str, Mapping[str, str]]]:
    """(host, metadata) of each instance that is recorded on one of the hosts."""
    query = select(instances.c.host, instances.c.metadata)
    return connection.execute(query.where(instances.c.host.in_(names), instances.c.deleted == false())).all()


def add(connection: Connection, drain_id: int, host: str, lost_at: float, evidence: Mapping[str, Any]) -> None:
    """``hosts.lock`` comes first. Raises Conflict where this loss has one."""
    values = {"drain_id": drain_id, "host": host, "lost_at": lost_at, "evidence": dict(evidence)}
    try:
        connection.execute(recoveries.insert().values(**values))
    except IntegrityError as error:
        raise Conflict(f"Host {host} is being recovered already") from error


def of_losses(connection: Connection, rows: Collection[HostRow]) -> Mapping[str, bool]:
    """Host -> whether the recovery of its present loss is active. A host of which none began is left out."""
    query = select(_R.host, _R.lost_at, drains.c.active).join(drains, drains.c.id == _R.drain_id)
    found = connection.execute(query.where(_R.host.in_([row.name for row in rows]))).all()
    present = {row.name: row.last_seen for row in rows}
    return {row.host: row.active for row in found if row.lost_at == present[row.host]}


def stalled(connection: Connection, names: Collection[str]) -> Collection[str]:
    """Hosts whose active recovery was planned, and has no instance that moves or is about to."""
    m = drain_moves.c
    goes_on = exists().where(m.drain_id == drains.c.id, m.state.in_(("waiting", "moving")))
    query = select(drains.c.host).join(recoveries, _R.drain_id == drains.c.id)
    query = query.where(drains.c.host.in_(names), drains.c.active == true(), drains.c.planned_at.is_not(None), ~goes_on)
    return connection.execute(query).scalars().all()


def asked_for(connection: Connection, rows: Collection[HostRow]) -> Collection[str]:
    """Hosts whose present loss a person has answered: by an evacuation that is under way, by one that began after they
    were last heard, or by cancelling its recovery. A poll that was under way makes no other loss of it."""
    losses = {row.name: row for row in rows}
    query = select(drains, _R.lost_at).outerjoin(recoveries, _R.drain_id == drains.c.id)
    of_host = query.where(drains.c.kind == _EVACUATION, drains.c.host.in_(losses)).order_by(drains.c.id)
    return {drain.host for drain in connection.execute(of_host) if _answers(drain, losses[drain.host])}


def _answers(drain: Any, row: HostRow) -> bool:
    if drain.lost_at is not None:
        return bool(drain.lost_at == row.last_seen and drain.state == "cancelled")
    begun = drain.before.get("clock", drain.created_at - row.behind_s)  # an earlier release wrote down none
    return drain.active or bool(row.last_seen <= begun + UNDER_WAY_S)


def get(connection: Connection, ident: str) -> tuple[DrainRow, RecoveryRow]:
    """By the drain's UUID or id. Raises DrainNotFound."""
    unknown = DrainNotFound(f"Recovery {ident} could not be found.", advice="see `migrator recovery-list --all`")
    try:
        drain = drain_rows.get(connection, ident)
    except DrainNotFound as error:
        raise unknown from error
    found = of_drains(connection, [drain.id]).get(drain.id)
    if found is None:
        raise unknown
    return drain, found


def listed(connection: Connection, host: str | None, active: bool | None, limit: int) -> Sequence[DrainRow]:
    """The newest first."""
    query = select(drains).join(recoveries, _R.drain_id == drains.c.id).order_by(drains.c.id.desc()).limit(limit)
    if host is not None:
        query = query.where(drains.c.host == host)
    if active is not None:
        query = query.where(drains.c.active == active)
    return cast(Sequence[DrainRow], connection.execute(query).all())


def of_drains(connection: Connection, ids: Collection[int]) -> Mapping[int, RecoveryRow]:
    """Drain -> its recovery; a drain that is none is left out."""
    rows = cast(Sequence[RecoveryRow], connection.execute(select(recoveries).where(_R.drain_id.in_(ids))).all())
    return {row.drain_id: row for row in rows}


def blocked(connection: Connection) -> Sequence[Row[str, str | None]]:
    """(host, note) of each active recovery that does not go on."""
    query = select(drains.c.host, drains.c.note).join(recoveries, recoveries.c.drain_id == drains.c.id)
    return connection.execute(query.where(drains.c.active == true(), drains.c.state == "blocked")).all()


def by_state(connection: Connection) -> Mapping[str, int]:
    """State of the drain -> how many recoveries."""
    query = select(drains.c.state, func.count().label("number")).join(recoveries, recoveries.c.drain_id == drains.c.id)
    return {row.state: row.number for row in connection.execute(query.group_by(drains.c.state))}
