"""Adds the Compute API's routes, which live in a table of their own, to the OpenAPI document at /openapi.json."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from migrator.api.agent_v1 import messages
from migrator.api.agent_v1 import routes as agent
from migrator.api.faults import NAMES
from migrator.api.microversions import MAXIMUM, text
from migrator.api.v2_1.common.routing import Route, schema_at
from migrator.api.v2_1.routes import by_path

_JSON = "application/json"


def install(app: FastAPI) -> None:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version=app.version, routes=app.routes)
            for path, routes in by_path().items():
                item = found["paths"].setdefault(f"/v2.1{path}", {})
                for route in reversed(routes):
                    item[route.method.lower()] = _operation(route)
            schemas = found.setdefault("components", {}).setdefault("schemas", {})
            found["components"]["schemas"] = {**messages.schemas(agent.MESSAGES), **schemas}
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _operation(route: Route) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    version = {"type": "string", "enum": [text(route.until), text(route.since)]}
    parameters.append({"name": "X-OpenStack-Nova-API-Version", "in": "header", "required": True, "schema": version})
    if route.query is not None:
        properties = schema_at(route.query, MAXIMUM).get("properties", {})
        parameters += [
            {"name": name, "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}
            for name in properties
        ]
    answers = {str(status): {"description": name} for status, name in NAMES.items() if status < 500}
    operation: dict[str, Any] = {
        "tags": ["compute"],
        "summary": route.summary or f"{route.handler.__module__.rsplit('.', 1)[-1]}: {route.handler.__name__}",
        "parameters": parameters,
        "responses": {"2XX": {"description": "done, or accepted"}, **answers},
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema_at(route.body, MAXIMUM)}}}
    elif route.method in ("POST", "PUT"):
        operation["requestBody"] = {"content": {_JSON: {"schema": {"type": "object"}}}}
    return operation
