"""The query string of ``/servers`` as an ``InstanceQuery``. Pure: parameters in, conditions out.

Owns which parameter means what, and which of them only an administrator may use. Shapes were checked before
(``schemas.LIST_QUERY``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import QueryParams

from migrator import supported
from migrator.api.json_schema import shortened
from migrator.api.timestamps import moment
from migrator.api.v2_1.common.paging import first, limit_of
from migrator.api.v2_1.common.schemas import FALSE, TRUE, space_separated
from migrator.api.v2_1.servers.schemas import MOST_TAGS
from migrator.api.v2_1.servers.view import Version, states_of
from migrator.db import expressions
from migrator.db.instance_filters import InstanceQuery
from migrator.errors import BadRequest, Forbidden

Params = Mapping[str, Sequence[str]]

# parameter -> column, compared for equality
_EQUAL = {
    "image": "image_id",
    "image_ref": "image_id",
    "host": "host",
    "user_id": "user_id",
    "config_drive": "config_drive",
    "progress": "progress",
    "locked_by": "locked_by",
}
# expression -> parameter, and its older name
_EXPRESSIONS = {
    "name": ("name", "display_name"),
    "ip": ("ip", "ip"),
    "ip6": ("ip6", "ip6"),
    "description": ("description", "display_description"),
    "hostname": ("hostname", "hostname"),
    "key_name": ("key_name", "key_name"),
    "node": ("node", "node"),
    "availability_zone": ("availability_zone", "availability_zone"),
    "reservation_id": ("reservation_id", "reservation_id"),
    "access_ip_v4": ("access_ip_v4", "access_ip_v4"),
    "access_ip_v6": ("access_ip_v6", "access_ip_v6"),
}
# (from which microversion, parameters that filter for callers who are no administrators)
_OPENED = (
    ((2, 5), ("ip6",)),
    (
        (2, 83),
        space_separated("vm_state task_state power_state user_id key_name availability_zone config_drive progress"),
    ),
    ((2, 90), ("hostname",)),
)
_TELL_OF_HOSTS = ("host", "node")  # sort keys
_ADMIN_ONLY = {"host", "node", "locked_by", "access_ip_v4", "access_ip_v6"}


def boolean(name: str, value: str) -> bool:
    """A parameter's value as a truth value. Raises BadRequest."""
    if value in TRUE or value == "":
        return True
    if value in FALSE:
        return False
    raise BadRequest(f"Invalid value '{value}' for {name}: expected one of true, false, 1, 0.")


@dataclass(frozen=True, slots=True)
class Rights:
    """Of who asks: whether every project, and every filter, is open; ``rule``: the one for other projects' servers."""

    project_id: str
    is_admin: bool
    all_tenants: bool
    all_filters: bool
    rule: str


def parse(params: Params, version: Version, caller: Rights, *, most: int) -> InstanceQuery | None:
    """What is asked for; None: nothing can match (an unknown status, below 2.38). Raises BadRequest and Forbidden."""
    if caller.all_filters and (refused := supported.refused_filters(params)):
        raise BadRequest("; ".join(refused))
    params = _open_to(params, version, caller)
    query = _states(params, caller)
    if query is None:
        if version >= (2, 38):
            raise BadRequest("Invalid status value")
        return None
    query = _times(params, version, caller, query)
    query = _expressions(params, query)
    equal = _equals(params) | _scope(params, caller)
    among = dict(query.among)
    if uuids := params.get("uuid"):
        among["uuid"] = list(uuids)
    return replace(
        query,
        equal=equal,
        among=among,
        flavor=first(params, "flavor"),
        locked=_locked(params, version),
        sort=_sort(params, caller),
        limit=limit_of(params, most),
        marker=first(params, "marker"),
        **_tags(params, version),
    )


def _open_to(params: Params, version: Version, caller: Rights) -> Params:
    """What the caller may filter by. The other filters say nothing, those that Nova opens only later before that."""
    if caller.all_filters:
        return params
    closed = _ADMIN_ONLY.union(*(names for since, names in _OPENED if version < since))
    return {name: values for name, values in params.items() if name not in closed}


def _scope(params: Params, caller: Rights) -> dict[str, Any]:
    """Whose instances: the caller's project's, or (for an administrator) all or another's. A project that is named
    without ``all_tenants`` says nothing, as in Nova."""
    other = first(params, "project_id") or first(params, "tenant_id")
    asked = first(params, "all_tenants")
    everyone = asked is not None and boolean("all_tenants", asked)
    if everyone and not caller.all_tenants:
        raise Forbidden(f"Policy doesn't allow {caller.rule} to be performed.")
    if not everyone:
        return {"project_id": caller.project_id}
    return {"project_id": other} if other else {}


