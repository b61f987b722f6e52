"""/os-quota-sets and /os-quota-class-sets: what a project may have, and what it has. The shapes are Nova's.

Below 2.36 and 2.57 names are shown of which this server has nothing: they can be set, and limit nothing.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from migrator.api.json_schema import INT32
from migrator.api.routing import Answer, ApiRequest, Schema, Versioned
from migrator.api.v2_1.common import paging
from migrator.api.v2_1.common.schemas import BOOLEAN, TRUE, closed, space_separated
from migrator.db import quotas as rows
from migrator.db import server_groups
from migrator.db.engine import Connection
from migrator.db.key_pairs import Owner
from migrator.db.quotas import UNLIMITED, Limits
from migrator.errors import BadRequest

_NO_NETWORKS, _CLASS_NAMES, _NO_FILES, _STRICT = (2, 36), (2, 50), (2, 57), (2, 75)
KEPT = space_separated("cores instances key_pairs metadata_items ram")
GROUPS = space_separated("server_group_members server_groups")
NETWORKS = space_separated("fixed_ips floating_ips security_group_rules security_groups")
FILES = space_separated("injected_file_content_bytes injected_file_path_bytes injected_files")
# (from which microversion, the names): of a project, and of a class
OF_PROJECTS = (
    ((2, 1), [*KEPT, *GROUPS, *NETWORKS, *FILES]),
    (_NO_NETWORKS, [*KEPT, *GROUPS, *FILES]),
    (_NO_FILES, [*KEPT, *GROUPS]),
)
OF_CLASSES = (((2, 1), [*KEPT, *NETWORKS, *FILES]), (_CLASS_NAMES, [*KEPT, *GROUPS, *FILES]), OF_PROJECTS[-1])
_LIMIT: Schema = {
    "type": ["integer", "string"],
    "pattern": "^(-1|[0-9]+)$",
    "minimum": -1,
    "minLength": 1,
    "format": INT32,
}


def _body(field: str, names: list[str], **more: Schema) -> Schema:
    return closed({field: closed(dict.fromkeys(names, _LIMIT) | more)}, (field,))


UPDATE: Versioned = tuple((since, _body("quota_set", names, force=BOOLEAN)) for since, names in OF_PROJECTS)
UPDATE_CLASS: Versioned = tuple((since, _body("quota_class_set", names)) for since, names in OF_CLASSES)


class IdPath(BaseModel):
    """A project's id, or a class's name, as long as one that can be stored."""

    id: Annotated[str, Field(min_length=1, max_length=255)]


_USER: Schema = {"user_id": paging.TEXT}
QUERY: Versioned = (((2, 1), {"type": "object", "properties": _USER}), (_STRICT, paging.closed(_USER)))


def _names(request: ApiRequest, table: Any) -> list[str]:
    return next(names for since, names in reversed(table) if since <= request.version)


def _shown(request: ApiRequest, table: Any, limits: Mapping[str, Any]) -> dict[str, Any]:
    return {name: limits.get(name, UNLIMITED) for name in sorted(_names(request, table))}


def show(request: ApiRequest) -> Answer:
    return Answer(
        200, {"quota_set": {"id": _project(request, "show")} | _shown(request, OF_PROJECTS, _limits(request))}
    )


def defaults(request: ApiRequest) -> Answer:
    with request.services.db.read() as connection:
        limits = rows.defaults(connection, request.services.settings.quotas)
    return Answer(200, {"quota_set": {"id": request.params["id"]} | _shown(request, OF_PROJECTS, limits)})


def detail(request: ApiRequest) -> Answer:
    """What one server, one user or one group has is counted for none of them."""
    project = _project(request, "detail")
    with request.services.db.read() as connection:
        used = _used(connection, project)
    shown = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
        for name, limit in _shown(request, OF_PROJECTS, _limits(request)).items()
    }
    return Answer(200, {"quota_set": {"id": project} | shown})


def update(request: ApiRequest) -> Answer:
    project, asked = _project(request, "update"), dict(request.body["quota_set"])
    _refuse_user(request)
    force = asked.pop("force", False) in TRUE
    values = {name: int(value) for name, value in asked.items()}
    with request.services.db.write() as connection:
        rows.hold(connection, project)
        if not force:
            _check_used(values, _used(connection, project))
        rows.change(connection, project, values)
    return Answer(200, {"quota_set": _shown(request, OF_PROJECTS, _limits(request))})


def delete(request: ApiRequest) -> Answer:
    project = _project(request, "delete")
    _refuse_user(request)
    with request.services.db.write() as connection:
        rows.hold(connection, project)
        rows.remove(connection, project)
    return Answer(202)


def show_class(request: ApiRequest) -> Answer:
    name = request.params["id"]
    return Answer(200, {"quota_class_set": {"id": name} | _shown(request, OF_CLASSES, _of_class(request))})


def update_class(request: ApiRequest) -> Answer:
    name = request.params["id"]
    values = {key: int(value) for key, value in request.body["quota_class_set"].items()}
    with request.services.db.write() as connection:
        rows.hold(connection, f"class {name}")
        rows.change_class(connection, name, values)
    return Answer(200, {"quota_class_set": _shown(request, OF_CLASSES, _of_class(request))})


def _of_class(request: ApiRequest) -> Limits:
    with request.services.db.read() as connection:
        return {**request.services.settings.quotas, **rows.of_class(connection, request.params["id"])}


def _project(request: ApiRequest, deed: str) -> str:
    """Raises Forbidden for another project's."""
    project = request.params["id"]
    request.require(f"os_compute_api:os-quota-sets:{deed}", Owner(project, request.caller.user_id))
    return project


def _refuse_user(request: ApiRequest) -> None:
    if paging.first(request.query, "user_id"):
        raise BadRequest("user_id is not supported: quotas are set for projects, and no user has one of its own")


def _limits(request: ApiRequest) -> Limits:
    with request.services.db.read() as connection:
        return rows.limits(connection, request.params["id"], request.services.settings.quotas)


def _used(connection: Connection, project: str) -> Limits:
    return {**rows.usage(connection, project), "server_groups": server_groups.count(connection, project)}


def _check_used(values: Limits, used: Limits) -> None:
    """Raises BadRequest for less than is used."""
    for name, limit in values.items():
        if limit != UNLIMITED and limit < used.get(name, 0):
            raise BadRequest(
                f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved "
                f"{used[name]}."
            )
