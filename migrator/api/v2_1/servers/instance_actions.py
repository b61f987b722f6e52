"""/servers/{id}/os-instance-actions: what was done to a server, and (from 2.21) to one that is gone."""

from typing import Any

from migrator.api.faults import SEES_HOSTS
from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import moment
from migrator.api.v2_1.common.paging import first, limit_of, next_link
from migrator.api.v2_1.servers import instance_action_view
from migrator.api.v2_1.servers.servers import project_scope
from migrator.db import instance_actions
from migrator.db import instance_list as instance_rows

_DELETED_TOO, _PAGED = (2, 21), (2, 58)


def _instance(request: ApiRequest) -> str:
    uuid = request.params["id"]
    with request.services.db.read() as connection:
        deleted = request.version >= _DELETED_TOO
        instance_rows.exists(connection, uuid, project_scope(request), deleted=deleted)
    return uuid


def index(request: ApiRequest) -> Answer:
    uuid, version = _instance(request), request.version
    query = _query(request)
    with request.services.db.read() as connection:
        actions = instance_actions.page(connection, uuid, query)
    body: dict[str, Any] = {"instanceActions": [instance_action_view.summary(a, uuid, version) for a in actions]}
    if version >= _PAGED and actions and len(actions) == query.limit:
        path = f"servers/{uuid}/os-instance-actions"
        body["links"] = next_link(request, path, actions[-1].request_id)
    return Answer(200, body)


def _query(request: ApiRequest) -> instance_actions.ActionQuery:
    if request.version < _PAGED:
        return instance_actions.ActionQuery(limit=request.services.settings.max_limit)
    since, before = first(request.query, "changes-since"), first(request.query, "changes-before")
    return instance_actions.ActionQuery(
        changes_since=moment("changes-since", since) if since else None,
        changes_before=moment("changes-before", before) if before else None,
        limit=limit_of(request.query, request.services.settings.max_limit),
        marker=first(request.query, "marker"),
    )


def _rights(request: ApiRequest) -> instance_action_view.Rights:
    rule = "os_compute_api:os-instance-actions:events"
    allowed = (rule, f"{rule}:details", SEES_HOSTS)
    return instance_action_view.Rights(*map(request.allows, allowed))


def show(request: ApiRequest) -> Answer:
    uuid = _instance(request)
    with request.services.db.read() as connection:
        action = instance_actions.get(connection, uuid, request.params["request_id"])
        phases = instance_actions.phases(connection, action.operation_id)
    body = instance_action_view.full(action, uuid, request.version, _rights(request), phases)
    return Answer(200, {"instanceAction": body})
