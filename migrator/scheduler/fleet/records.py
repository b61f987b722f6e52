"""Writes down that a drain, of whatever kind, was asked for. Never begins a move of one."""

from collections.abc import Mapping
from typing import Any

from migrator.db import drains
from migrator.db.drain_rows import DrainRow
from migrator.db.engine import Connection
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest, DrainState
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
