"""Turns the rows of a drain into what ``plan.step`` looks at. Changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from migrator.db import drains, hosts, instances, operations
from migrator.db.clock import now
from migrator.db.drain_rows import DrainMoveRow, DrainRow
from migrator.db.engine import Connection
from migrator.db.rows import InstanceRow, OperationRow
from migrator.operations import VERIFY
from migrator.scheduler.fleet.plan.model import Way
from migrator.scheduler.fleet.plan.step import DrainView, GuestView, MoveView, Occupied, OperationView, occupied
from migrator.scheduler.fleet.plan.vocabulary import DRAIN, DrainRequest, DrainState, MoveState
from migrator.scheduler.fleet.planning import budgets_of
from migrator.scheduler.state import host_views
from migrator.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class Loaded:
    """``here``: instances on the host now, of a drain; ``rows``: the moves' instances, without deleted ones."""

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
    here = instances.on_host(connection, drain.host) if drain.kind == DRAIN else ()
    known = {move.instance_uuid for move in found}
    view = DrainView(
        state=DrainState(drain.state),
        moves=move_views(found, {row.id: row for row in begun}, rows),
        budgets=budgets_of(request, settings),
        usable=usable(connection, request, settings),
        others=others(connection, drain.id),
        may_leave=Way.LEAVE in request.strategies,
        late=drain.deadline_at is not None and moment > drain.deadline_at,
        unlisted=any(row.uuid not in known for row in here),
        undo=drain.undo,
        plan_age_s=moment - drain.planned_at if drain.planned_at is not None else None,
    )
    return Loaded(drain, request, view, here, rows, moment)


def move_views(
    found: Sequence[DrainMoveRow], begun: Mapping[int, OperationRow], rows: Mapping[str, InstanceRow]
) -> list[MoveView]:
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
    return OperationView(row.id, row.active and row.holds, verifying, row.cancel_requested, error)


def _guest(row: InstanceRow | None) -> GuestView | None:
    return GuestView(row.host, row.vm_state, row.task_state is not None) if row is not None else None


def usable(connection: Connection, request: DrainRequest, settings: ServerSettings) -> frozenset[str]:
    rows = hosts.by_names(connection, request.to) if request.to else hosts.every(connection)
    views = [host_views.host_view(row, settings.service_down_time) for row in rows]
    return frozenset(view.name for view in views if view.up and not view.disabled)
