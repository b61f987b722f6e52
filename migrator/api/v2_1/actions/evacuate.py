"""evacuate, as each microversion has it: with onSharedStorage and a password in the answer below 2.14, with ``force``
(accepted, and verified all the same) from 2.29 to 2.67, ending stopped from 2.95."""

from collections.abc import Mapping
from typing import Any

from migrator.api.routing import ApiRequest
from migrator.api.v2_1.actions import schemas
from migrator.api.v2_1.actions.action import ServerAction, StartedAction
from migrator.api.v2_1.common.schemas import TRUE
from migrator.db import hosts
from migrator.errors import BadRequest, NotFound
from migrator.scheduler.decision import evacuated_disks
from migrator.scheduler.requests import evacuation

DISKS_HEADER = "X-Migrator-Disks"  # which disks are kept and which are made anew: Nova's answer has no place for it
PASSWORD_HEADER = "X-Migrator-Password"  # that nothing sets the password that is sent or answered
_NOT_SET = "not set: no config drive is made anew, and nothing else would tell the guest"
_NOT_ASKED = (2, 14)  # from here no request tells about shared storage, and no answer has a password
_STOPPED = (2, 95)


def _evacuate(request: ApiRequest, row: Any, value: Any) -> StartedAction:
    host, password = value.get("host"), value.get("adminPass")
    shared = value["onSharedStorage"] in TRUE if request.version < _NOT_ASKED else None
    if shared and password is not None:
        raise BadRequest("admin password can't be changed on existing disk")
    if host is not None:
        _check_host(request, row, host)
    asked = evacuation.EvacuationRequest(
        host=host,
        on_shared_storage=shared,
        admin_pass=password,
        generate=request.version < _NOT_ASKED,
        stopped=request.version >= _STOPPED,
    )
    begun = evacuation.evacuate(request.services.db, request.caller, row.uuid, request.services.settings, asked)
    body = {"adminPass": begun.admin_pass} if request.version < _NOT_ASKED else None
    told = evacuated_disks.describe(begun.disks)
    headers = {DISKS_HEADER: told} if told else {}
    headers |= {PASSWORD_HEADER: _NOT_SET} if begun.admin_pass is not None and not begun.told else {}
    return StartedAction(begun.operation_id, body, headers)


def _check_host(request: ApiRequest, row: Any, host: str) -> None:
    with request.services.db.read() as connection:
        known = hosts.by_names(connection, [host])
    if not known:
        raise NotFound(f"Compute host {host} not found.")
    if host == row.host:
        raise BadRequest("The target host can't be the same one.")


ACTIONS: Mapping[str, ServerAction] = {
    "evacuate": ServerAction(_evacuate, schemas.EVACUATE, when_locked=True, status=200)
}
