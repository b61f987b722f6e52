"""The query string of ``GET /images`` as Glance has it, and the page that it asks for.

Owns filters, order and paging; never more than a page of images is held at once, whatever the filter. A name that is no
attribute is a property's.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from migrator.api.json_schema import shortened
from migrator.api.timestamps import moment
from migrator.db import images as rows
from migrator.db.engine import Connection
from migrator.db.rows import ImageRow
from migrator.errors import BadRequest

DEFAULT_LIMIT = 25  # Glance's
MOST = 100  # images a page: with all that their properties may hold, some 10 MiB
SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
VISIBILITIES = ("public", "private", "shared", "community")
_MEMBERS = ("pending", "accepted", "rejected", "all")  # no image has a member, so that each is the same
_COLUMNS = ("id", "name", "status", "visibility", "owner", "disk_format", "container_format")
_SEVERAL = ("id", "name", "status", "disk_format", "container_format")  # "in:a,b"
_SIZES = ("size_min", "size_max")
_TIMES = ("created_at", "updated_at")
_PAGING = ("limit", "marker", "sort", "sort_key", "sort_dir", "member_status")
_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}
Params = Sequence[tuple[str, str]]
View = Callable[[ImageRow], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """``among``: column -> values; ``more``: what is compared with each image as it is shown."""

    among: Mapping[str, Sequence[str]]
    more: Params
    sort: Sequence[tuple[str, bool]]  # (column, whether ascending)
    limit: int
    marker: str | None


def parse(params: Params) -> ImageQuery:
    """Raises BadRequest that names the parameter."""
    last = dict(params)
    _check_words(last)
    more = [(name, value) for name, value in params if name not in _COLUMNS and name not in _PAGING]
    for name, value in more:
        if name in _SIZES and not (value.isascii() and value.isdigit() and len(value) <= 18):
            raise BadRequest(f"{name} is a number of bytes.")
        if name in _TIMES:
            _time(name, value)
    among = {name: _among(name, last[name]) for name in _COLUMNS if name in last}
    if last.get("visibility") == "all":
        del among["visibility"]
    return ImageQuery(among, more, _sort(params), _limit(last.get("limit")), last.get("marker"))


def page(connection: Connection, params: Params, view: View, project_id: str | None) -> dict[str, Any]:
    """The answer's body. ``project_id``: who asks; None: an administrator."""
    query = parse(params)
    ids = rows.ordered(connection, query.among, query.sort, project_id)
    if query.marker is not None:
        if query.marker not in ids:
            ids = rows.ordered(connection, {}, query.sort, project_id)
        if query.marker not in ids:
            raise BadRequest(f"Invalid marker. Image {shortened(query.marker)} could not be found.")
        ids = ids[ids.index(query.marker) + 1 :]
    found: list[dict[str, Any]] = []
    for image in _fitting(connection, ids, query, view):
        if len(found) == query.limit:
            return _body(found, params, following=bool(found))
        found.append(image)
    return _body(found, params, following=False)


def _fitting(connection: Connection, ids: Sequence[str], query: ImageQuery, view: View) -> Iterator[dict[str, Any]]:
    for begin in range(0, len(ids), MOST):
        for row in rows.several(connection, ids[begin : begin + MOST]):
            image = view(row)
            if all(_fits(row, image, name, value) for name, value in query.more):
                yield image


def _body(found: list[dict[str, Any]], params: Params, *, following: bool) -> dict[str, Any]:
    kept = [(name, value) for name, value in params if name != "marker"]
    body = {"images": found, "first": _link(kept), "schema": "/v2/schemas/images"}
    return body | ({"next": _link([*kept, ("marker", found[-1]["id"])])} if following else {})


def _link(params: Params) -> str:
    return f"/v2/images?{urlencode(params)}" if params else "/v2/images"


def _check_words(last: Mapping[str, str]) -> None:
    member, visibility = last.get("member_status"), last.get("visibility")
    if member is not None and member not in _MEMBERS:
        raise BadRequest(f"Invalid status: {shortened(member)}; member_status is one of {', '.join(_MEMBERS)}.")
    if visibility is not None and visibility not in (*VISIBILITIES, "all"):
        raise BadRequest(f"Invalid visibility value: {shortened(visibility)}; one of {', '.join(VISIBILITIES)}, all.")


def _limit(asked: str | None) -> int:
    if asked is None:
        return DEFAULT_LIMIT
    if not (asked.isascii() and asked.removeprefix("-").isdigit() and len(asked) <= 18):
        raise BadRequest("limit param must be an integer")
    if int(asked) < 0:
        raise BadRequest("limit param must be positive")
    return min(int(asked), MOST)


def _among(name: str, value: str) -> Sequence[str]:
    if name not in _SEVERAL or not value.startswith("in:"):
        return [value]
    return [one.strip('"') for one in value.removeprefix("in:").split(",")]


def _sort(params: Params) -> Sequence[tuple[str, bool]]:
    """Newest first, where nothing else is asked for."""
    keys, ways = ([value for name, value in params if name == which] for which in ("sort_key", "sort_dir"))
    together = [part for name, value in params if name == "sort" for part in value.split(",")]
    if together and (keys or ways):
        raise BadRequest("Old and new sorting syntax cannot be combined: sort, or sort_key and sort_dir")
    if together:
        keys, _, ways = (list(part) for part in zip(*(one.partition(":") for one in together), strict=True))
    if len(ways) > max(1, len(keys)):
        raise BadRequest("Number of sort dirs does not match the number of sort keys")
    ways += [ways[0] if len(ways) == 1 else "desc"] * (len(keys) - len(ways))
    for key in keys:
        if key not in SORT_KEYS:
            raise BadRequest(f"Invalid sort key: {shortened(key)}. It must be one of {', '.join(SORT_KEYS)}.")
    for way in ways:
        if way not in ("asc", "desc", ""):
            raise BadRequest(f"Invalid sort direction: {shortened(way)}; asc or desc.")
    named: dict[str, bool] = {}  # a key that is repeated orders nothing more
    for key, way in zip(keys or ["created_at"], ways or ["desc"], strict=True):
        named.setdefault(key, way == "asc")
    return list(named.items())


def _time(name: str, value: str) -> tuple[Callable[[float, float], bool], float]:
    """A comparison and a moment: "gt:2026-01-01T00:00:00Z". Raises BadRequest."""
    how, _, when = value.partition(":")
    return (_COMPARED[how], moment(name, when)) if how in _COMPARED else (operator.eq, moment(name, value))


def _fits(row: ImageRow, image: Mapping[str, Any], name: str, value: str) -> bool:
    if name == "tag":
        return value in image["tags"]
    if name in _SIZES:
        size = image["size"] or 0
        return bool(size >= int(value) if name == "size_min" else size <= int(value))
    if name in _TIMES:
        compare, when = _time(name, value)
        return compare(float(int(getattr(row, name))), when)
    found = image.get(name)
    return found is not None and str(found).lower() == value.lower() if isinstance(found, bool) else found == value
