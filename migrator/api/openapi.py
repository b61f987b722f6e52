"""The OpenAPI document of a table of URLs: every surface's routes with what they take. Pure.

Owns how a row is described. What answers hold is not described: the Compute API's is Nova's, by microversion.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from migrator import __version__
from migrator.api.access import rule_of
from migrator.api.faults import NAMES
from migrator.api.microversions import MAXIMUM, text
from migrator.api.request_input import names_of
from migrator.api.routing import ANYBODY, Route, Surface, schema_at

_JSON, _OCTETS = "application/json", "application/octet-stream"
_PLACE = "#/components/schemas/{model}"
_WITH_A_BODY = ("POST", "PUT")


def document(routes: Sequence[Route]) -> dict[str, Any]:
    shown = [route for route in routes if route.documented]
    models = _models(shown)
    paths: dict[str, dict[str, Any]] = {}
    for route in reversed(shown):  # of several rows of one method the first is shown
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, models)
    return {
        "openapi": "3.1.0",
        "info": {"title": "migrator", "version": __version__},
        "paths": {path: paths[path] for path in dict.fromkeys(route.path for route in shown)},
        "components": {"schemas": models, "securitySchemes": {"agent": {"type": "http", "scheme": "bearer"}}},
    }


def _models(routes: Sequence[Route]) -> Mapping[str, Any]:
    """Every model that a row names, and its parts."""
    named = [one for route in routes for one in (route.body, route.query, route.path_model) if isinstance(one, type)]
    asked: list[tuple[type[BaseModel], JsonSchemaMode]] = [(one, "validation") for one in dict.fromkeys(named)]
    found: Mapping[str, Any] = models_json_schema(asked, ref_template=_PLACE)[1]["$defs"]
    return found


def _operation(route: Route, models: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": [route.surface.value],
        "summary": route.summary,
        "description": _description(route),
        "parameters": [*_in_path(route, models), *_microversion(route), *_in_query(route, models)],
        "responses": _responses(route),
    }
    if route.access.kind is not None:
        operation["security"] = [{"agent": []}]
    if (body := _body(route)) is not None:
        operation["requestBody"] = body
    return operation


def _description(route: Route) -> str:
    """Who may call, then the handler's own words, where they are for readers of more than the Compute API."""
    rule = rule_of(route)
    who = f"{route.access.name}, by the rule {rule}" if rule else route.access.name
    summary = " ".join((route.handler.__doc__ or "").split()) if route.surface is not Surface.COMPUTE else ""
    return f"For: {who}. {summary}".strip()


def _responses(route: Route) -> dict[str, Any]:
    answers = {"2XX": {"description": "done, or accepted"}}
    if route.access is ANYBODY:
        return answers | {"300": {"description": "several versions"}}
    return answers | {str(status): {"description": name} for status, name in NAMES.items() if status < 500}


def _in_path(route: Route, models: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = models[route.path_model.__name__]["properties"] if route.path_model is not None else {}
    plain = {"type": "string", "minLength": 1}
    return [
        {"name": name, "in": "path", "required": True, "schema": known.get(name, plain)}
        for name in re.findall(r"{(\w+)}", route.path)
    ]


def _microversion(route: Route) -> list[dict[str, Any]]:
    if route.surface is not Surface.COMPUTE:
        return []
    version = {"type": "string", "enum": [text(route.until), text(route.since)]}
    return [{"name": "X-OpenStack-Nova-API-Version", "in": "header", "required": True, "schema": version}]


def _in_query(route: Route, models: Mapping[str, Any]) -> list[dict[str, Any]]:
    if isinstance(route.query, type):
        known = models[route.query.__name__]["properties"]
        return [{"name": name, "in": "query", "schema": known[name]} for name in names_of(route.query)]
    if route.query is None:
        return []
    texts = {"type": "array", "items": {"type": "string"}}
    names = schema_at(route.query, MAXIMUM).get("properties", {})
    return [{"name": name, "in": "query", "schema": texts} for name in names]


def _body(route: Route) -> dict[str, Any] | None:
    if route.octets:
        return {"required": True, "content": {_OCTETS: {"schema": {"type": "string", "format": "binary"}}}}
    if isinstance(route.body, type):
        schema: Mapping[str, Any] = {"$ref": _PLACE.format(model=route.body.__name__)}
    elif route.body is not None:
        schema = schema_at(route.body, MAXIMUM)
    elif route.method in _WITH_A_BODY and route.surface is not Surface.NATIVE:
        return {"content": {_JSON: {"schema": {"type": "object"}}}}
    else:
        return None
    return {"required": True, "content": {_JSON: {"schema": schema}}}
