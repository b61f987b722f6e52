"""/flavors and their extra specs and access. Rows become JSON here; the rules of the shapes are Nova's."""

from typing import Any

from migrator.api.flavor_and_image import SEES_EXTRA_SPECS
from migrator.api.json_schema import INT32
from migrator.api.routing import Answer, ApiRequest, Schema
from migrator.api.v2_1 import extra_spec_names
from migrator.api.v2_1.common import paging
from migrator.api.v2_1.common.schemas import BOOLEAN, TRUE, list_of
from migrator.db import flavors as rows
from migrator.errors import BadRequest, Forbidden, NotFound

_MOST_SPECS = 128  # of a flavor
_SIZE: Schema = {
    "type": ["integer", "string"],
    "pattern": "^[0-9]+$",
    "minimum": 0,
    "maximum": 2147483647,
    "format": INT32,
}
_SOME: Schema = _SIZE | {"minimum": 1}
_SPECS: Schema = {
    "type": "object",
    "patternProperties": {r"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": ["string", "number"], "maxLength": 255}},
    "additionalProperties": False,
    "maxProperties": _MOST_SPECS,
}


def _create_schema(*, described: bool, factor: bool = True) -> Schema:
    properties: Schema = {
        "name": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^(?!\s)[^\x00-\x1f]*(?<!\s)$"},
        "id": {"type": ["string", "integer", "null"], "minLength": 1, "maxLength": 255, "pattern": r"^[\w. -]*$"},
        "ram": _SOME,
        "vcpus": _SOME,
        "disk": _SIZE,
        "OS-FLV-EXT-DATA:ephemeral": _SIZE,
        "swap": _SIZE,
        "rxtx_factor": {
            "type": ["number", "string"],
            "pattern": r"^[0-9]+(\.[0-9]+)?$",
            "minimum": 0,
            "maximum": 3.40282e38,
            "maxLength": 32,
        },
        "os-flavor-access:is_public": BOOLEAN,
    }
    if not factor:
        del properties["rxtx_factor"]
    if described:
        properties["description"] = {"type": ["string", "null"], "minLength": 0, "maxLength": 65535}
    flavor = {
        "type": "object",
        "properties": properties,
        "required": ["name", "ram", "vcpus", "disk"],
        "additionalProperties": False,
    }
    return _closed({"flavor": flavor})


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


_CHECKED_SPECS = (2, 86)  # from here extra specs in Nova's namespaces are held against its names
_WITHOUT_FACTOR = (2, 102)  # from here there is neither rxtx_factor nor OS-FLV-DISABLED:disabled
CREATE = (
    ((2, 1), _create_schema(described=False)),
    ((2, 55), _create_schema(described=True)),
    (_WITHOUT_FACTOR, _create_schema(described=True, factor=False)),
)
UPDATE = (((2, 55), _closed({"flavor": _closed({"description": {"type": ["string", "null"], "maxLength": 65535}})})),)
EXTRA = (((2, 1), _closed({"extra_specs": _SPECS})),)
ONE_EXTRA = (((2, 1), _SPECS | {"minProperties": 1, "maxProperties": 1}),)
_MIB_OR_GIB: Schema = list_of({"type": "string", "pattern": "^[0-9]*$", "format": INT32})
_QUERY_PROPERTIES: Schema = {
    "limit": paging.INTEGER,
    "marker": paging.TEXT,
    "is_public": paging.TEXT,
    "minRam": _MIB_OR_GIB,
    "minDisk": _MIB_OR_GIB,
    "sort_key": list_of({"type": "string", "maxLength": 255}),
    "sort_dir": list_of({"enum": ["asc", "desc"]}),
}
QUERY = (
    ((2, 1), {"type": "object", "properties": _QUERY_PROPERTIES}),
    ((2, 75), {"type": "object", "properties": _QUERY_PROPERTIES, "additionalProperties": False}),
)
_TRUE = ("true", "1", "yes", "on", "t", "y")
_SORT = {
    "flavorid": "flavorid",
    "name": "name",
    "memory_mb": "memory_mb",
    "vcpus": "vcpus",
    "root_gb": "disk_gb",
    "created_at": "created_at",
    "updated_at": "updated_at",
    "id": "id",
}


def _scope(request: ApiRequest) -> str | None:
    """The project whose flavors, beside the public ones, the caller may see; None: all of them."""
    return None if request.caller.is_admin else request.caller.project_id


def index(request: ApiRequest) -> Answer:
    return _page(request, "flavors", _brief)


def detail(request: ApiRequest) -> Answer:
    return _page(request, "flavors/detail", _full)


def show(request: ApiRequest) -> Answer:
    with request.services.db.read() as connection:
        return Answer(200, {"flavor": _full(request, rows.get(connection, request.params["id"], _scope(request)))})


def create(request: ApiRequest) -> Answer:
    wanted = request.body["flavor"]
    flavorid = wanted.get("id")
    values = {
        "flavorid": None if flavorid in (None, "auto") else str(flavorid),
        "name": wanted["name"],
        "vcpus": int(wanted["vcpus"]),
        "memory_mb": int(wanted["ram"]),
        "disk_gb": int(wanted["disk"]),
        "ephemeral_gb": int(wanted.get("OS-FLV-EXT-DATA:ephemeral", 0)),
        "swap_mb": int(wanted.get("swap", 0)),
        "rxtx_factor": float(wanted.get("rxtx_factor", 1.0)),
        "is_public": wanted.get("os-flavor-access:is_public", True) in TRUE,
        "description": wanted.get("description"),
    }
    with request.services.db.write() as connection:
        return Answer(200, {"flavor": _full(request, rows.create(connection, values))})


