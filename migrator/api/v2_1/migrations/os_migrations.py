"""/os-migrations: every operation that moved or moves an instance; of all projects for administrators."""

from dataclasses import replace
from typing import Any

from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import moment
from migrator.api.v2_1.common.paging import first, limit_of, next_link
from migrator.api.v2_1.migrations import view
from migrator.db import migration_list
from migrator.db.migration_list import MigrationQuery
from migrator.errors import BadRequest
from migrator.operations import Kind

_PAGED, _OWNED = (2, 59), (2, 80)
# parameter -> column of operations
_EQUAL = {
    "status": "status",
    "instance_uuid": "instance_uuid",
    "source_compute": "source",
    "migration_type": "kind",
}
_EQUAL_280 = _EQUAL | {"user_id": "user_id", "project_id": "project_id"}


def index(request: ApiRequest) -> Answer:
    query = _query(request)
    if not request.allows("os_compute_api:os-migrations:index:all_projects"):
        if query.equal.get("project_id", request.caller.project_id) != request.caller.project_id:
            request.require("os_compute_api:os-migrations:index:all_projects")
        query = replace(query, equal={**query.equal, "project_id": request.caller.project_id})
    if (first(request.query, "hidden") or "").lower() in ("true", "1", "yes", "on", "t", "y"):
        return Answer(200, {"migrations": []})  # none is ever hidden
    with request.services.db.read() as connection:
        rows = migration_list.page(connection, query)
        addresses = migration_list.addresses(connection, {row.destination for row in rows if row.destination})
        live = {row.instance_uuid for row in rows if row.kind == Kind.LIVE_MIGRATION}
        flavors = migration_list.flavor_ids(connection, live)
    lines = view.listed(rows, request.version, request.base, request.bookmarks, addresses, flavors)
    if not request.allows("os_compute_api:os-migrations:index:host"):
        lines = [line | view.NO_HOSTS for line in lines]
    body: dict[str, Any] = {"migrations": lines}
    if request.version >= _PAGED and rows and len(rows) == query.limit:
        body["migrations_links"] = next_link(request, "os-migrations", rows[-1].uuid)
    return Answer(200, body)


def _query(request: ApiRequest) -> MigrationQuery:
    """Below 2.59 there is no paging: the newest ``max_limit``, the oldest of them first, and unknown parameters say
    nothing."""
    params, version = request.query, request.version
    columns = _EQUAL_280 if version >= _OWNED or version < _PAGED else _EQUAL
    equal = {column: value for name, column in columns.items() if (value := first(params, name)) is not None}
    host = first(params, "host")
    if version < _PAGED:
        return MigrationQuery(equal=equal, host=host, newest_first=False, limit=request.services.settings.max_limit)
    since, before = first(params, "changes-since"), first(params, "changes-before")
    query = MigrationQuery(
        equal=equal,
        host=host,
        changes_since=moment("changes-since", since) if since else None,
        changes_before=moment("changes-before", before) if before else None,
        limit=limit_of(params, request.services.settings.max_limit),
        marker=first(params, "marker"),
    )
    if query.changes_since and query.changes_before and query.changes_since > query.changes_before:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    return query
