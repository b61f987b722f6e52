"""/servers/{id}/migrations: the live migration that is under way, and aborting it."""

from migrator.api.request_input import check_body
from migrator.api.routing import Answer, ApiRequest
from migrator.api.v2_1.actions import schemas
from migrator.api.v2_1.migrations.view import IN_PROGRESS, NO_HOSTS, of_server
from migrator.api.v2_1.servers.servers import find
from migrator.db import migration_list, transfer_stats
from migrator.errors import BadRequest, Conflict, NotFound, OperationNotFound
from migrator.operations import Kind
from migrator.scheduler.requests import requests
from migrator.scheduler.requests.steer import steer

_QUEUED_TOO = (2, 65)  # from here a migration that has not begun to transfer can be aborted too


def index(request: ApiRequest) -> Answer:
    uuid = request.params["id"]
    find(request, uuid)
    with request.services.db.read() as connection:
        rows = [row for row in migration_list.of_instance(connection, uuid) if row.status in IN_PROGRESS]
    shown = [_view(request, row) for row in rows]
    if not request.allows("os_compute_api:servers:migrations:index:host"):
        shown = [one | NO_HOSTS for one in shown]
    return Answer(200, {"migrations": shown})


def _view(request: ApiRequest, row: migration_list.MigrationRow) -> dict[str, object]:
    with request.services.db.read() as connection:
        job = transfer_stats.of_operation(connection, row.id)
        addresses = migration_list.addresses(connection, [row.destination] if row.destination else [])
    return of_server(row, request.version, addresses.get(row.destination), job)


def show(request: ApiRequest) -> Answer:
    uuid, key = request.params["id"], request.params["migration_id"]
    find(request, uuid)
    try:
        row = _get(request, uuid, key)
    except OperationNotFound as error:
        raise NotFound(f"In-progress live migration {key} is not found for server {uuid}.") from error
    if row.kind != Kind.LIVE_MIGRATION:
        raise NotFound(f"Migration {key} for server {uuid} is not live-migration.")
    if not row.active or row.status not in IN_PROGRESS:
        raise NotFound(f"Live migration {key} for server {uuid} is not in progress.")
    return Answer(200, {"migration": _view(request, row)})


def _get(request: ApiRequest, uuid: str, key: str) -> migration_list.MigrationRow:
    if not (key.isascii() and key.isdigit() and len(key) <= 9):  # no such id can exist
        raise OperationNotFound(f"Migration {key} not found for instance {uuid}")
    with request.services.db.read() as connection:
        return migration_list.get(connection, uuid, int(key))


def abort(request: ApiRequest) -> Answer:
    uuid, key = request.params["id"], request.params["migration_id"]
    row = find(request, uuid)
    migration = _get(request, uuid, key)
    wrong_state = f"Instance {uuid} is in an invalid state for 'abort live migration'"
    if row.task_state != "migrating" or not migration.active:
        raise Conflict(wrong_state)
    allowed = {"running"} | ({"accepted", "queued", "preparing"} if request.version >= _QUEUED_TOO else set())
    if migration.kind != Kind.LIVE_MIGRATION or migration.status not in allowed:
        raise BadRequest(
            f"Migration {key} state of instance {uuid} is {migration.status}. "
            "Cannot abort live migration while the migration is in this state."
        )
    try:
        requests.cancel(request.services.db, request.caller, migration.id)
    except Conflict as error:
        raise Conflict(wrong_state) from error
    request.services.reconciler.reconcile(migration.id)
    return Answer(202)


def act(request: ApiRequest) -> Answer:
    """force_complete: by post-copy where that is permitted, else with the guest paused."""
    body = request.body
    if not isinstance(body, dict) or len(body) != 1:
        raise BadRequest("Malformed request body")
    if "force_complete" not in body:
        raise BadRequest(f"There is no such action: {next(iter(body))}")
    check_body(schemas.FORCE_COMPLETE, body, request.version)
    uuid = request.params["id"]
    row, wrong_state = find(request, uuid), f"Instance {uuid} is in an invalid state for 'force_complete'"
    try:
        migration = _get(request, uuid, request.params["migration_id"])
    except OperationNotFound as error:
        raise BadRequest(error.message) from error
    if row.task_state != "migrating" or not migration.active or migration.kind != Kind.LIVE_MIGRATION:
        raise Conflict(wrong_state)
    if migration.status != "running":
        raise BadRequest(
            f"Migration {migration.id} state of instance {uuid} is {migration.status}. "
            "Cannot force_complete while the migration is in this state."
        )
    try:
        host = steer(request.services.db, request.caller, migration.id, {"force": True})
    except Conflict as error:
        raise Conflict(wrong_state) from error
    request.services.notifier.wake([host])
    return Answer(202)
