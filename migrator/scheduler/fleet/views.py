"""Turns the rows of a drain into what ``plan.step`` looks at. Changes nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from migrator.db import drains, hosts, instances, operations, recoveries, server_heartbeat
from migrator.db.clock import now
from migrator.db.drain_rows import DrainMoveRow, DrainRow, HeardRow
from migrator.db.engine import Connection
from migrator.db.rows import InstanceRow, OperationRow
from migrator.errors import BadRequest, Conflict
from migrator.operations import VERIFY
from migrator.scheduler.fleet import rebalance_rules, silent_hosts
from migrator.scheduler.fleet.plan.model import Way
from migrator.scheduler.fleet.plan.step import (
    LONGEST_PAUSE_S,
    DrainView,
    GuestView,
    MoveView,
    Occupied,
    OperationView,
    occupied,
)
from migrator.scheduler.fleet.plan.vocabulary import (
    ATTEMPTS,
    DRAIN,
    EVACUATION,
    REBALANCE,
    RESTORE,
    SETTLED,
    DrainRequest,
    DrainState,
    MoveState,
)
from migrator.scheduler.fleet.planning import budgets_of
from migrator.scheduler.requests import lost_host
from migrator.settings import ServerSettings

_SILENT = "host {} is silent: bring it back, or evacuate it"


@dataclass(frozen=True, slots=True)
class Loaded:
    """``here``: instances on the host that the drain is about; ``rows``: the moves' instances, without deleted ones."""

    drain: DrainRow
    request: DrainRequest
    view: DrainView
    here: Sequence[InstanceRow]
    rows: Mapping[str, InstanceRow]
    moment: float


def load(connection: Connection, ident: int, settings: ServerSettings) -> Loaded:
    """Raises DrainNotFound."""
    drain = drains.get(connection, str(ident))
    request, moment = DrainRequest.parse(drain.request), now(connection)
    found = drains.moves(connection, drain.id)
    begun = operations.get_many(connection, [m.operation_id for m in found if m.operation_id is not None])
    rows = instances.by_uuids(connection, [move.instance_uuid for move in found])
    empties = drain.host if drain.kind == EVACUATION or (drain.kind == DRAIN and request.disable) else None
    lists = empties is not None or (drain.kind == DRAIN and drain.planned_at is None)
    here = instances.on_host(connection, drain.host) if lists else ()
    known = {move.instance_uuid for move in found}
    states = drains.hosts_heard(connection)
    hindered, returned = _hindered(connection, drain, found, states, settings), ""
    if drain.kind == EVACUATION:
        lost = _recovering if request.by_policy else _lost
        hindered, returned = lost(connection, drain, settings)
    view = DrainView(
        state=DrainState(drain.state),
        moves=move_views(found, {row.id: row for row in begun}, rows, server_heartbeat.clock(connection)),
        budgets=budgets_of(request, settings),
        usable=usable(states, request, settings),
        others=others(connection, drain.id),
        may_leave=Way.LEAVE in request.strategies,
        late=drain.deadline_at is not None and moment > drain.deadline_at,
        unlisted=any(row.uuid not in known for row in here),
        undo=drain.undo,
        plan_age_s=moment - drain.planned_at if drain.planned_at is not None else None,
        hindered=hindered,
        returned=returned,
        empties=empties,
        arriving=drains.arriving(connection, empties) if empties is not None else (),
        note=drain.note or "",
        attempts=settings.ha_attempts if request.by_policy else ATTEMPTS,
        backoff_s=settings.ha_backoff if request.by_policy else 0.0,
    )
    return Loaded(drain, request, view, here, rows, moment)


def _hindered(
    connection: Connection,
    drain: DrainRow,
    found: Sequence[DrainMoveRow],
    states: Sequence[HeardRow],
    settings: ServerSettings,
) -> Mapping[str, str]:
    """Hosts that instances leave, or are started on -> why nothing can begin there now; not for an evacuation."""
    many = drain.kind in (RESTORE, REBALANCE)
    leaving = {drain.host} if not many else {move.source for move in found if move.state not in SETTLED}
    if drain.kind == REBALANCE and (message := rebalance_rules.rest(connection, settings)):
        return dict.fromkeys(leaving, message)
    return {row.name: _SILENT.format(row.name) for row in states if row.name in leaving and not _up(row, settings)}


def _lost(connection: Connection, drain: DrainRow, settings: ServerSettings) -> tuple[Mapping[str, str], str]:
    """Why nothing can be evacuated from the host now, and why nothing has to be any more; {} and "": neither."""
    host = drain.host
    for row in hosts.by_names(connection, [host]):
        try:
            lost_host.check(row, settings, "nothing is evacuated:")
        except BadRequest:
            return {}, f"host {host} is back"
        except Conflict as error:
            return {host: error.sentence}, ""
    return {}, ""


def _recovering(connection: Connection, drain: DrainRow, settings: ServerSettings) -> tuple[Mapping[str, str], str]:
    """As ``_lost``. Only a host's own word says that it is back: an operator who takes forced_down back has another
    patience with its silence, and nothing more."""
    host = drain.host
    for row in hosts.by_names(connection, [host]):
        if row.last_seen != recoveries.of_drains(connection, [drain.id])[drain.id].lost_at:
            return {}, f"host {host} is back"
        if message := silent_hosts.hindrance(connection, host, settings):
            return {host: message}, ""
    return {}, ""


def move_views(
    found: Sequence[DrainMoveRow],
    begun: Mapping[int, OperationRow],
    rows: Mapping[str, InstanceRow],
    clock: float = math.inf,
) -> list[MoveView]:
    """``clock``: now, by the servers' clock."""
    return [
        MoveView(
            move.instance_uuid,
            move.name,
            move.source,
            MoveState(move.state),
            Way(move.way) if move.way is not None else None,
            move.destination,
            move.group_uuid,
            move.attempts,
            _operation(begun.get(move.operation_id or 0)),
            _guest(rows.get(move.instance_uuid)),
            move.not_before is not None and 0.0 < move.not_before - clock <= LONGEST_PAUSE_S,
        )
        for move in found
    ]


def others(connection: Connection, but: int) -> list[Occupied]:
    """What moves of other drains are under way."""
    rows = [row for row in drains.under_way(connection) if row.drain_id != but]
    return occupied(move_views(rows, {}, {}))


def _operation(row: OperationRow | None) -> OperationView | None:
    if row is None:
        return None
    verifying = row.phase == VERIFY and row.forward and not (row.confirm_requested or row.cancel_requested)
    error = str((row.error or {}).get("message") or "")
    return OperationView(row.id, row.active and row.locks_instance, verifying, row.cancel_requested, error)


def _guest(row: InstanceRow | None) -> GuestView | None:
    return GuestView(row.host, row.vm_state, row.task_state is not None) if row is not None else None


def usable(states: Sequence[HeardRow], request: DrainRequest, settings: ServerSettings) -> frozenset[str]:
    """Of the hosts that the request allows, those that take instances in."""
    allowed = [row for row in states if not request.to or row.name in request.to]
    return frozenset(row.name for row in allowed if _up(row, settings) and row.approved and not row.disabled)


def _up(row: HeardRow, settings: ServerSettings) -> bool:
    return not row.forced_down and row.silent_s <= settings.service_down_time
