"""Images in Glance v2's wire format, the part that clients and the lab use: list, show, create, upload, download,
delete. Mounted where ``openstack`` (``/image/v2``), ``nova`` (``/v2.1/v2``) and Glance clients (``/v2``) look.

What becomes of the bytes is ``upload``'s; which formats are taken is the setting ``image_formats``.
"""

import logging
from collections.abc import Collection
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from migrator.api.image_v2 import listing
from migrator.api.image_v2 import upload as image_upload
from migrator.api.json_schema import is_uuid, shortened
from migrator.api.process.services import Services
from migrator.api.routing import Answer, ApiRequest, Given
from migrator.api.timestamps import iso_z
from migrator.db import images as rows
from migrator.db.rows import ImageRow
from migrator.errors import BadRequest, Conflict, Forbidden
from migrator.untrusted.image_inspection import BOOT_FILES

# Attribute of the API -> column; everything else a client sets is a property.
_COLUMNS = {
    "id": "id",
    "name": "name",
    "visibility": "visibility",
    "protected": "protected",
    "os_hidden": "os_hidden",
    "owner": "owner",
    "disk_format": "disk_format",
    "container_format": "container_format",
    "min_disk": "min_disk",
    "min_ram": "min_ram",
    "tags": "tags",
}
_MOST_TAGS = _MOST_PROPERTIES = 128  # Glance's quotas
_LONGEST_NAME, _LONGEST_VALUE = 255, 65535  # of a property: what Glance's columns hold
_READ_ONLY = frozenset(
    [
        "status",
        "size",
        "virtual_size",
        "checksum",
        "os_hash_algo",
        "os_hash_value",
        "created_at",
        "updated_at",
        "self",
        "file",
        "schema",
    ]
)
_DEFAULTS = {
    "visibility": "shared",
    "protected": False,
    "os_hidden": False,
    "min_disk": 0,
    "min_ram": 0,
    "tags": [],
}
_CONTAINERS = ("bare", *BOOT_FILES)
_TO_SHOW = {"public": "publicize_image", "community": "communitize_image"}  # visibility -> rule
_TYPES: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "name": (str, type(None)),
    "visibility": str,
    "protected": bool,
    "os_hidden": bool,
    "owner": (str, type(None)),
    "disk_format": (str, type(None)),
    "container_format": (str, type(None)),
    "min_disk": int,
    "min_ram": int,
    "tags": list,
}
IN_USE_HEADER = "X-Migrator-In-Use"
log = logging.getLogger("migrator.api")


def index(request: ApiRequest) -> Answer:
    """A page, the newest first; ``name=``, ``status=`` … filter, ``id=in:a,b`` names several."""
    with request.services.db.read() as connection:
        return Answer(200, listing.page(connection, request.http.query_params.multi_items(), view, _scope(request)))


def show(request: ApiRequest) -> Answer:
    return Answer(200, view(_get(request)))


def create(request: ApiRequest) -> Answer:
    services, caller = request.services, request.caller
    values = _values(request.body if request.body is not None else {}, services.settings.image_formats)
    values.setdefault("owner", caller.project_id)
    if values["owner"] != caller.project_id and not caller.is_admin:
        raise Forbidden("You are not permitted to create images owned by another project.")
    if (rule := _TO_SHOW.get(values["visibility"])) is not None:
        request.require(rule)
    with services.db.write() as connection:
        return Answer(201, view(rows.create(connection, values)))


async def upload(request: ApiRequest) -> Answer:
    """The image's bytes, as ``application/octet-stream``; once. Raises Conflict for a second time."""
    services = request.services
    row = await run_in_threadpool(_own, request)
    if row.status != "queued":
        raise Conflict(f"Image status transition from {row.status} to saving is not allowed")
    if row.disk_format is None or row.container_format is None:
        raise BadRequest("Properties disk_format, container_format must be set prior to saving data.")
    await image_upload.receive(request.http, services, row)
    return Answer(204)


def download(request: ApiRequest) -> Given:
    row = _get(request)
    path = request.services.settings.image_dir / row.id
    if row.status != "active" or not path.is_file():
        return Answer(204)
    checksum = {"Content-MD5": row.checksum} if row.checksum is not None else {}
    return FileResponse(path, media_type="application/octet-stream", headers=checksum)


def delete(request: ApiRequest) -> Answer:
    """It is gone for every client. Its bytes stay as long as instances need them: they move, and are evacuated, as
    before. ``X-Migrator-In-Use`` says how many of these the caller may see."""
    services, image_id = request.services, _own(request).id
    with services.db.write() as connection:
        row = rows.get(connection, image_id)
        if row.protected:
            raise Conflict(f"Image {image_id} is protected and cannot be deleted.")
        needed, told = rows.needed_by(connection, image_id, _scope(request))
        if row.status == "active" and needed:
            rows.change(connection, image_id, {"status": rows.DELETED})
            return Answer(204, headers={IN_USE_HEADER: f"{told} instances"} if told else {})
        rows.remove(connection, image_id)
    (services.settings.image_dir / row.id).unlink(missing_ok=True)
    return Answer(204)


