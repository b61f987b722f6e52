"""The small resources under a server: metadata, tags, addresses, and what it truthfully has none of."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from migrator.api.json_schema import shortened
from migrator.api.routing import Answer, ApiRequest
from migrator.api.v2_1.common import paging
from migrator.api.v2_1.servers.schemas import MOST_TAGS
from migrator.api.v2_1.servers.servers import find
from migrator.db import instances
from migrator.errors import BadRequest, NotFound, VolumeNotFound
from migrator.scheduler.requests import quota_checks


def _change(request: ApiRequest, values: Mapping[str, Any]) -> None:
    with request.services.db.write() as connection:
        instances.change(connection, request.params["id"], values)


# --- metadata ---------------------------------------------------------------------------------------------------


def _metadata(request: ApiRequest) -> dict[str, str]:
    return dict(find(request, request.params["id"]).metadata)


def _change_metadata(request: ApiRequest, metadata: Mapping[str, str]) -> None:
    """Raises QuotaExceeded."""
    with request.services.db.write() as connection:
        project = instances.get(connection, request.params["id"]).project_id
        quota_checks.metadata_items(connection, project, request.services.settings.quotas, len(metadata))
        instances.change(connection, request.params["id"], {"metadata": metadata})


def list_metadata(request: ApiRequest) -> Answer:
    return Answer(200, {"metadata": _metadata(request)})


def merge_metadata(request: ApiRequest) -> Answer:
    merged = _metadata(request) | request.body["metadata"]
    _change_metadata(request, merged)
    return Answer(200, {"metadata": merged})


def replace_metadata(request: ApiRequest) -> Answer:
    find(request, request.params["id"])
    _change_metadata(request, request.body["metadata"])
    return Answer(200, {"metadata": request.body["metadata"]})


def show_meta(request: ApiRequest) -> Answer:
    key, metadata = request.params["key"], _metadata(request)
    if key not in metadata:
        raise NotFound("Metadata item was not found")
    return Answer(200, {"meta": {key: metadata[key]}})


def put_meta(request: ApiRequest) -> Answer:
    key, wanted = request.params["key"], request.body["meta"]
    if key not in wanted:
        raise BadRequest("Request body and URI mismatch")
    merged = _metadata(request) | wanted
    _change_metadata(request, merged)
    return Answer(200, {"meta": wanted})


def delete_meta(request: ApiRequest) -> Answer:
    key, metadata = request.params["key"], _metadata(request)
    if key not in metadata:
        raise NotFound("Metadata item was not found")
    del metadata[key]
    _change(request, {"metadata": metadata})
    return Answer(204)


# --- tags -------------------------------------------------------------------------------------------------------


def _tags(request: ApiRequest) -> list[str]:
    return list(find(request, request.params["id"]).tags)


def list_tags(request: ApiRequest) -> Answer:
    return Answer(200, {"tags": _tags(request)})


def replace_tags(request: ApiRequest) -> Answer:
    find(request, request.params["id"])
    tags = sorted(set(request.body["tags"]))
    _change(request, {"tags": tags})
    return Answer(200, {"tags": tags})


def delete_tags(request: ApiRequest) -> Answer:
    find(request, request.params["id"])
    _change(request, {"tags": []})
    return Answer(204)


def show_tag(request: ApiRequest) -> Answer:
    uuid, tag = request.params["id"], request.params["tag"]
    if tag not in _tags(request):
        raise NotFound(f"Server {uuid} has no tag '{tag}'")
    return Answer(204)


def put_tag(request: ApiRequest) -> Answer:
    uuid, tag = request.params["id"], request.params["tag"]
    tags = _tags(request)
    if tag in tags:
        return Answer(204)
    if len(tag) > 60 or "," in tag or "/" in tag:
        raise BadRequest(f"Tag '{shortened(tag)}' is invalid. It must be a string without characters '/' and ','.")
    if len(tags) >= MOST_TAGS:
        raise BadRequest(f"The number of tags exceeded the per-server limit {MOST_TAGS}")
    _change(request, {"tags": sorted([*tags, tag])})
    return Answer(201, headers={"Location": f"{request.base}/servers/{uuid}/tags/{quote(tag)}"})


def delete_tag(request: ApiRequest) -> Answer:
    uuid, tag = request.params["id"], request.params["tag"]
    tags = _tags(request)
    if tag not in tags:
        raise NotFound(f"Server {uuid} has no tag '{tag}'")
    _change(request, {"tags": [other for other in tags if other != tag]})
    return Answer(204)


# --- what it is attached to -------------------------------------------------------------------------------------


def topology(request: ApiRequest) -> Answer:
    """No guest has NUMA nodes, or pages of a size of its own."""
    find(request, request.params["id"])
    return Answer(200, {"nodes": [], "pagesize_kb": None})


def security_groups(request: ApiRequest) -> Answer:
    find(request, request.params["id"])
    return Answer(200, {"security_groups": []})


def volumes(request: ApiRequest) -> Answer:
    row, query = find(request, request.params["id"]), request.query
    begin = int(paging.first(query, "offset") or 0)
    found = _volumes(row)[begin:][: int(paging.first(query, "limit") or 0) or None]
    return Answer(200, {"volumeAttachments": [_attachment(row, v, request.version) for v in found]})


def volume(request: ApiRequest) -> Answer:
    row, ident = find(request, request.params["id"]), request.params["volume"]
    for found in _volumes(row):
        if found["id"] == ident:
            return Answer(200, {"volumeAttachment": _attachment(row, found, request.version)})
    raise VolumeNotFound(f"Instance {row.uuid} is not attached to volume {ident}")


def change_volumes(request: ApiRequest) -> Answer:
    find(request, request.params["id"])
    raise BadRequest("Volumes are attached when a server is made (block_device_mapping_v2), and freed by its deletion.")


def _volumes(row: Any) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = row.spec.get("volumes") or ()
    return found


def _attachment(row: Any, volume: Mapping[str, Any], version: tuple[int, int]) -> dict[str, Any]:
    shown = {"device": f"/dev/{volume['target']}", "serverId": row.uuid, "volumeId": volume["id"]}
    shown |= {"tag": None} if version >= (2, 70) else {}
    shown |= {"delete_on_termination": False} if version >= (2, 79) else {}
    # There is one attachment of a volume at a time: it goes by the volume's id.
    return shown | (
        {"attachment_id": volume["id"], "bdm_uuid": volume["id"]} if version >= (2, 89) else {"id": volume["id"]}
    )


_SLICE = {"limit": paging.INTEGER, "offset": paging.INTEGER}
VOLUMES_QUERY = (((2, 1), {"type": "object", "properties": _SLICE}), ((2, 75), paging.closed(_SLICE)))
