"""Brings back what a drain took away, where it still makes sense: what is where the drain put it, and nothing else."""

from collections.abc import Sequence
from typing import Any

from migrator.db import drains, operations
from migrator.db.drain_rows import DrainRow
from migrator.db.engine import Connection
from migrator.operations import Kind
from migrator.scheduler.fleet.plan.model import MOVES, Way
from migrator.scheduler.fleet.plan.step import MoveView
from migrator.scheduler.fleet.plan.vocabulary import RESTORE, DrainRequest, DrainState, MoveState
from migrator.scheduler.requests.requests import Caller


def begin_restore(connection: Connection, drain: DrainRow, caller: Caller) -> DrainRow:
    """Begin one of a drain that is over. What it moved comes back by the same ways; what it stopped is started. Raises
    Conflict where the host has an active drain or restore."""
    asked = DrainRequest.parse(drain.request)
    ways = [way for way in asked.strategies if way in MOVES] or [Way.LIVE, Way.COLD]
    request = DrainRequest(ways, (drain.host,), asked.at_most, f"restores drain {drain.uuid}", disable=False)
    values = {
        "kind": RESTORE,
        "host": drain.host,
        "state": DrainState.RUNNING.value,
        "request": request.raw,
        "before": {},
        "request_id": caller.request_id,
        "user_id": caller.user_id,
        "project_id": caller.project_id,
    }
    made = drains.create(connection, values, None)
    done = [move for move in drains.moves(connection, drain.id) if move.state == MoveState.DONE]
    begun = operations.get_many(connection, [m.operation_id for m in done if m.operation_id is not None])
    ended = {row.id for row in begun if row.kind == Kind.STOP}
    for move in done:
        stopped = move.way == Way.STOP
        if not stopped or move.operation_id in ended:  # else it was off before the drain came to it
            row: dict[str, Any] = {
                "instance_uuid": move.instance_uuid,
                "name": move.name,
                "source": drain.host if stopped else move.destination or drain.host,
                "state": MoveState.WAITING.value,
                "way": Way.START.value if stopped else None,
                "position": move.position,
                "plan": {},
                "group_uuid": move.group_uuid,
                "attempts": 0,
            }
            drains.add_move(connection, made.id, row)
    drains.say(connection, made.id, "begun", f"restores drain {drain.uuid}, asked by {caller.user_id}")
    return made


def ways_back(move: MoveView, strategies: Sequence[Way]) -> Sequence[Way]:
    return [Way.START] if move.way is Way.START else strategies