def _states(params: Params, caller: Rights) -> InstanceQuery | None:
    among: dict[str, Any] = {}
    deleted: bool | None = False
    if statuses := params.get("status"):
        vm_states, task_states = states_of(statuses)
        if not vm_states:
            return None
        if "deleted" in vm_states:
            if not caller.is_admin:
                raise Forbidden("Only administrators may list deleted instances")
            deleted = True if vm_states == {"deleted"} else None
        among["vm_state"] = sorted(vm_states)
        if task_states is not None:
            among["task_state"] = sorted(task_states)
    for name in ("vm_state", "task_state"):
        if (values := params.get(name)) and name not in among:
            among[name] = list(values)
    if power := first(params, "power_state"):
        among["power_state"] = [int(power)] if power in ("0", "1", "3", "4", "6", "7") else []
    return InstanceQuery(among=among, deleted=deleted)


def _times(params: Params, version: Version, caller: Rights, query: InstanceQuery) -> InstanceQuery:
    since, before = first(params, "changes-since"), first(params, "changes-before")
    if since is not None:
        query = replace(query, changes_since=moment("changes-since", since), deleted=None)
    if before is not None and version >= (2, 66):
        query = replace(query, changes_before=moment("changes-before", before), deleted=None)
        if query.changes_since is not None and query.changes_since > moment("changes-before", before):
            raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    asked = first(params, "deleted")
    if asked is not None and caller.is_admin:
        query = replace(query, deleted=boolean("deleted", asked))
    return query


def _expressions(params: Params, query: InstanceQuery) -> InstanceQuery:
    asked = {name: first(params, new) or first(params, older) for name, (new, older) in _EXPRESSIONS.items()}
    found: dict[str, Any] = {name: expressions.parse(name, text) for name, text in asked.items() if text is not None}
    return replace(query, **found)


def searches(params: QueryParams) -> bool:
    """Whether a list is searched by a regular expression, which costs the more, the more servers there are."""
    names = {name for pair in _EXPRESSIONS.values() for name in pair}
    return any(name in names and expressions.is_pattern(value) for name, value in params.multi_items())


def _equals(params: Params) -> dict[str, Any]:
    found = {}
    for name, column in _EQUAL.items():
        value = first(params, name)
        if value is not None:
            found[column] = _typed(name, value)
    return found


def _typed(name: str, value: str) -> Any:
    """Raises BadRequest."""
    if name == "config_drive":
        return boolean(name, value)
    if name != "progress":
        return value
    if not (value.isascii() and value.isdigit() and len(value) <= 3):
        raise BadRequest(f"Invalid value '{shortened(value)}' for progress: expected a number from 0 to 100.")
    return int(value)


def _locked(params: Params, version: Version) -> bool | None:
    value = first(params, "locked")
    return boolean("locked", value) if value is not None and version >= (2, 73) else None


def _tags(params: Params, version: Version) -> dict[str, Any]:
    if version < (2, 26):
        return {}
    names = {
        "tags": "tags_all",
        "tags-any": "tags_any",
        "not-tags": "not_tags_all",
        "not-tags-any": "not_tags_any",
    }
    found: dict[str, Any] = {}
    for param, name in names.items():
        if value := first(params, param):
            found[name] = list(dict.fromkeys(value.split(",")))
            if len(found[name]) > MOST_TAGS:  # an instance has no more, so nothing else could match
                raise BadRequest(f"{param}: the number of tags exceeded the per-server limit {MOST_TAGS}")
    return found


def _sort(params: Params, caller: Rights) -> list[tuple[str, str]]:
    """A key that is repeated orders nothing more. Raises BadRequest, and Forbidden for an order that tells of hosts."""
    keys, ways = params.get("sort_key", ()), list(params.get("sort_dir", ()))
    if not caller.is_admin and (closed := next((key for key in keys if key in _TELL_OF_HOSTS), None)):
        raise Forbidden(f"Only administrators can sort servers by {closed}")
    if any(way not in ("asc", "desc") for way in ways):
        raise BadRequest("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")
    if len(ways) > max(len(keys), 1):
        raise BadRequest("Invalid input received: Sort direction size exceeds sort key size")
    ways += [ways[-1] if ways else "desc"] * (len(keys) - len(ways))
    named: dict[str, str] = {}
    for key, way in zip(keys or (["created_at"] if ways else []), ways, strict=False):
        named.setdefault(key, way)
    return list(named.items())
