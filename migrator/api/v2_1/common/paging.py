"""Paging as the Compute API does it: limit, marker and the ``rel: next`` link."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from migrator.api.routing import ApiRequest
from migrator.api.v2_1.common import schemas
from migrator.errors import BadRequest

# A list of strings each: query values arrive as lists.
INTEGER = {"type": "array", "items": {"type": "string", "pattern": "^[0-9]*$", "maxLength": 18}, "maxItems": 1000}
TEXT = {"type": "array", "items": {"type": "string"}, "maxItems": 1000}
BOOLEAN = {"type": "array", "items": schemas.BOOLEAN, "maxItems": 1000}


def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A query in which no other name may be."""
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def first(query: Mapping[str, Sequence[str]], name: str) -> str | None:
    values = query.get(name)
    return values[0] if values else None


def limit_of(query: Mapping[str, Sequence[str]], most: int) -> int:
    """Rows a page: what is asked for, at most ``most``."""
    value = first(query, "limit")
    return min(int(value), most) if value else most


def limit(request: ApiRequest) -> int:
    return limit_of(request.query, request.services.settings.max_limit)


def next_link(request: ApiRequest, path: str, marker: str) -> list[dict[str, str]]:
    kept = [(name, value) for name, values in request.query.items() if name != "marker" for value in values]
    return [{"rel": "next", "href": f"{request.base}/{path}?{urlencode([*kept, ('marker', marker)])}"}]


def page(
    rows: Sequence[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], str], limit: int, marker: str | None
) -> tuple[Sequence[Mapping[str, Any]], str | None]:
    """Of rows in their order those after the one that ``marker`` names, and the marker of the next page; None: there is
    none. Raises BadRequest for a row that is not there."""
    keys = [key(row) for row in rows]
    if marker is not None and marker not in keys:
        raise BadRequest(f"marker [{marker[:300]}] not found", advice="begin again without a marker")
    # Of several that go by one name the last: otherwise they would be answered again and again.
    begin = len(keys) - keys[::-1].index(marker) if marker is not None else 0
    end = begin + limit
    return rows[begin:end], keys[end - 1] if end < len(rows) else None