def remove_abandoned(services: Services) -> None:
    """Deleted images that were kept for instances which are gone, too."""
    with services.db.read() as connection:
        if not rows.abandoned(connection):
            return
    with services.db.write() as connection:
        gone = rows.abandoned(connection)
        for image_id in gone:
            rows.remove(connection, image_id)
    for image_id in gone:
        path = services.settings.image_dir / image_id
        freed = path.stat().st_size if path.is_file() else 0
        path.unlink(missing_ok=True)
        log.info("deleted image %s, which no instance needs any more: %d bytes", image_id, freed)


def _scope(request: ApiRequest) -> str | None:
    """The project whose images, beside the public ones, the caller may see; None: all of them."""
    return None if request.caller.is_admin else request.caller.project_id


def _get(request: ApiRequest) -> ImageRow:
    """Raises ImageNotFound, also for another project's."""
    with request.services.db.read() as connection:
        return rows.get(connection, request.params["image_id"], project_id=_scope(request))


def _own(request: ApiRequest) -> ImageRow:
    """One that the caller may change. Raises Forbidden for another project's that it may only see."""
    row = _get(request)
    if row.owner != request.caller.project_id and not request.caller.is_admin:
        raise Forbidden("You are not permitted to modify this image.")
    return row


def _values(body: Any, formats: Collection[str]) -> dict[str, Any]:
    """Columns and properties of a new image. Raises BadRequest that names the attribute."""
    if not isinstance(body, dict):
        raise BadRequest("The body of a new image is a JSON object.")
    values: dict[str, Any] = dict(_DEFAULTS)
    properties: dict[str, str] = {}
    for name, value in body.items():
        if name in _READ_ONLY:
            raise BadRequest(f"Attribute '{name}' is read-only.")
        if name not in _COLUMNS:
            if not isinstance(value, str):
                said = f"Property '{shortened(name)}' is {shortened(repr(value))}"
                raise BadRequest(f"{said}; a property's value is a string.")
            if len(name) > _LONGEST_NAME or len(value) > _LONGEST_VALUE:
                raise BadRequest(
                    f"Property '{shortened(name)}' is too long: a name has at most {_LONGEST_NAME} characters, and a "
                    f"value {_LONGEST_VALUE}."
                )
            properties[name] = value
            if len(properties) > _MOST_PROPERTIES:
                raise BadRequest(f"An image has at most {_MOST_PROPERTIES} properties.")
            continue
        _check(name, value, formats)
        values[_COLUMNS[name]] = value
    return values | {"properties": properties}


def _check(name: str, value: Any, formats: Collection[str]) -> None:
    fits = isinstance(value, _TYPES[name]) and not (_TYPES[name] is int and isinstance(value, bool))
    if not fits:
        raise BadRequest(f"Attribute '{name}' is {shortened(repr(value))}, which is not of its type.")
    if isinstance(value, str) and len(value) > 255:
        raise BadRequest(f"Attribute '{name}' is longer than 255 characters.")
    if isinstance(value, int) and not 0 <= value <= 2147483647:
        raise BadRequest(f"Attribute '{name}' is {value}; from 0 to 2147483647.")
    if name == "disk_format" and value is not None and value not in (*formats, *BOOT_FILES):
        raise BadRequest(
            f"Attribute 'disk_format' is {value!r}; this server takes disks as {', '.join(formats)} (image_formats), "
            f"and kernels and ramdisks as {', '.join(BOOT_FILES)}."
        )
    if name == "container_format" and value is not None and value not in _CONTAINERS:
        raise BadRequest(f"Attribute 'container_format' is {value!r}; one of {', '.join(_CONTAINERS)}.")
    if name == "visibility" and value not in listing.VISIBILITIES:
        raise BadRequest(f"Attribute 'visibility' is {value!r}; one of {', '.join(listing.VISIBILITIES)}.")
    if name == "id" and not is_uuid(value):
        raise BadRequest(f"Attribute 'id' is {value!r}, which is not a UUID.")
    if name == "tags":
        if len(value) > _MOST_TAGS:
            raise BadRequest(f"Attribute 'tags' has {len(value)} items; at most {_MOST_TAGS}.")
        if not all(isinstance(tag, str) and len(tag) <= 255 for tag in value):
            raise BadRequest("Attribute 'tags' has an item that is not a text of at most 255 characters.")


def view(row: ImageRow) -> dict[str, Any]:
    hashed = row.checksum_sha256
    return {
        **row.properties,
        **{name: getattr(row, column) for name, column in _COLUMNS.items()},
        "status": row.status,
        "size": row.size,
        "virtual_size": row.virtual_size,
        "checksum": row.checksum,
        "os_hash_algo": "sha256" if hashed else None,
        "os_hash_value": hashed,
        "created_at": iso_z(row.created_at),
        "updated_at": iso_z(row.updated_at),
        "self": f"/v2/images/{row.id}",
        "file": f"/v2/images/{row.id}/file",
        "schema": "/v2/schemas/image",
    }
