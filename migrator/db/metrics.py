"""What a monitoring system wants to know of everything at once: a few aggregate queries, each over one table.

Never decides what is good or bad. What has ended is read once, in the order in which it ended.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, case, false, func, literal, or_, select, true, tuple_, update

from migrator.db import hosts as host_rows
from migrator.db.clock import now_expression
from migrator.db.rows import HostRow
from migrator.db.server_heartbeat import clock_expression
from migrator.db.tables import ended_totals as ended_totals_table
from migrator.db.tables import hosts, instances, operations

SETTLED_S = 5.0  # by then the transaction that ended an operation is committed, and the last statistics have come in
_AT_ONCE = 500  # rows; more are read by the next look
_O = operations.c


def ended(connection: Connection, after: tuple[float, int]) -> Sequence[Any]:
    """Rows (id, kind, status, finished_at, outcome) of what ended after ``after`` (finished_at, id), oldest first. One
    that has just ended is left for later, so that nothing ends before what was read already."""
    since, ident = after
    settled = _O.finished_at <= now_expression(connection) - SETTLED_S
    later = tuple_(_O.finished_at, _O.id) > tuple_(literal(since), literal(ident))
    query = select(_O.id, _O.kind, _O.status, _O.finished_at, _O.outcome)
    query = query.where(later, settled)
    return connection.execute(query.order_by(_O.finished_at, _O.id).limit(_AT_ONCE)).all()


def ended_totals(connection: Connection) -> Row[Any]:
    """(finished_at, operation_id, totals): what was counted last, and what it came to."""
    return connection.execute(select(ended_totals_table)).one()


def keep_ended_totals(
    connection: Connection, seen: Row[Any], after: tuple[float, int], totals: Mapping[str, Any]
) -> None:
    """In place of ``seen``, unless another server was faster."""
    table = ended_totals_table.c
    unchanged = (table.finished_at == seen.finished_at, table.operation_id == seen.operation_id)
    values = {"finished_at": after[0], "operation_id": after[1], "totals": dict(totals)}
    connection.execute(update(ended_totals_table).where(*unchanged).values(**values))


def active(connection: Connection, alarms: Sequence[str]) -> Sequence[Row[Any]]:
    """By kind and phase: ``number`` active operations, ``waiting`` of them for a named reason, ``queued``, ``alarmed``
    (the reason begins with one of ``alarms``), and ``oldest_s`` since one of them entered its phase."""

    def counted(condition: Any) -> Any:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    query = select(
        _O.kind,
        _O.phase,
        func.count().label("number"),
        counted(_O.wait_reason.is_not(None)).label("waiting"),
        counted(_O.wait_reason.like("queued:%")).label("queued"),
        counted(or_(*(_O.wait_reason.like(f"{word}%") for word in alarms))).label("alarmed"),
        (clock_expression(connection) - func.min(_O.phase_since)).label("oldest_s"),
    )
    return connection.execute(query.where(_O.active == true()).group_by(_O.kind, _O.phase)).all()


def instances_by_state(connection: Connection) -> Sequence[Row[Any]]:
    """(vm_state, number)"""
    query = select(instances.c.vm_state, func.count().label("number")).where(instances.c.deleted == false())
    return connection.execute(query.group_by(instances.c.vm_state)).all()


def every_host(connection: Connection) -> Sequence[HostRow]:
    return host_rows.every(connection)


def by_host(connection: Connection) -> Mapping[str, Mapping[str, int]]:
    """Host -> {"instances": that its record names, "out": active operations that leave it, "in": that come to it}."""
    held = select(instances.c.host, func.count()).where(instances.c.deleted == false(), instances.c.host.is_not(None))
    moving = (_O.active == true(), _O.moves == true())
    leaving = select(_O.source, func.count()).where(*moving, _O.source.is_not(None)).group_by(_O.source)
    coming = select(_O.destination, func.count()).where(*moving, _O.destination.is_not(None)).group_by(_O.destination)
    found: dict[str, dict[str, int]] = {
        name: {"instances": 0, "out": 0, "in": 0} for name in connection.execute(select(hosts.c.name)).scalars()
    }
    for word, query in (("instances", held.group_by(instances.c.host)), ("out", leaving), ("in", coming)):
        for name, number in connection.execute(query):
            if name in found:
                found[name][word] = number
    return found
