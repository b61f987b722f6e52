"""Brings back what a drain took away, where it still makes sense: what is where the drain put it, and nothing else."""

from collections.abc import Iterator, Sequence
from typing import Any

from migrator.db import drains, operations
from migrator.db.drain_rows import DrainRow
from migrator.db.engine import Connection
from migrator.operations import Kind
from migrator.scheduler.fleet.plan.model import MOVES, Way
from migrator.scheduler.fleet.plan.step import MoveView
from migrator.scheduler.fleet.plan.vocabulary import RESTORE, DrainRequest, MoveState
from migrator.scheduler.fleet.records import create
from migrator.scheduler.requests.requests import Caller


def begin_restore(connection: Connection, restored: Sequence[DrainRow], caller: Caller) -> DrainRow:
    """Begin one of drains of a host that are over, the newest first. What they moved comes back by the newest one's
    ways; what they stopped is started. Raises Conflict where the host has an active drain or restore."""
    newest = restored[0]
    asked = DrainRequest.parse(newest.request)
    ways = [way for way in asked.strategies if way in MOVES] or [Way.LIVE, Way.COLD]
    more = f" and {len(restored) - 1} earlier" if len(restored) > 1 else ""
    reason = f"restores drain {newest.uuid}{more}"
    request = DrainRequest(ways, (newest.host,), asked.at_most, reason, disable=False)
    restores = {"restores": [drain.uuid for drain in restored]}
    made = create(connection, caller, RESTORE, newest.host, request, restores)
    found: dict[str, dict[str, Any]] = {}
    for drain in restored:
        for row in _back(connection, drain):
            found.setdefault(row["instance_uuid"], row)
    for row in found.values():
        drains.add_move(connection, made.id, row)
    drains.say(connection, made.id, "begun", f"{reason}, asked by {caller.user_id}")
    return made


def _back(connection: Connection, drain: DrainRow) -> Iterator[dict[str, Any]]:
    """The moves that undo those of the drain."""
    done = [move for move in drains.moves(connection, drain.id) if move.state == MoveState.DONE]
    begun = operations.get_many(connection, [m.operation_id for m in done if m.operation_id is not None])
    ended = {row.id for row in begun if row.kind == Kind.STOP}
    for move in done:
        stopped = move.way == Way.STOP
        if not stopped or move.operation_id in ended:  # else it was off before the drain came to it
            yield {
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


def ways_back(move: MoveView, strategies: Sequence[Way]) -> Sequence[Way]:
    return [Way.START] if move.way is Way.START else strategies
