"""Serves one path of the table of URLs, all its methods and microversions: negotiates, reads, calls, answers.

Owns what every request has in common once the gate has let it in, and that whatever goes wrong is answered. Never finds
out who calls: the gate has, and without its word nothing is served.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from migrator.api import access, faults, microversions, refused_proxies, request_input, versions
from migrator.api.json_body import parsed
from migrator.api.links import root_of
from migrator.api.process.admission import Kind
from migrator.api.process.services import Services
from migrator.api.request_ids import request_id_headers
from migrator.api.routing import URL_PROJECT, Answer, ApiRequest, Given, Route, Surface
from migrator.api.surface import surface_of
from migrator.errors import BadRequest, MigratorError
from migrator.scheduler.requests.requests import Caller

log = logging.getLogger("migrator.api")
STRANGER = Caller("", "", "", is_admin=False)  # of an open route, or one for agents
_WITH_A_BODY = ("POST", "PUT", "PATCH")
_PROJECT = re.compile("[0-9a-f-]+")
_MOST_HELD = 200  # answers that are held back at once
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5  # between two looks at whether one may go


class Endpoint:
    """``routes``: the path's rows; none: nothing serves it, and each request's path says what for."""

    def __init__(self, surface: Surface | None, routes: Sequence[Route], services: Services) -> None:
        self._surface, self._routes, self._services = surface, routes, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        headers = request_id_headers(request.state.request_id)
        try:
            given = await self._serve(request, headers)
        except MigratorError as error:
            given = self._refused(request, error, headers)
        except ClientDisconnect:
            return
        except Exception:
            log.exception(
                "%s %s failed unexpectedly (%s)", request.method, request.scope["path"], request.state.request_id
            )
            given = Answer(500, faults.unexpected(self._surface_of(request)))
        await _response(given, headers)(scope, receive, send)

    async def _serve(self, request: Request, headers: dict[str, str]) -> Given:
        """``headers``: what the answer carries; what is known of it is added."""
        _check_text(request)
        if all(route.method != request.method for route in self._routes):
            self._refuse_proxies(request, headers)
            return self._unserved(request)
        version = microversions.MINIMUM
        if self._surface is Surface.COMPUTE:
            version = microversions.negotiate(request.headers)
            headers |= microversions.headers_for(microversions.text(version))
        caller = getattr(request.state, "caller", STRANGER)
        if not _names_own_project(request, caller):
            return self._unserved(request)
        route = next((r for r in self._routes if r.method == request.method and r.since <= version <= r.until), None)
        if route is None:  # served, but not at this microversion
            return Answer(404, faults.fault(404, "The resource could not be found."))
        asked = ApiRequest(version, _params(request), None, None, caller, self._services, request)
        if not access.granted(route, asked):
            await run_in_threadpool(access.check, route, asked)
        if route.on_the_loop:
            if route.query is not None:
                query = request_input.query_of(route, request.query_params.multi_items(), version)
                asked = replace(asked, query=query)
            return await cast(Any, route.handler)(asked)  # type: ignore[no-any-return]
        content = await request.body() if route.method in _WITH_A_BODY else b""
        given = await self._handled(route, asked, content)
        if isinstance(given, Answer) and given.until is not None:
            await self._wait(given.until, given.patience_s)
        return given

    async def _handled(self, route: Route, asked: ApiRequest, content: bytes) -> Given:
        """What is costly waits for its turn, and is not begun for a client that has left in that time."""
        if route.costly is None or not route.costly(asked.http.query_params):
            return await run_in_threadpool(_handle, route, asked, content)
        await asked.http.body()  # whose end comes before the news that a client has left
        admission, project = self._services.admission, f"project {asked.caller.project_id}"
        with admission.entered(project, Kind.SEARCH):
            return await admission.run(
                project, Kind.SEARCH, lambda: _handle(route, asked, content), left=asked.http.is_disconnected
            )

    def _surface_of(self, request: Request) -> Surface:
        return self._surface or surface_of(request.scope["path"]) or Surface.DISCOVERY

    def _unserved(self, request: Request) -> Answer:
        """As Nova's router does it: no microversion is looked at."""
        if surface_of(request.scope["path"]) is None:
            return Answer(300, versions.choices(root_of(request, self._services), request.scope["path"]))
        return Answer(404, faults.not_routed())

    def _refuse_proxies(self, request: Request, headers: dict[str, str]) -> None:
        """Raises what Nova's proxies of other services are answered with."""
        if self._surface_of(request) is not Surface.COMPUTE:
            return
        caller = getattr(request.state, "caller", STRANGER)
        name = refused_proxies.named_by(request.scope["path"], caller.project_id)
        if name is not None:
            version = microversions.negotiate(request.headers)
            headers |= microversions.headers_for(microversions.text(version))
            raise refused_proxies.refusal(name, version)

    def _refused(self, request: Request, error: MigratorError, headers: dict[str, str]) -> Answer:
        caller = getattr(request.state, "caller", STRANGER)
        hosts = self._services.rules.value.allows(faults.SEES_HOSTS, caller, None)
        status, body = faults.body_for(self._surface_of(request), error, hosts=hosts)
        asked = microversions.asked(request.headers)
        if status == 406 and asked:
            headers |= microversions.headers_for(asked)
        if status in (429, 503):
            self._services.refusals.note(error.code, f"{request.method} {request.scope['path']}: {error}")
        elif status >= 500:
            log.error("request %s failed", request.state.request_id, exc_info=error)
        return Answer(status, body, faults.headers_of(error))

    async def _wait(self, over: Callable[[], bool], patience_s: float) -> None:
        """Where very many wait already, the next one does not: it is told what it would be told in the end, that its
        operation goes on."""
        notifier, clock = self._services.notifier, asyncio.get_running_loop().time
        deadline, pause_s = clock() + patience_s, _FIRST_PAUSE_S
        if notifier.answers_held >= _MOST_HELD:
            return
        notifier.answers_held += 1
        try:
            while not await run_in_threadpool(over) and clock() < deadline and not notifier.closing:
                await asyncio.sleep(min(pause_s, max(0.0, deadline - clock())))
                pause_s = min(_LONGEST_PAUSE_S, 1.5 * pause_s)
        finally:
            notifier.answers_held -= 1


