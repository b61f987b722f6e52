"""POST /servers/{id}/action: exactly one action a body, by name, from one table.

Owns the actions' schemas and the waiting that microversions below 2.34 promise. The rules of who may begin what in
which state are ``scheduler/requests``'.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from migrator.api import server_schemas as schemas
from migrator.api.routing import Answer, ApiRequest, Route, check_body
from migrator.api.servers import find
from migrator.db import instance_records, operations
from migrator.db import instances as instance_rows
from migrator.errors import BadRequest, Conflict, Forbidden
from migrator.operations import OPERATIONS, Kind
from migrator.scheduler import requests

_ASYNCHRONOUS = (2, 34)  # from here a refusal is in the migration's record, not in the answer
_WAIT_S = 20.0
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class ActionRule:
    """``begin`` gets the request, the instance's UUID and the action's own value; the id of the operation it began."""

    begin: Callable[[ApiRequest, str, Any], int | None]
    body: schemas.Versioned = schemas.ANYTHING
    policy: str | None = None  # name of the rule that only an administrator passes
    when_locked: bool = False


def act(request: ApiRequest) -> Answer:
    body = request.body
    if not isinstance(body, Mapping) or len(body) != 1:
        raise BadRequest("Malformed request body")
    name, value = next(iter(body.items()))
    rule = ACTIONS.get(name)
    if rule is None:
        raise BadRequest(_no_such_action(name))
    check_body(rule.body, body, request.version)
    if rule.policy and not request.caller.is_admin:
        raise Forbidden(f"Policy doesn't allow {rule.policy} to be performed.")
    uuid = request.params["id"]
    row = find(request, uuid)
    if row.locked_by and not rule.when_locked and not request.caller.is_admin:
        raise Conflict(f"Instance {uuid} is locked")
    operation_id = rule.begin(request, uuid, value)
    if operation_id is not None:
        request.services.reconciler.reconcile(operation_id)
        if name == "os-migrateLive" and request.version < _ASYNCHRONOUS:
            _wait_for_checks(request, operation_id)
    return Answer(202)


# what Nova has and this server does not have (yet): said so, instead of "no such action"
_KNOWN_ELSEWHERE = frozenset(
    schemas.words(
        "migrate resize confirmResize revertResize evacuate rebuild pause unpause suspend resume shelve shelveOffload "
        "unshelve rescue unrescue createImage createBackup addFloatingIp removeFloatingIp addSecurityGroup "
        "removeSecurityGroup changePassword forceDelete restore trigger_crash_dump os-getConsoleOutput os-resetState "
        "resetNetwork injectNetworkInfo os-getVNCConsole os-getSPICEConsole os-getRDPConsole os-getSerialConsole"
    )
)


def _no_such_action(name: str) -> str:
    if name in _KNOWN_ELSEWHERE:
        return f"There is no such action: {name} (this server does not offer it)"
    return f"There is no such action: {name}"


def _start(request: ApiRequest, uuid: str, _value: Any) -> int:
    return requests.start(request.services.db, request.caller, uuid)


def _stop(request: ApiRequest, uuid: str, _value: Any) -> int:
    return requests.stop(request.services.db, request.caller, uuid)


def _reboot(request: ApiRequest, uuid: str, value: Any) -> int:
    return requests.reboot(request.services.db, request.caller, uuid, soft=value["type"].upper() == "SOFT")


def _migrate_live(request: ApiRequest, uuid: str, value: Any) -> int:
    host, block = value["host"], value["block_migration"]
    row = find(request, uuid)
    # in a wrong state the answer is 409, whatever the host: so says requests.live_migrate
    if row.task_state is None and row.vm_state in ("active", "paused"):
        _check_hosts(request, row, host)
    wanted = None if block == "auto" else block in schemas.TRUE
    return requests.live_migrate(request.services.db, request.caller, uuid, host=host, block=wanted)


def _check_hosts(request: ApiRequest, row: Any, host: str | None) -> None:
    """What the answer itself must say: an unknown host always, and below 2.34 the source itself or a host that is
    down. Above, the scheduler finds those, and the migration's record names them."""
    with request.services.db.read() as connection:
        names = {name for name in (host, row.host) if name}
        states = instance_rows.host_states(connection, names, request.services.settings.service_down_time)
    if host is not None and host not in states:
        raise BadRequest(f"Compute host {host} could not be found.")
    if request.version >= _ASYNCHRONOUS:
        return
    if host == row.host:
        raise BadRequest(f"Unable to migrate instance ({row.uuid}) to current host ({host}).")
    for name in (row.host, host):
        if name is not None and states.get(name) in ("DOWN", "UNKNOWN"):
            raise BadRequest(f"Compute service of {name} is unavailable at this time.")


def _wait_for_checks(request: ApiRequest, operation_id: int) -> None:
    """Until the migration has begun to transfer, or ended. Raises BadRequest with every refusal when it was undone."""
    table = OPERATIONS[Kind.LIVE_MIGRATION]
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        with request.services.db.read() as connection:
            row = operations.get(connection, operation_id)
        if not row.active or not row.forward:
            if row.error and row.status != "completed":
                raise BadRequest(row.error.get("message", "the migration was refused"))
            return
        if table.index(row.phase) > table.index("prepare"):
            return
        time.sleep(_LOOK_EVERY_S)


def _lock(request: ApiRequest, uuid: str, value: Any) -> None:
    reason = value.get("locked_reason") if isinstance(value, Mapping) and request.version >= (2, 73) else None
    by = "admin" if request.caller.is_admin else "owner"
    with request.services.db.write() as connection:
        instance_records.change(connection, uuid, {"locked_by": by, "locked_reason": reason})


def _unlock(request: ApiRequest, uuid: str, _value: Any) -> None:
    if find(request, uuid).locked_by == "admin" and not request.caller.is_admin:
        raise Forbidden("Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override to be performed.")
    with request.services.db.write() as connection:
        instance_records.change(connection, uuid, {"locked_by": None, "locked_reason": None})


_LIVE_POLICY = "os_compute_api:os-migrate-server:migrate_live"
ACTIONS: Mapping[str, ActionRule] = {
    "os-start": ActionRule(_start),
    "os-stop": ActionRule(_stop),
    "reboot": ActionRule(_reboot, schemas.REBOOT),
    "os-migrateLive": ActionRule(_migrate_live, schemas.LIVE, policy=_LIVE_POLICY),
    "lock": ActionRule(_lock, schemas.LOCK, when_locked=True),
    "unlock": ActionRule(_unlock, when_locked=True),
}

ROUTES = (Route("POST", "/servers/{id}/action", act),)
