"""What was done to an instance: its operations of every kind, and the requests to cancel, confirm or revert one, newest
first.

Reads only. The rows of both have the same shape, so that the view need not know which table a line came from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from migrator.db.tables import events, operations
from migrator.errors import BadRequest, NotFound

_o = operations.c
ABOUT = ("cancel", "force", "confirm", "revert")  # names of events that are requests of their own
AT_ONCE = ("cancel", "force")  # over as soon as they are heard
_PHASES = ("begin", "phase", "reverse", "retry")


@dataclass(frozen=True, slots=True)
class Action:
    """One line. ``about`` is "" for the operation itself, else what was asked of it: one of ABOUT. ``status`` is the
    operation's; ``error`` its {code, message}. Times: seconds since the epoch."""

    operation_id: int
    kind: str
    about: str
    request_id: str
    user_id: str
    project_id: str
    started_at: float
    updated_at: float
    finished_at: float | None
    active: bool
    status: str
    host: str | None
    error: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ActionQuery:
    changes_since: float | None = None
    changes_before: float | None = None
    limit: int | None = None
    marker: str | None = None


def page(connection: Connection, instance_uuid: str, query: ActionQuery) -> Sequence[Action]:
    """One page, the newest first. Raises BadRequest for a marker that is no request id of this instance."""
    found = [action for action in every(connection, instance_uuid) if _within(action, query)]
    if query.marker is not None:
        places = [i for i, action in enumerate(found) if action.request_id == query.marker]
        if not places:
            raise BadRequest(f"Marker {query.marker} could not be found.")
        found = found[places[-1] + 1 :]
    return found if query.limit is None else found[: query.limit]


def _within(action: Action, query: ActionQuery) -> bool:
    since, before = query.changes_since, query.changes_before
    return (since is None or action.updated_at >= since) and (before is None or action.updated_at <= before)


def get(connection: Connection, instance_uuid: str, request_id: str) -> Action:
    """Raises NotFound."""
    for action in every(connection, instance_uuid):
        if action.request_id == request_id:
            return action
    raise NotFound(f"Action {request_id} not found")


def every(connection: Connection, instance_uuid: str) -> list[Action]:
    rows = connection.execute(select(operations).where(_o.instance_uuid == instance_uuid)).all()
    actions = [_operation(row) for row in rows]
    by_id = {row.id: row for row in rows}
    asked = connection.execute(
        select(events).where(events.c.instance_uuid == instance_uuid, events.c.name.in_(ABOUT)).order_by(events.c.id)
    ).all()
    actions += [_request(event, by_id[event.operation_id]) for event in asked if event.operation_id in by_id]
    return sorted(actions, key=lambda action: (action.started_at, action.operation_id, action.about), reverse=True)


def _operation(row: Row[Any]) -> Action:
    return Action(
        operation_id=row.id,
        kind=row.kind,
        about="",
        request_id=row.request_id,
        user_id=row.user_id,
        project_id=row.project_id,
        started_at=row.created_at,
        updated_at=row.finished_at or row.updated_at or row.created_at,
        finished_at=row.finished_at,
        active=row.active,
        status=row.status,
        host=row.destination if row.kind == "build" else row.source,
        error=row.error,
    )


def _request(event: Row[Any], row: Row[Any]) -> Action:
    """A confirmation and a reversal last as long as the operation."""
    details = event.details or {}
    over = event.name in AT_ONCE
    return Action(
        operation_id=row.id,
        kind=row.kind,
        about=event.name,
        request_id=details.get("request_id", f"req-{row.uuid}"),
        user_id=details.get("user_id", row.user_id),
        project_id=details.get("project_id", row.project_id),
        started_at=event.at,
        updated_at=event.at if over else row.finished_at or row.updated_at or event.at,
        finished_at=event.at if over else row.finished_at,
        active=not over and row.active,
        status="completed" if over else row.status,
        host=row.destination if event.name == "revert" else row.source,
        error=None if over else row.error,
    )


def phases(connection: Connection, operation_id: int) -> Sequence[Row[Any]]:
    """The timeline's lines that begin a phase, and the requests between them, oldest first."""
    return connection.execute(
        select(events)
        .where(events.c.operation_id == operation_id, events.c.name.in_((*_PHASES, "confirm", "revert")))
        .order_by(events.c.id)
    ).all()
