"""What was done to an instance: its operations of every kind, the requests to cancel, confirm or revert one, and resets
of its state, newest first.

Reads only. The rows of both have the same shape, so that the view need not know which table a line came from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, literal, select, text, tuple_

from migrator.db.operations import get_many
from migrator.db.rows import OperationRow
from migrator.db.tables import IS_REQUEST, events, operations
from migrator.errors import BadRequest, NotFound
from migrator.event_types import EventType

_o = operations.c
AT_ONCE = (EventType.CANCEL_REQUESTED, EventType.FORCE_COMPLETE)  # over as soon as they are heard
PagePosition = tuple[float, int, str]
"""Where an action stands: when it began, the operation's id, what was asked of it."""
_PHASES = (
    *(EventType.REQUESTED, EventType.PHASE_ENTERED, EventType.ROLLBACK_STARTED, EventType.RESCHEDULED),
    *(EventType.CONFIRMED, EventType.REVERTED),
)


@dataclass(frozen=True, slots=True)
class Action:
    """One line. ``about`` is "" for the operation itself, else what was asked of it. ``status`` is the
    operation's; ``error`` its {code, message}. ``operation_id`` 0, ``kind`` "": a reset. Times: seconds since the
    epoch."""

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
    before = None
    if query.marker is not None:
        named = _named(connection, instance_uuid, query.marker)
        if not named:
            raise BadRequest(f"Marker {query.marker} could not be found.")
        before = min(map(_place, named))
    found = list(_operations(connection, instance_uuid, query, before))
    found += _requests(connection, instance_uuid, query, before)
    return sorted(found, key=_place, reverse=True)[: query.limit]


def _place(action: Action) -> PagePosition:
    return action.started_at, action.operation_id, action.about


def _operations(
    connection: Connection, instance_uuid: str, query: ActionQuery, before: PagePosition | None
) -> Sequence[Action]:
    changed = func.coalesce(_o.finished_at, _o.updated_at, _o.created_at)
    wanted = [_o.instance_uuid == instance_uuid]
    if before is not None:
        # An operation stands after the requests about it that came at the same moment.
        at, ident = before[0], before[1] + (before[2] != "")
        wanted.append(tuple_(_o.created_at, _o.id) < tuple_(literal(at), literal(ident)))
    if query.changes_since is not None:
        wanted.append(changed >= query.changes_since)
    if query.changes_before is not None:
        wanted.append(changed <= query.changes_before)
    statement = select(operations).where(*wanted).order_by(_o.created_at.desc(), _o.id.desc()).limit(query.limit)
    return [_operation(row) for row in connection.execute(statement)]


def _requests(
    connection: Connection, instance_uuid: str, query: ActionQuery, before: PagePosition | None
) -> Sequence[Action]:
    """Few: an operation is cancelled, forced, confirmed or reverted once or twice, and a state seldom reset."""
    wanted = [events.c.instance_uuid == instance_uuid]
    if before is not None:
        wanted.append(events.c.at <= before[0])
    asked = connection.execute(
        select(events).where(text(IS_REQUEST), *wanted).order_by(events.c.at.desc(), events.c.id.desc())
    ).all()
    about = {event.operation_id for event in asked if event.operation_id is not None}
    rows = {row.id: row for row in get_many(connection, about)}
    found = [_request(event, rows[event.operation_id]) for event in asked if event.operation_id in rows]
    found += [_reset(event) for event in asked if event.name == EventType.STATE_RESET]
    return [action for action in found if (before is None or _place(action) < before) and _within(action, query)]


def _within(action: Action, query: ActionQuery) -> bool:
    since, before = query.changes_since, query.changes_before
    return (since is None or action.updated_at >= since) and (before is None or action.updated_at <= before)


def get(connection: Connection, instance_uuid: str, request_id: str) -> Action:
    """Raises NotFound."""
    found = _named(connection, instance_uuid, request_id)
    if not found:
        raise NotFound(f"Action {request_id} not found")
    return max(found, key=_place)


def _named(connection: Connection, instance_uuid: str, request_id: str) -> list[Action]:
    """The operations, or requests about them, that go by this id."""
    mine = select(operations).where(_o.instance_uuid == instance_uuid, _o.request_id == request_id)
    found = [_operation(row) for row in connection.execute(mine)]
    asked = _requests(connection, instance_uuid, ActionQuery(), None)
    return found + [action for action in asked if action.request_id == request_id]


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


def _request(event: Row[Any], row: OperationRow) -> Action:
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
        host=row.destination if event.name == EventType.REVERTED else row.source,
        error=None if over else row.error,
    )


def _reset(event: Row[Any]) -> Action:
    return Action(
        operation_id=0,
        kind="",
        about=EventType.STATE_RESET,  # about no operation, and over at once
        **{name: (event.details or {}).get(name, "") for name in ("request_id", "user_id", "project_id")},
        started_at=event.at,
        updated_at=event.at,
        finished_at=event.at,
        active=False,
        status="completed",
        host=event.host,
        error=None,
    )


def phases(connection: Connection, operation_id: int) -> Sequence[Row[Any]]:
    """The timeline's lines that begin a phase, and the requests between them, oldest first."""
    return connection.execute(
        select(events)
        .where(events.c.operation_id == operation_id, events.c.name.in_([each.value for each in _PHASES]))
        .order_by(events.c.id)
    ).all()
