"""/os-services: one ``nova-compute`` a host, up or down by the database's clock; enable, disable, force down."""

import uuid
from collections.abc import Mapping
from typing import Any

from migrator.api.json_schema import is_uuid, shortened
from migrator.api.routing import Answer, ApiRequest, Schema
from migrator.api.timestamps import iso_us
from migrator.api.v2_1.common import paging
from migrator.api.v2_1.common.schemas import BOOLEAN, TRUE, closed
from migrator.db import aggregates, operations
from migrator.db import hosts as rows
from migrator.db.engine import Connection
from migrator.errors import BadRequest, HostNotFound, NotFound
from migrator.operations import Kind
from migrator.scheduler.checks.host_checks import approval_wanted
from migrator.scheduler.hosts import removal
from migrator.scheduler.state import host_views

BINARY = "nova-compute"
_UUIDS = (2, 53)
_HOST: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[a-zA-Z0-9-._]*$"}
_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
_REASON: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
_OLD: Schema = closed({"host": _HOST, "binary": _TEXT, "disabled_reason": _REASON}, ("host", "binary"))
_OLD_211: Schema = closed(
    {"host": _HOST, "binary": _TEXT, "disabled_reason": _REASON, "forced_down": BOOLEAN}, ("host", "binary")
)
_NEW: Schema = closed(
    {
        "status": {"type": "string", "enum": ["enabled", "disabled"]},
        "disabled_reason": _REASON,
        "forced_down": BOOLEAN,
    }
)
BODY = (((2, 1), _OLD), ((2, 11), _OLD_211), (_UUIDS, _NEW))
_PARAMETERS: Schema = {"host": paging.TEXT, "binary": paging.TEXT}
QUERY = (
    ((2, 1), {"type": "object", "properties": _PARAMETERS}),
    ((2, 75), {"type": "object", "properties": _PARAMETERS, "additionalProperties": False}),
)


def index(request: ApiRequest) -> Answer:
    host, binary = paging.first(request.query, "host"), paging.first(request.query, "binary")
    with request.services.db.read() as connection:
        found, zones = rows.every(connection), aggregates.zones(connection)
    shown = [row for row in found if host in (None, row.name) and binary in (None, BINARY)]
    return Answer(200, {"services": [_view(request, row, zones) for row in shown]})


def update(request: ApiRequest) -> Answer:
    """PUT: by UUID from 2.53, before that by the names of the four old calls."""
    if request.version >= _UUIDS:
        return _by_uuid(request)
    call, body = request.params["id"], request.body
    if call not in ("enable", "disable", "disable-log-reason", "force-down"):
        raise NotFound("Unknown action")
    if call == "force-down" and request.version < (2, 11):
        raise NotFound("Unknown action")
    if call == "disable-log-reason" and not body.get("disabled_reason"):
        raise BadRequest("Missing disabled reason field")
    if call == "force-down" and "forced_down" not in body:
        raise BadRequest("Missing forced_down field")
    values = _old_values(call, body)
    with request.services.db.write() as connection:
        if body["binary"] != BINARY or not rows.by_names(connection, [body["host"]]):
            raise HostNotFound(f"Host '{body['host']}' is not mapped to any cell")
        _apply(request, connection, body["host"], values)
    shown = {"host": body["host"], "binary": body["binary"]}
    if call == "force-down":
        return Answer(200, {"service": shown | {"forced_down": values["forced_down"]}})
    shown["status"] = "disabled" if values["disabled"] else "enabled"
    if call == "disable-log-reason":
        shown["disabled_reason"] = body["disabled_reason"]
    return Answer(200, {"service": shown})


def _old_values(call: str, body: dict[str, Any]) -> dict[str, Any]:
    if call == "force-down":
        return {"forced_down": body["forced_down"] in TRUE}
    if call == "enable":
        return {"disabled": False, "disabled_reason": None}
    return {"disabled": True, "disabled_reason": body.get("disabled_reason")}


def delete(request: ApiRequest) -> Answer:
    """Its agent's credential goes, too: the agent is refused from then on."""
    ident = request.params["id"]
    if request.version >= _UUIDS:
        ident = as_uuid(ident)
    elif not (ident.isascii() and ident.isdigit()):
        raise BadRequest("Invalid input received: id must be an integer")
    with request.services.db.read() as connection:
        known = {row.uuid if request.version >= _UUIDS else str(row.id): row.name for row in rows.every(connection)}
    if ident not in known:
        raise NotFound(f"Service {ident} not found.")
    removal.remove(request.services.db, known[ident], request.caller.user_id)
    request.services.credentials.forget()
    return Answer(204)


def _by_uuid(request: ApiRequest) -> Answer:
    ident, body = as_uuid(request.params["id"]), request.body
    if "status" not in body and "forced_down" not in body:
        raise BadRequest("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
    if "disabled_reason" in body and body.get("status") != "disabled":
        raise BadRequest("Specifying disabled_reason requires that status is 'disabled'.")
    values: dict[str, Any] = {}
    if "status" in body:
        disabled = body["status"] == "disabled"
        values |= {"disabled": disabled, "disabled_reason": body.get("disabled_reason") if disabled else None}
    if "forced_down" in body:
        values["forced_down"] = body["forced_down"] in TRUE
    with request.services.db.write() as connection:
        name = next((row.name for row in rows.every(connection) if row.uuid == ident), None)
        if name is None:
            raise NotFound(f"Service {ident} could not be found.")
        _apply(request, connection, name, values)
        return Answer(
            200, {"service": _view(request, rows.get(connection, name), aggregates.zones(connection, [name]))}
        )


def _apply(request: ApiRequest, connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Marking a host down is fencing evidence; it stays while the host has not cleaned up what was evacuated."""
    if values.get("forced_down") is False:
        rows.lock(connection, [name])  # an evacuation that is just being granted is waited for
        active = operations.active_on_host(connection, name)
        mine = [row for row in active if row.kind == Kind.EVACUATION and row.source == name]
        owed = sorted({row.status for row in mine if row.forward or row.locks_instance})  # undone, its destination owes
        if owed:
            raise BadRequest(
                f"Unable to force up host {name} as `{'`, `'.join(owed)}` evacuation migration records remain "
                "associated with the host. Ensure the compute service has been restarted, allowing these records to "
                "move to `completed` before retrying this request."
            )
    if "forced_down" in values:
        rows.force_down(connection, name, values["forced_down"], request.caller.user_id)
    if others := {key: value for key, value in values.items() if key != "forced_down"}:
        rows.change(connection, name, others)


def as_uuid(text: str) -> str:
    if not is_uuid(text):
        raise BadRequest(f"Invalid uuid {shortened(text)}")
    return str(uuid.UUID(text))


def reason_of(row: Any, unreadable: str) -> str | None:
    """Why it takes no instances, the first that applies: an operator, its row, a missing approval."""
    wanted = "" if row.approved else approval_wanted(row.name)
    return row.disabled_reason or unreadable or wanted or None


def _view(request: ApiRequest, row: Any, zones: Mapping[str, str]) -> dict[str, Any]:
    view = host_views.host_view(row, request.services.settings.service_down_time)
    shown = {
        "binary": BINARY,
        "host": row.name,
        "id": row.uuid if request.version >= _UUIDS else row.id,
        "zone": zones.get(row.name, aggregates.DEFAULT_ZONE),
        "status": "disabled" if view.disabled else "enabled",
        "state": "up" if view.up else "down",
        "updated_at": iso_us(row.last_seen + row.behind_s),
        "disabled_reason": reason_of(row, view.unreadable),
    }
    return shown | ({"forced_down": row.forced_down} if request.version >= (2, 11) else {})
