"""/os-server-groups: which instances share a host, or do not. Rows become JSON here; the shapes are Nova's.

What a policy does is the scheduler's (``scheduler/checks/neighbour_checks.py``). A group's members are the instances
that were made with it: none comes or goes otherwise.
"""

from collections.abc import Sequence
from typing import Any

from migrator.api.routing import Answer, ApiRequest, Schema, Versioned
from migrator.api.v2_1.common import paging
from migrator.api.v2_1.common.schemas import COUNT, NAME, TRUE, closed, space_separated
from migrator.api.v2_1.servers.servers import project_scope
from migrator.db import server_groups as rows
from migrator.db.rows import ServerGroupRow
from migrator.errors import BadRequest
from migrator.scheduler.checks.neighbours import ANTI_AFFINITY, MAX_PER_HOST
from migrator.scheduler.requests import quota_checks

_OWNED, _SOFT, _RULES = (2, 13), (2, 15), (2, 64)
_HARD_ONLY = space_separated("anti-affinity affinity")
_EVERY = [*_HARD_ONLY, *space_separated("soft-anti-affinity soft-affinity")]


def _policies(names: Sequence[str]) -> Schema:
    policies = {"type": "array", "items": {"type": "string", "enum": list(names)}, "minItems": 1, "maxItems": 1}
    return _named({"name": NAME, "policies": policies}, ("name", "policies"))


def _named(properties: Schema, required: tuple[str, ...]) -> Schema:
    return closed({"server_group": closed(properties, required)}, ("server_group",))


_POLICY: Schema = {"type": "string", "enum": _EVERY}
CREATE: Versioned = (
    ((2, 1), _policies(_HARD_ONLY)),
    (_SOFT, _policies(_EVERY)),
    (_RULES, _named({"name": NAME, "policy": _POLICY, "rules": closed({MAX_PER_HOST: COUNT})}, ("name", "policy"))),
)
_PAGED: Schema = {"all_projects": paging.TEXT, "limit": paging.INTEGER, "offset": paging.INTEGER}
QUERY: Versioned = (((2, 1), {"type": "object", "properties": _PAGED}), ((2, 75), paging.closed(_PAGED)))


def index(request: ApiRequest) -> Answer:
    everyone = paging.first(request.query, "all_projects") in TRUE
    if everyone:
        request.require("os_compute_api:os-server-groups:index:all_projects")
    project = None if everyone else request.caller.project_id
    limit, offset = paging.limit(request), int(paging.first(request.query, "offset") or 0)
    with request.services.db.read() as connection:
        found = rows.listed(connection, project, limit, min(offset, 2**31 - 1))
        members = rows.members(connection, [row.uuid for row in found])
    return Answer(200, {"server_groups": [_view(request, row, members[row.uuid]) for row in found]})


def show(request: ApiRequest) -> Answer:
    with request.services.db.read() as connection:
        row = rows.get(connection, request.params["id"], project_scope(request))
        members = rows.members(connection, [row.uuid])
    return Answer(200, {"server_group": _view(request, row, members[row.uuid])})


def create(request: ApiRequest) -> Answer:
    wanted = request.body["server_group"]
    policy = wanted["policy"] if request.version >= _RULES else wanted["policies"][0]
    rules = {name: int(value) for name, value in (wanted.get("rules") or {}).items()}
    if rules and policy != ANTI_AFFINITY:
        raise BadRequest(
            f"Invalid input for field/attribute rules. Value: {rules}. Only {ANTI_AFFINITY} policy supports rules."
        )
    values = {
        "name": wanted["name"],
        "policy": policy,
        "rules": rules,
        "project_id": request.caller.project_id,
        "user_id": request.caller.user_id,
    }
    with request.services.db.write() as connection:
        quota_checks.server_group(connection, request.caller.project_id, request.services.settings.quotas)
        return Answer(200, {"server_group": _view(request, rows.create(connection, values), [])})


def delete(request: ApiRequest) -> Answer:
    with request.services.db.write() as connection:
        row = rows.get(connection, request.params["id"], project_scope(request), lock=True)
        rows.remove(connection, row.uuid)
    return Answer(204)


def _view(request: ApiRequest, row: ServerGroupRow, members: Sequence[str]) -> dict[str, Any]:
    body: dict[str, Any] = {"id": row.uuid, "name": row.name}
    if request.version >= _RULES:
        body |= {"policy": row.policy, "rules": row.rules}
    else:
        body |= {"policies": [row.policy], "metadata": {}}
    body["members"] = list(members)
    if request.version >= _OWNED:
        body |= {"project_id": row.project_id, "user_id": row.user_id}
    return body