def update(request: ApiRequest) -> Answer:
    with request.services.db.write() as connection:
        rows.get(connection, request.params["id"])
        row = rows.change(connection, request.params["id"], request.body["flavor"])
        return Answer(200, {"flavor": _full(request, row)})


def delete(request: ApiRequest) -> Answer:
    with request.services.db.write() as connection:
        rows.remove(connection, request.params["id"])
    return Answer(202)


def list_specs(request: ApiRequest) -> Answer:
    with request.services.db.read() as connection:
        return Answer(200, {"extra_specs": rows.get(connection, request.params["id"], _scope(request)).extra_specs})


def add_specs(request: ApiRequest) -> Answer:
    wanted = {key: str(value) for key, value in request.body["extra_specs"].items()}
    if request.version >= _CHECKED_SPECS:
        extra_spec_names.check(wanted)
    _merge(request, wanted)
    return Answer(200, {"extra_specs": wanted})


def show_spec(request: ApiRequest) -> Answer:
    key = request.params["key"]
    with request.services.db.read() as connection:
        specs = rows.get(connection, request.params["id"], _scope(request)).extra_specs
    if key not in specs:
        raise NotFound(f"Flavor {request.params['id']} has no extra specs with key {key}.")
    return Answer(200, {key: specs[key]})


def put_spec(request: ApiRequest) -> Answer:
    key = request.params["key"]
    if list(request.body) != [key]:
        raise BadRequest("Request body and URI mismatch")
    if request.version >= _CHECKED_SPECS:
        extra_spec_names.check({key: str(request.body[key])})
    _merge(request, {key: str(request.body[key])})
    return Answer(200, {key: str(request.body[key])})


def delete_spec(request: ApiRequest) -> Answer:
    flavorid, key = request.params["id"], request.params["key"]
    with request.services.db.write() as connection:
        specs = dict(rows.get(connection, flavorid, lock=True).extra_specs)
        if key not in specs:
            raise NotFound(f"Flavor {flavorid} has no extra specs with key {key}.")
        del specs[key]
        rows.change(connection, flavorid, {"extra_specs": specs})
    return Answer(200)


def _merge(request: ApiRequest, specs: dict[str, str]) -> None:
    flavorid = request.params["id"]
    with request.services.db.write() as connection:
        merged = {**rows.get(connection, flavorid, lock=True).extra_specs, **specs}
        if len(merged) > _MOST_SPECS:
            raise Forbidden(f"Maximum number of extra specs exceeds {_MOST_SPECS}")
        rows.change(connection, flavorid, {"extra_specs": merged})


def _page(request: ApiRequest, path: str, view: Any) -> Answer:
    query, limit = request.query, paging.limit(request)
    key, direction = paging.first(query, "sort_key") or "flavorid", paging.first(query, "sort_dir") or "asc"
    if key not in _SORT:
        raise BadRequest(f"Invalid sort key: {key}; one of {', '.join(_SORT)}")
    public = (paging.first(query, "is_public") or "true").lower()
    with request.services.db.read() as connection:
        found = rows.listed(
            connection,
            project_id=_scope(request),
            is_public=None
            if public == "none" or not request.caller.is_admin
            else public in ("true", "1", "yes", "on", "t", "y"),
            min_ram=int(paging.first(query, "minRam") or 0),
            min_disk=int(paging.first(query, "minDisk") or 0),
            sort=((_SORT[key], direction == "asc"),),
            marker=paging.first(query, "marker"),
            limit=limit,
        )
    body: dict[str, Any] = {"flavors": [view(request, row) for row in found]}
    if found and len(found) == limit:
        body["flavors_links"] = paging.next_link(request, path, found[-1].flavorid)
    return Answer(200, body)


def _brief(request: ApiRequest, row: rows.FlavorRow) -> dict[str, Any]:
    described = {"description": row.description} if request.version >= (2, 55) else {}
    return {"id": row.flavorid, "name": row.name, "links": _links(request, row.flavorid), **described}


def _full(request: ApiRequest, row: rows.FlavorRow) -> dict[str, Any]:
    body = {
        "id": row.flavorid,
        "name": row.name,
        "ram": row.memory_mb,
        "disk": row.disk_gb,
        "swap": row.swap_mb or (0 if request.version >= (2, 75) else ""),
        "OS-FLV-EXT-DATA:ephemeral": row.ephemeral_gb,
        "vcpus": row.vcpus,
        "os-flavor-access:is_public": row.is_public,
        "links": _links(request, row.flavorid),
    }
    if request.version < _WITHOUT_FACTOR:
        body |= {"OS-FLV-DISABLED:disabled": row.disabled, "rxtx_factor": row.rxtx_factor}
    if request.version >= (2, 55):
        body["description"] = row.description
    if request.version >= (2, 61) and request.allows(SEES_EXTRA_SPECS):
        body["extra_specs"] = row.extra_specs
    return body


def _links(request: ApiRequest, flavorid: str) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{request.base}/flavors/{flavorid}"},
        {"rel": "bookmark", "href": f"{request.bookmarks}/flavors/{flavorid}"},
    ]
