"""The small resources under a server: metadata, tags, addresses, and what it truthfully has none of."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from migrator.api.json_schema import shortened
from migrator.api.routing import Answer, ApiRequest
from migrator.api.v2_1.common import paging
from migrator.api.v2_1.servers.schemas import MOST_TAGS
from migrator.api.v2_1.servers.servers import find
from migrator.db import instances
from migrator.db.engine import Connection
from migrator.db.rows import InstanceRow
from migrator.errors import BadRequest, NotFound, VolumeNotFound
from migrator.scheduler.fleet.plan import ha_policy
from migrator.scheduler.requests import quota_checks


@contextmanager
def _locked(request: ApiRequest) -> Iterator[tuple[Connection, InstanceRow]]:
    """The server as it is now, which no other request changes before the block ends: what is added to its metadata or
    tags is added to all that is there. Raises InstanceNotFound."""
    find(request, request.params["id"])
    with request.services.db.write() as connection:
        yield connection, instances.lock(connection, request.params["id"])


# --- metadata ---------------------------------------------------------------------------------------------------


def _metadata(request: ApiRequest) -> dict[str, str]:
    return dict(find(request, request.params["id"]).metadata)


def _add_metadata(request: ApiRequest, more: Mapping[str, str], *, keep: bool) -> dict[str, str]:
    """What the server has then; ``keep``: beside what it has now. Raises QuotaExceeded, BadRequest."""
    ha_policy.check(more)
    with _locked(request) as (connection, row):
        metadata = {**(row.metadata if keep else {}), **more}
        quota_checks.metadata_items(connection, row.project_id, request.services.settings.quotas, len(metadata))
        instances.change(connection, row.uuid, {"metadata": metadata})
    return metadata


def list_metadata(request: ApiRequest) -> Answer:
    return Answer(200, {"metadata": _metadata(request)})


def merge_metadata(request: ApiRequest) -> Answer:
    return Answer(200, {"metadata": _add_metadata(request, request.body["metadata"], keep=True)})


def replace_metadata(request: ApiRequest) -> Answer:
    return Answer(200, {"metadata": _add_metadata(request, request.body["metadata"], keep=False)})


def show_meta(request: ApiRequest) -> Answer:
    key, metadata = request.params["key"], _metadata(request)
    if key not in metadata:
        raise NotFound("Metadata item was not found")
    return Answer(200, {"meta": {key: metadata[key]}})


def put_meta(request: ApiRequest) -> Answer:
    key, wanted = request.params["key"], request.body["meta"]
    if key not in wanted:
        raise BadRequest("Request body and URI mismatch")
    _add_metadata(request, wanted, keep=True)
    return Answer(200, {"meta": wanted})


def delete_meta(request: ApiRequest) -> Answer:
    key = request.params["key"]
    with _locked(request) as (connection, row):
        if key not in row.metadata:
            raise NotFound("Metadata item was not found")
        left = {name: value for name, value in row.metadata.items() if name != key}
        instances.change(connection, row.uuid, {"metadata": left})
    return Answer(204)


# --- tags -------------------------------------------------------------------------------------------------------


def _tags(request: ApiRequest) -> list[str]:
    return list(find(request, request.params["id"]).tags)


def list_tags(request: ApiRequest) -> Answer:
    return Answer(200, {"tags": _tags(request)})


def replace_tags(request: ApiRequest) -> Answer:
    tags = sorted(set(request.body["tags"]))
    with _locked(request) as (connection, row):
        instances.change(connection, row.uuid, {"tags": tags})
    return Answer(200, {"tags": tags})


def delete_tags(request: ApiRequest) -> Answer:
    with _locked(request) as (connection, row):
        instances.change(connection, row.uuid, {"tags": []})
    return Answer(204)


def show_tag(request: ApiRequest) -> Answer:
    uuid, tag = request.params["id"], request.params["tag"]
    if tag not in _tags(request):
        raise NotFound(f"Server {uuid} has no tag '{tag}'")
    return Answer(204)


def put_tag(request: ApiRequest) -> Answer:
    uuid, tag = request.params["id"], request.params["tag"]
    with _locked(request) as (connection, row):
        if tag in row.tags:
            return Answer(204)
        if len(tag) > 60 or "," in tag or "/" in tag:
            raise BadRequest(f"Tag '{shortened(tag)}' is invalid. It must be a string without characters '/' and ','.")
        if len(row.tags) >= MOST_TAGS:
            raise BadRequest(f"The number of tags exceeded the per-server limit {MOST_TAGS}")
        instances.change(connection, uuid, {"tags": sorted([*row.tags, tag])})
    return Answer(201, headers={"Location": f"{request.base}/servers/{uuid}/tags/{quote(tag)}"})


def delete_tag(request: ApiRequest) -> Answer:
    uuid, tag = request.params["id"], request.params["tag"]
    with _locked(request) as (connection, row):
        if tag not in row.tags:
            raise NotFound(f"Server {uuid} has no tag '{tag}'")
        instances.change(connection, uuid, {"tags": [other for other in row.tags if other != tag]})
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
