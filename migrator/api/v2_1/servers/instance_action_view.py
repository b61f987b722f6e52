"""Instance actions and their events as the Compute API shows them. Pure: rows in, dicts out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from migrator.api.public_messages import public
from migrator.api.timestamps import iso_us
from migrator.api.v2_1.servers.view import Version, host_id
from migrator.db.instance_actions import AT_ONCE, Action
from migrator.event_types import EventType
from migrator.operations import table_of
from migrator.scheduler.decision.public_errors import public_error

_FAILED = frozenset({"failed", "error"})
_ENTERED = (EventType.REQUESTED, EventType.PHASE_ENTERED)
_NAMES: Mapping[str, str] = {
    EventType.CANCEL_REQUESTED: "live_migration_cancel",
    EventType.FORCE_COMPLETE: "live_migration_force_complete",
    EventType.CONFIRMED: "confirmResize",
    EventType.REVERTED: "revertResize",
    EventType.STATE_RESET: "resetState",
}
_VERIFY = "verify"  # here an operation's own action is over; what comes then is its confirmation's or reversal's


def name_of(action: Action) -> str:
    table = table_of(action.kind)
    return _NAMES.get(action.about) or (table.action if table is not None else action.kind)


def _failed(action: Action) -> bool:
    return not action.active and action.status in _FAILED


def summary(action: Action, instance_uuid: str, version: Version) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "action": name_of(action),
        "instance_uuid": instance_uuid,
        "request_id": action.request_id,
        "user_id": action.user_id,
        "project_id": action.project_id,
        "start_time": iso_us(action.started_at),
        "message": "Error" if _failed(action) else None,
    }
    if version >= (2, 58):
        shown["updated_at"] = iso_us(action.updated_at)
    return shown


class Rights(NamedTuple):
    """What of an event the caller may see: its host, why it failed, and which hosts that names."""

    hosts: bool
    details: bool
    named: bool


def full(action: Action, instance_uuid: str, version: Version, may: Rights, phases: Sequence[Any]) -> dict[str, Any]:
    """With its events, one a phase, the newest first. Callers that may not see hosts see them from 2.51."""
    shown = summary(action, instance_uuid, version)
    if may.hosts or version >= (2, 51):
        shown["events"] = events(action, version, may, phases)
    return shown


def events(action: Action, version: Version, may: Rights, phases: Sequence[Any]) -> list[dict[str, Any]]:
    if action.about == EventType.STATE_RESET:  # of which Nova records no event either
        return []
    if action.about in AT_ONCE:
        only = _event(name_of(action), action, version, may)
        return [only | {"start_time": iso_us(action.started_at), "finish_time": iso_us(action.finished_at)}]
    lines = []
    begin, end = _part(action, phases)
    for position, row in enumerate(phases[begin:end], start=begin):
        following = phases[position + 1] if position + 1 < len(phases) else None
        finished = following.at if following is not None else action.finished_at
        gave_up = following.name == EventType.ROLLBACK_STARTED if following is not None else _failed(action)
        event = _event(f"{action.kind}_{_phase(row)}".replace("-", "_"), action, version, may, row.host)
        event["start_time"], event["finish_time"] = iso_us(row.at), iso_us(finished)
        event["result"] = None if finished is None else "Error" if gave_up else "Success"
        if version >= (2, 84) and may.details:
            event["details"] = _why(action, following, may) if gave_up and finished is not None else None
        lines.append(event)
    return lines[::-1]


def _part(action: Action, phases: Sequence[Any]) -> tuple[int, int]:
    """Which of the operation's phases belong to this action: from position to position."""
    if action.about:
        asked = [position for position, row in enumerate(phases) if row.name == action.about]
        return (asked[0] + 1 if asked else len(phases)), len(phases)
    own = [position for position, row in enumerate(phases) if row.phase == _VERIFY or row.name in _NAMES]
    return 0, own[0] if own else len(phases)


def _phase(row: Any) -> str:
    return str(row.phase) if row.name in _ENTERED else f"{row.phase}_{row.name}"


def _why(action: Action, following: Any | None, may: Rights) -> str | None:
    error: Mapping[str, Any] = action.error or {}
    if not may.named:
        return public_error(error) if following is not None or error else None
    if following is not None:
        return public(following.message)
    return public(error["message"]) if error.get("message") else None


def _event(name: str, action: Action, version: Version, may: Rights, host: str | None = None) -> dict[str, Any]:
    """``host`` None: the action's own. A traceback is never shown: the reason is in the details and the timeline."""
    where = host or action.host
    event: dict[str, Any] = {"event": name, "start_time": None, "finish_time": None, "result": "Success"}
    if may.hosts:
        event["traceback"] = None
    if version >= (2, 62):
        if may.hosts:
            event["host"] = where
        event["hostId"] = host_id(action.project_id, where)
    if version >= (2, 84) and may.details:
        event["details"] = None
    return event
