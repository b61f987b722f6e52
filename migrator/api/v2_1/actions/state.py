"""os-resetState: an administrator's word for a server's state."""

from collections.abc import Mapping
from typing import Any

from migrator.api.routing import ApiRequest
from migrator.api.v2_1.actions import schemas
from migrator.api.v2_1.actions.action import ServerAction, StartedAction
from migrator.scheduler.hosts import state_reset
from migrator.scheduler.hosts.state_reset import Reset


def _reset(request: ApiRequest, row: Any, value: Any) -> StartedAction:
    services = request.services
    state_reset.reset(services.db, request.caller, row.uuid, Reset(value["state"]), services.settings)
    return StartedAction()


ACTIONS: Mapping[str, ServerAction] = {"os-resetState": ServerAction(_reset, schemas.RESET_STATE, when_locked=True)}
