"""os-migrateLive, and the waiting that microversions below 2.34 promise."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from migrator.api.routing import ApiRequest
from migrator.api.v2_1.actions import schemas
from migrator.api.v2_1.actions.action import ServerAction, StartedAction
from migrator.api.v2_1.common.schemas import TRUE
from migrator.db import instance_list as instance_rows
from migrator.db import operations
from migrator.db.engine import Database
from migrator.errors import BadRequest
from migrator.operations import OPERATIONS, Kind
from migrator.scheduler.decision.public_errors import public_error
from migrator.scheduler.requests import requests

_ASYNCHRONOUS = (2, 34)  # from here a refusal is in the migration's record, not in the answer
_WAIT_S = 20.0


def _migrate_live(request: ApiRequest, row: Any, value: Any) -> StartedAction:
    host, block = value["host"], value["block_migration"]
    if host is not None:
        request.require("os_compute_api:os-migrate-server:migrate_live:host", row)
    # in a wrong state the answer is 409, whatever the host: so says requests.live_migrate
    if row.task_state is None and row.vm_state in ("active", "paused"):
        _check_hosts(request, row, host)
    wanted = None if block == "auto" else block in TRUE
    over_commit = value.get("disk_over_commit", False) in TRUE
    begun = requests.live_migrate(
        request.services.db, request.caller, row.uuid, host=host, block=wanted, over_commit=over_commit
    )
    return StartedAction(begun)


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
        message = f"Unable to migrate instance ({row.uuid}) to current host"
        raise BadRequest(f"{message} ({host}).", without_hosts=f"{message}.")
    for name in (row.host, host):
        if name is not None and states.get(name) in ("DOWN", "UNKNOWN"):
            raise BadRequest(
                f"Compute service of {name} is unavailable at this time.",
                without_hosts="Compute service is unavailable at this time.",
            )


def _until_checked(request: ApiRequest, operation_id: int) -> tuple[Callable[[], bool] | None, float]:
    """Below 2.34 the answer waits for the checks."""
    if request.version >= _ASYNCHRONOUS:
        return None, 0.0
    return partial(_checked, request.services.db, operation_id), _WAIT_S


def _checked(db: Database, operation_id: int) -> bool:
    """Whether the migration has begun to transfer, or ended. Raises BadRequest, with every refusal, when it was
    undone."""
    table = OPERATIONS[Kind.LIVE_MIGRATION]
    with db.read() as connection:
        row = operations.get(connection, operation_id)
    if row.active and row.forward:
        return table.index(row.phase) > table.index("prepare")
    if row.error and row.status != "completed":
        whole = row.error.get("message", "the migration was refused")
        raise BadRequest(whole, without_hosts=public_error(row.error))
    return True


ACTIONS: Mapping[str, ServerAction] = {
    "os-migrateLive": ServerAction(_migrate_live, schemas.LIVE, afterwards=_until_checked)
}
