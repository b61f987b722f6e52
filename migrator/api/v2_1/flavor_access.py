"""Which projects may use a private flavor: listed, given and taken.

Owns that of two requests at one moment neither undoes the other: the flavor's row is locked where it is changed.
"""

from typing import Any

from migrator.api.json_schema import shortened
from migrator.api.routing import Answer, ApiRequest
from migrator.api.v2_1.common.schemas import closed
from migrator.db import flavors as rows
from migrator.errors import BadRequest, Conflict, Forbidden, NotFound

_MOST_PROJECTS = 1000  # that may use a private flavor
_CHECKED = (2, 7)  # from here a public flavor is refused
_ACTIONS = {"addTenantAccess": "add_tenant_access", "removeTenantAccess": "remove_tenant_access"}
_TENANT = closed({"tenant": {"type": "string", "minLength": 1, "maxLength": 255}}, ("tenant",))
ACTION = (((2, 1), {"type": "object", "properties": dict.fromkeys(_ACTIONS, _TENANT)}),)


def index(request: ApiRequest) -> Answer:
    with request.services.db.read() as connection:
        row = rows.get(connection, request.params["id"])
    if row.is_public:
        raise NotFound("Access list not available for public flavors.")
    return Answer(200, _body(row))


def change(request: ApiRequest) -> Answer:
    flavorid = request.params["id"]
    body = request.body
    name = next(iter(body), "") if len(body) == 1 else ""
    if name not in _ACTIONS:
        raise BadRequest(f"There is no such action: {shortened(name or ', '.join(body))}")
    request.http.state.action = name
    request.require(f"os_compute_api:os-flavor-access:{_ACTIONS[name]}")
    tenant = body[name]["tenant"]
    with request.services.db.write() as connection:
        row = rows.get(connection, flavorid, lock=True)
        if row.is_public and name == "addTenantAccess" and request.version >= _CHECKED:
            raise Conflict("Can not add access to a public flavor.")
        changed = (_given if name == "addTenantAccess" else _taken)(row, tenant)
        return Answer(200, _body(rows.change(connection, flavorid, {"access": changed})))


def _given(row: rows.FlavorRow, tenant: str) -> list[str]:
    """Raises Conflict and Forbidden."""
    if tenant in row.access:
        raise Conflict(f"Flavor access already exists for flavor {row.flavorid} and project {tenant} combination.")
    if len(row.access) >= _MOST_PROJECTS:
        raise Forbidden(f"Maximum number of projects with access exceeds {_MOST_PROJECTS}")
    return [*row.access, tenant]


def _taken(row: rows.FlavorRow, tenant: str) -> list[str]:
    """Raises NotFound."""
    if tenant not in row.access:
        raise NotFound(f"Flavor access not found for {row.flavorid} / {tenant} combination.")
    return [project for project in row.access if project != tenant]


def _body(row: rows.FlavorRow) -> dict[str, Any]:
    return {"flavor_access": [{"flavor_id": row.flavorid, "tenant_id": project} for project in row.access]}
