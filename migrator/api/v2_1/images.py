"""``/images``: this server's images as Nova shows them below 2.36, for clients that know no image service.

Reads only, and shows what ``/image/v2`` shows the same caller; metadata is what Nova calls an image's properties. What
Nova would pass on to change an image is refused by name (``api/refused_proxies.py``).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from migrator.api.json_schema import shortened
from migrator.api.routing import Answer, ApiRequest, Versioned
from migrator.api.timestamps import iso_z, moment
from migrator.api.v2_1.common import paging
from migrator.api.v2_1.servers.view import links
from migrator.db import images as rows
from migrator.db.engine import Connection
from migrator.db.rows import ImageRow
from migrator.errors import BadRequest, ImageNotFound, NotFound

UNTIL, METADATA_UNTIL = (2, 35), (2, 38)
_MOST = 100  # images that are held at once, with all that their properties may have; and a page
_STATUS = {"active": ("ACTIVE", 100), "queued": ("SAVING", 25), "saving": ("SAVING", 50)}
_UNKNOWN = ("UNKNOWN", 0)
_NEWEST_FIRST = [("created_at", False)]
_PROPERTY = "property-"
_OF_PROPERTIES = {"server": "instance_uuid", "type": "image_type"}  # filter -> property
_NUMBERS = {"minRam": "min_ram", "minDisk": "min_disk"}  # filter -> column
QUERY: Versioned = (
    (
        (2, 1),
        {
            "type": "object",
            "properties": {
                "limit": paging.INTEGER,
                **dict.fromkeys(("marker", "name", "status", "server", "type", "changes-since"), paging.TEXT),
                **dict.fromkeys(_NUMBERS, paging.INTEGER),
            },
        },
    ),
)


@dataclass(frozen=True, slots=True)
class _Filters:
    """``among``: column -> values, for the database; the others are held against each image."""

    among: Mapping[str, Sequence[str]] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    since: float | None = None

    def fit(self, row: ImageRow) -> bool:
        if self.since is not None and row.updated_at < self.since:
            return False
        numbers = all(getattr(row, column) == number for column, number in self.numbers.items())
        return numbers and all(row.properties.get(name) == value for name, value in self.properties.items())


def index(request: ApiRequest) -> Answer:
    return _page(request, _brief, "images")


def detail(request: ApiRequest) -> Answer:
    return _page(request, _full, "images/detail")


def show(request: ApiRequest) -> Answer:
    return Answer(200, {"image": _full(request, _get(request))})


def list_metadata(request: ApiRequest) -> Answer:
    return Answer(200, {"metadata": dict(_get(request).properties)})


def show_meta(request: ApiRequest) -> Answer:
    properties, key = _get(request).properties, request.params["key"]
    if key not in properties:
        raise NotFound("The resource could not be found.")
    return Answer(200, {"meta": {key: properties[key]}})


def _get(request: ApiRequest) -> ImageRow:
    """Raises NotFound, in Nova's words, also for another project's."""
    try:
        with request.services.db.read() as connection:
            return rows.get(connection, request.params["image_id"], project_id=_scope(request))
    except ImageNotFound as error:
        raise NotFound("Image not found.") from error


def _scope(request: ApiRequest) -> str | None:
    return None if request.caller.is_admin else request.caller.project_id


def _page(request: ApiRequest, view: Callable[[ApiRequest, ImageRow], dict[str, Any]], path: str) -> Answer:
    limit = min(paging.limit(request), _MOST)
    found: list[dict[str, Any]] = []
    with request.services.db.read() as connection:
        for row in _fitting(request, connection) if limit else ():
            found.append(view(request, row))
            if len(found) == limit:
                break
    body: dict[str, Any] = {"images": found}
    if found and len(found) == limit:
        body["images_links"] = paging.next_link(request, path, found[-1]["id"])
    return Answer(200, body)


def _fitting(request: ApiRequest, connection: Connection) -> Iterator[ImageRow]:
    """Behind the marker, the newest first. Raises BadRequest for a marker that is no image of the caller's."""
    filters, marker = _filters(request), paging.first(request.query, "marker")
    ids = rows.ordered(connection, filters.among, _NEWEST_FIRST, _scope(request))
    if marker is not None:
        if marker not in ids:
            ids = rows.ordered(connection, {}, _NEWEST_FIRST, _scope(request))
        if marker not in ids:
            raise BadRequest(f"Invalid marker. Image {shortened(marker)} could not be found.")
        ids = ids[ids.index(marker) + 1 :]
    for begin in range(0, len(ids), _MOST):
        yield from filter(filters.fit, rows.several(connection, ids[begin : begin + _MOST]))


def _filters(request: ApiRequest) -> _Filters:
    """Raises BadRequest. A server may be named by its URL."""
    asked = {name: values[-1] for name, values in request.query.items()}
    properties = {name.removeprefix(_PROPERTY): value for name, value in asked.items() if name.startswith(_PROPERTY)}
    properties |= {column: asked[name].rsplit("/", 1)[-1] for name, column in _OF_PROPERTIES.items() if name in asked}
    among = {"name": [asked["name"]]} if "name" in asked else {}
    among |= {"status": [asked["status"].lower()]} if "status" in asked else {}
    numbers = {column: int(asked[name]) for name, column in _NUMBERS.items() if asked.get(name)}
    since = asked.get("changes-since")
    return _Filters(among, numbers, properties, moment("changes-since", since) if since else None)


def _brief(request: ApiRequest, row: ImageRow) -> dict[str, Any]:
    alternate = {"rel": "alternate", "type": "application/vnd.openstack.image"}
    own = links(request.base, request.bookmarks, "images", row.id)
    return {
        "id": row.id,
        "name": row.name,
        "links": [*own, alternate | {"href": f"{request.root}/image/v2/images/{row.id}"}],
    }


def _full(request: ApiRequest, row: ImageRow) -> dict[str, Any]:
    status, progress = _STATUS.get(row.status, _UNKNOWN)
    image = _brief(request, row) | {
        "minRam": row.min_ram or 0,
        "minDisk": row.min_disk or 0,
        "metadata": dict(row.properties),
        "created": iso_z(row.created_at),
        "updated": iso_z(row.updated_at),
        "status": status,
        "progress": progress,
        "OS-EXT-IMG-SIZE:size": row.size or 0,
    }
    if server := row.properties.get("instance_uuid"):
        image["server"] = {"id": server, "links": links(request.base, request.bookmarks, "servers", server)}
    return image
