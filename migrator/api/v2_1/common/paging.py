"""Paging as the Compute API does it: limit, marker and the ``rel: next`` link."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from migrator.api.routing import ApiRequest
from migrator.api.v2_1.common import schemas

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
