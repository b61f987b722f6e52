"""Writes down what becomes of a drain, of whatever kind: that it was asked for, its plan, its moves. Never begins a
move."""

from collections.abc import Mapping
from typing import Any

from migrator.db import drains, server_heartbeat
from migrator.db.drain_rows import DrainRow
from migrator.db.engine import Connection
from migrator.scheduler.fleet.plan.model import FleetPlan, PlannedMove, Way
from migrator.scheduler.fleet.plan.step import MoveChange
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest, DrainState, MoveState
from migrator.scheduler.requests.requests import Caller


def create(
    connection: Connection,
    caller: Caller,
    kind: str,
    host: str,
    request: DrainRequest,
    before: Mapping[str, Any],
    deadline_s: float | None = None,
) -> DrainRow:
    """A drain of any kind that the caller asked for. Raises Conflict where the host has an active one."""
    values = {
        "kind": kind,
        "host": host,
        "state": DrainState.RUNNING.value,
        "request": request.raw,
        "before": before,
        "request_id": caller.request_id,
        "user_id": caller.user_id,
        "project_id": caller.project_id,
    }
    return drains.create(connection, values, deadline_s)


def note(connection: Connection, drain: DrainRow, change: MoveChange) -> None:
    """What became of a move."""
    values: dict[str, Any] = {"state": change.state.value, "error": change.error}
    if change.state is MoveState.WAITING:
        values["destination"] = None  # it is planned anew
        values["not_before"] = server_heartbeat.clock(connection) + change.pause_s if change.pause_s else None
    if change.attempts is not None:
        values["attempts"] = change.attempts
    drains.change_move(connection, drain.id, change.uuid, values)
    drains.say(connection, drain.id, change.event, change.message, change.uuid)


def write_planned(connection: Connection, drain: DrainRow, move: PlannedMove, position: int, *, new: bool) -> None:
    """``new``: the drain has no move of this instance yet."""
    states = {None: MoveState.STUCK, Way.LEAVE: MoveState.LEFT}
    plan = ("why", "remedy", "duration_s", "downtime_s", "begin_s", "end_s")
    group = move.guest.group
    values: dict[str, Any] = {
        "state": states.get(move.way, MoveState.WAITING).value,
        "way": move.way.value if move.way is not None else None,
        "destination": move.destination,
        "position": position,
        "plan": {name: getattr(move, name) for name in plan},
        "group_uuid": group.uuid if group is not None and not group.soft else None,
    }
    if not new:
        drains.change_move(connection, drain.id, move.guest.uuid, values)
        return
    first = {"instance_uuid": move.guest.uuid, "name": move.guest.name, "source": move.guest.source, "attempts": 0}
    drains.add_move(connection, drain.id, first | values)


def told(found: FleetPlan) -> str:
    """The newest plan in one line."""
    ways = [str(move.way or "cannot go") for move in found.moves]
    each = ", ".join(f"{ways.count(way)} {way}" for way in dict.fromkeys(ways)) or "nothing to move"
    late = f"; after the deadline: {', '.join(found.late[:20])}" if found.late else ""
    return f"{each}; {found.total_s:.0f} to {found.longest_s:.0f} s{late}"
