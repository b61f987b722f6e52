"""Reads what a request says as its row in the table of URLs wants it: path, query and body. Never reads the request
itself, and never decides what a value means.

Raises BadRequest that names the field.
"""

from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from migrator.api import json_schema
from migrator.api.json_schema import shortened
from migrator.api.microversions import Version
from migrator.api.routing import Route, Surface, Versioned, schema_at
from migrator.api.validation import validated
from migrator.errors import BadRequest

_MOST_NAMED = 10
Pairs = Sequence[tuple[str, str]]


def query_of(route: Route, pairs: Pairs, version: Version) -> Any:
    """Name -> values, held against the row's schema; or the row's model. A native route refuses every name that it does
    not read: a misspelt filter would answer with everything."""
    if route.surface is Surface.NATIVE:
        _check_names(route.query, pairs)
    if isinstance(route.query, type):
        return validated(route.query, _by_field(route.query, pairs))
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    if route.query is not None:
        json_schema.check(schema_at(route.query, version), found, query=True)
    return found


def body_of(route: Route, body: Any, version: Version) -> Any:
    """As JSON, held against the row's schema; or the row's model."""
    if isinstance(route.body, type):
        if body is None:
            raise BadRequest("body: Field required")
        return validated(route.body, body)
    if route.body is not None:
        if not isinstance(body, dict):
            raise BadRequest("Malformed request body")
        check_body(route.body, body, version)
    return body


def check_path(route: Route, params: Mapping[str, str]) -> None:
    if route.path_model is not None:
        validated(route.path_model, dict(params))


def check_body(table: Versioned, value: Any, version: Version) -> None:
    """Hold a body against the schema of its microversion."""
    json_schema.check(schema_at(table, version), value)


def names_of(query: Versioned | type[BaseModel] | None) -> Mapping[str, FieldInfo]:
    """What a model reads of a query: name -> field."""
    if not isinstance(query, type):
        return {}
    return {about.alias or name: about for name, about in query.model_fields.items()}


def is_list(about: FieldInfo) -> bool:
    return any(get_origin(part) is list for part in (about.annotation, *get_args(about.annotation)))


def _check_names(query: Versioned | type[BaseModel] | None, pairs: Pairs) -> None:
    known = names_of(query)
    if unknown := sorted({name for name, _ in pairs} - set(known))[:_MOST_NAMED]:
        names = ", ".join(shortened(repr(name)) for name in unknown)
        raise BadRequest(f"Unknown in the query: {names}; known here: {', '.join(sorted(known)) or 'nothing'}.")


def _by_field(model: type[BaseModel], pairs: Pairs) -> dict[str, Any]:
    """Of a name that is given more than once all values, where the field is a list, else the last."""
    found: dict[str, Any] = {}
    for name, about in names_of(model).items():
        values = [value for given, value in pairs if given == name]
        if values:
            found[name] = values if is_list(about) else values[-1]
    return found