def _params(request: Request) -> Mapping[str, str]:
    return {name: value for name, value in request.path_params.items() if name != URL_PROJECT}


def _names_own_project(request: Request, caller: Caller) -> bool:
    """Of a path with a project in it. Raises BadRequest for another one's, in Nova's words; what has not the form of
    Nova's ids is to Nova no project."""
    project = request.path_params.get(URL_PROJECT, caller.project_id)
    if project != caller.project_id and _PROJECT.fullmatch(project):
        own = caller.project_id or None
        raise BadRequest(
            f"Malformed request URL: URL's project_id '{project}' doesn't match Context's project_id '{own}'"
        )
    return bool(project == caller.project_id)


def _check_text(request: Request) -> None:
    """No text in PostgreSQL can have a NUL. Bodies are looked at where they are read."""
    if "\x00" in request.scope["path"] or b"%00" in request.scope["query_string"]:
        raise BadRequest("A NUL character is not allowed in a path or query.")


def _handle(route: Route, asked: ApiRequest, content: bytes) -> Given:
    """In the thread pool, what is read and checked of the request, too: the event loop waits for no body."""
    body = parsed(content)
    query = request_input.query_of(route, asked.http.query_params.multi_items(), asked.version)
    request_input.check_path(route, asked.params)
    body = request_input.body_of(route, body, asked.version)
    filled = ApiRequest(asked.version, asked.params, query, body, asked.caller, asked.services, asked.http)
    access.check_lock(route, filled)
    return cast(Given, route.handler(filled))


def _response(given: Given, headers: Mapping[str, str]) -> Response:
    if isinstance(given, Response):
        given.headers.update(headers)
        return given
    more = {**headers, **given.headers}
    if given.body is None:
        return Response(status_code=given.status, headers=more)
    content = orjson.dumps(given.body, option=orjson.OPT_NON_STR_KEYS)
    return Response(content, given.status, more, media_type="application/json")
