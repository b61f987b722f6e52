"""The route engine: one table of ``Route`` becomes the Compute API. Owns what every request has in common.

A resource is a module with ``ROUTES: tuple[Route, ...]`` and handlers ``handler(request: ApiRequest) -> Answer``;
``routes.py`` lists the modules. A handler raises children of ``MigratorError`` and knows nothing of headers, JSON or
threads. ``body`` and ``query`` are ``Versioned`` JSON schemas: ((from microversion, schema), ...), ascending.
Handlers run in the thread pool: they may block on the database, but not on the network.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from migrator.api import faults, json_schema, microversions
from migrator.api.auth import Authenticator
from migrator.api.dependencies import Services
from migrator.api.json_body import parsed
from migrator.api.json_schema import Schema as Schema
from migrator.api.links import root_of
from migrator.api.microversions import Version
from migrator.api.request_ids import new_request_id, request_id_headers
from migrator.errors import BadRequest, Forbidden, MigratorError
from migrator.scheduler.requests.requests import Caller

log = logging.getLogger(__name__)
Versioned = tuple[tuple[Version, Schema], ...]
ANYTHING: Versioned = (((2, 1), {}),)
_MOST_HELD = 200  # answers that are held back at once
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5  # between two looks at whether one may go


@dataclass(frozen=True, slots=True)
class Answer:
    """``until``: the answer is held back until that is true (it may raise what is answered instead), but no longer than
    ``patience_s``. It is asked again and again in the thread pool, and waits outside of it."""

    status: int = 200
    body: Any = None  # None: no body at all
    headers: Mapping[str, str] = field(default_factory=dict)
    until: Callable[[], bool] | None = None
    patience_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ApiRequest:
    version: Version
    params: Mapping[str, str]  # from the path
    query: Mapping[str, list[str]]
    body: Any
    caller: Caller
    services: Services
    root: str  # "http://host:port", as the client sees it
    base: str  # "http://host:port/v2.1"


Handler = Callable[[ApiRequest], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str  # below /v2.1: "/servers/{id}"
    handler: Handler
    since: Version = microversions.MINIMUM
    until: Version = microversions.MAXIMUM
    body: Versioned | None = None
    query: Versioned | None = None
    admin: str | None = None  # the rule's name that only an administrator passes
    summary: str = ""


def schema_at(table: Versioned, version: Version) -> Schema:
    found: Schema = table[0][1]
    for since, schema in table:
        if since <= version:
            found = schema
    return found


def check_body(table: Versioned, value: Any, version: Version) -> None:
    """Hold a body against the schema of its microversion. Raises BadRequest that names the field."""
    json_schema.check(schema_at(table, version), value)


class Endpoint:
    """One path of the Compute API, all its methods: negotiates, authenticates, validates, calls, answers."""

    def __init__(self, routes: Sequence[Route], services: Services, authenticator: Authenticator) -> None:
        self._routes = routes
        self._services = services
        self._authenticator = authenticator

    async def __call__(self, request: Request) -> Response:
        request_id = new_request_id()
        headers = request_id_headers(request_id)
        version_text = microversions.asked(request.headers)
        try:
            version = microversions.negotiate(request.headers)
            headers |= microversions.headers_for(microversions.text(version))
            route = self._match(request.method, version)
            if route is None:
                return self._unmatched(request.method, headers)
            answer = await self._run(request, route, version, request_id)
        except MigratorError as error:
            status, body = faults.body_of(error)
            if status == 406 and version_text:
                headers |= microversions.headers_for(version_text)
            headers |= faults.headers_of(error)
            if status in (429, 503):
                self._services.refusals.note(error.code, f"request {request_id}: {error.message}")
            elif status >= 500:
                log.exception("request %s failed", request_id)
            return _json(status, body, headers)
        except Exception:
            log.exception("request %s failed unexpectedly", request_id)
            return _json(500, faults.fault(500, faults.UNEXPECTED), headers)
        return _json(answer.status, answer.body, {**headers, **answer.headers})

    def _match(self, method: str, version: Version) -> Route | None:
        return next((r for r in self._routes if r.method == method and r.since <= version <= r.until), None)

    def _unmatched(self, method: str, headers: Mapping[str, str]) -> Response:
        if any(route.method == method for route in self._routes):  # served, but not at this microversion
            return _json(404, faults.fault(404, "The resource could not be found."), headers)
        return _json(404, faults.not_routed(), headers)

    async def _run(self, request: Request, route: Route, version: Version, request_id: str) -> Answer:
        caller = self._authenticator.caller(request.headers, request_id)
        if route.admin is not None and not caller.is_admin:
            raise Forbidden(f"Policy doesn't allow {route.admin} to be performed.")
        content = await request.body() if route.method in ("POST", "PUT", "PATCH") else b""
        root = root_of(request, self._services)
        answer = await run_in_threadpool(self._handle, request, content, route, version, caller, root)
        if answer.until is not None:
            await self._wait(answer.until, answer.patience_s)
        return answer

    def _handle(
        self, request: Request, content: bytes, route: Route, version: Version, caller: Caller, root: str
    ) -> Answer:
        """In the thread pool, what is read and validated of the request, too: the event loop waits for no body."""
        body = parsed(content)
        query: dict[str, list[str]] = {}
        for name, value in request.query_params.multi_items():
            query.setdefault(name, []).append(value)
        if any("\x00" in text for text in [*request.path_params.values(), *request.query_params.values()]):
            raise BadRequest("A NUL character is not allowed in a path or query.")
        if route.query is not None:
            json_schema.check(schema_at(route.query, version), query, query=True)
        if route.body is not None:
            if not isinstance(body, dict):
                raise BadRequest("Malformed request body")
            check_body(route.body, body, version)
        params = request.path_params
        return route.handler(ApiRequest(version, params, query, body, caller, self._services, root, f"{root}/v2.1"))

    async def _wait(self, over: Callable[[], bool], patience_s: float) -> None:
        """Where very many wait already, the next one does not: it is told what it would be told in the end, that its
        operation goes on."""
        wakers, clock = self._services.wakers, asyncio.get_running_loop().time
        deadline, pause_s = clock() + patience_s, _FIRST_PAUSE_S
        if wakers.answers_held >= _MOST_HELD:
            return
        wakers.answers_held += 1
        try:
            while not await run_in_threadpool(over) and clock() < deadline and not wakers.closing:
                await asyncio.sleep(min(pause_s, max(0.0, deadline - clock())))
                pause_s = min(_LONGEST_PAUSE_S, 1.5 * pause_s)
        finally:
            wakers.answers_held -= 1


def _json(status: int, body: Any, headers: Mapping[str, str]) -> Response:
    if body is None:
        return Response(status_code=status, headers=dict(headers))
    return Response(orjson.dumps(body), status, dict(headers), media_type="application/json")
