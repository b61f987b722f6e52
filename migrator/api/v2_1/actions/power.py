"""Start, stop, reboot, suspend, resume, pause and unpause; lock and unlock."""

from collections.abc import Callable, Mapping
from typing import Any

from migrator.api.routing import ApiRequest
from migrator.api.v2_1.actions import schemas
from migrator.api.v2_1.actions.action import ServerAction, StartedAction
from migrator.db import events, guest_failures, instances
from migrator.db.engine import Database
from migrator.event_types import EventType
from migrator.scheduler.requests import requests
from migrator.scheduler.requests.requests import Caller

_OWNER, _ADMIN = "owner", "admin"


def _plain(begin: Callable[[Database, Caller, str], int]) -> Callable[[ApiRequest, Any, Any], StartedAction]:
    """For an action that has no parameter but the instance's name."""

    def asked(request: ApiRequest, row: Any, _value: Any) -> StartedAction:
        return StartedAction(begin(request.services.db, request.caller, row.uuid))

    return asked


def _reboot(request: ApiRequest, row: Any, value: Any) -> StartedAction:
    soft = value["type"].upper() == "SOFT"
    return StartedAction(requests.reboot(request.services.db, request.caller, row.uuid, soft=soft))


def _stop(request: ApiRequest, row: Any, _value: Any) -> StartedAction:
    """Of a guest that failed and waits to be started again, too: it stays off."""
    if row.vm_state == "stopped" and _held_back(request, row.uuid):
        return StartedAction()
    return StartedAction(requests.stop(request.services.db, request.caller, row.uuid))


def _held_back(request: ApiRequest, uuid: str) -> bool:
    with request.services.db.write() as connection:
        row = instances.lock(connection, uuid)
        if row.vm_state != "stopped" or row.task_state is not None or not guest_failures.hold_back(connection, uuid):
            return False
        message = f"the guest failed, and is not started again: asked by {request.caller.user_id}"
        events.add(connection, EventType.POWER_STATE_CHANGED, message, instance_uuid=uuid, host=row.host)
        return True


def _lock(request: ApiRequest, row: Any, value: Any) -> StartedAction:
    """As in Nova: what is locked already stays so for its own project's callers, no matter which side locked it."""
    reason = value.get("locked_reason") if isinstance(value, Mapping) and request.version >= (2, 73) else None
    by = _side(request, row)
    with request.services.db.write() as connection:
        if instances.lock(connection, row.uuid).locked_by is None or by == _ADMIN:
            instances.change(connection, row.uuid, {"locked_by": by, "locked_reason": reason})
    return StartedAction()


def _unlock(request: ApiRequest, row: Any, _value: Any) -> StartedAction:
    with request.services.db.write() as connection:
        if instances.lock(connection, row.uuid).locked_by not in (None, _side(request, row)):
            request.require("os_compute_api:os-lock-server:unlock:unlock_override", row)
        instances.change(connection, row.uuid, {"locked_by": None, "locked_reason": None})
    return StartedAction()


def _side(request: ApiRequest, row: Any) -> str:
    """Who locks: Nova's "owner" is every caller of the instance's own project, an administrator too."""
    return _OWNER if request.caller.project_id == row.project_id else _ADMIN


ACTIONS: Mapping[str, ServerAction] = {
    "os-start": ServerAction(_plain(requests.start)),
    "os-stop": ServerAction(_stop),
    "suspend": ServerAction(_plain(requests.suspend)),
    "resume": ServerAction(_plain(requests.resume)),
    "pause": ServerAction(_plain(requests.pause)),
    "unpause": ServerAction(_plain(requests.unpause)),
    "reboot": ServerAction(_reboot, schemas.REBOOT),
    "forceDelete": ServerAction(_plain(requests.delete_instance)),
    "lock": ServerAction(_lock, schemas.LOCK, when_locked=True),
    "unlock": ServerAction(_unlock, when_locked=True),
}
