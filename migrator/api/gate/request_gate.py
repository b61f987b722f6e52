"""Refuses a request by its head alone: a wrong door, host, origin, credential, kind or size of body. What passes is
held to its kind and size while its body arrives.

Owns the order of these checks, and that nothing of a body is read before all of them. Never reads a body itself.
"""

import contextlib
import re
from functools import partial

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from migrator.api import faults, request_origin
from migrator.api.agent_v1.admission import Kind
from migrator.api.auth import Authenticator
from migrator.api.dependencies import Services
from migrator.api.gate.listener_guard import Doors
from migrator.api.gate.refusal_pace import RefusalPace
from migrator.api.gate.request_body import Answer, Body, Expected
from migrator.api.json_body import MAX_BODY_BYTES
from migrator.api.request_ids import new_request_id, request_id_headers
from migrator.db import credentials
from migrator.errors import BadRequest, Forbidden, MigratorError, TooManyRequests, Unauthorized, Unavailable
from migrator.protocol import message_sizes

JSON_TYPES = ("application/json", "application/vnd.openstack.compute+json")
OCTETS = ("application/octet-stream",)
_UPLOAD = re.compile(r"/(image/v2|v2|v2\.1/v2)/images/[^/]+/file")
_OF_HOST = re.compile(r"/agent/v1/hosts/([^/]+)(.*)", re.DOTALL)
_OF_IMAGES = "/agent/v1/images/"
_KINDS = {f"/{kind}": kind for kind in (Kind.POLL, Kind.FACTS, Kind.QUESTIONS, Kind.SURVEY)}
_REASONS: tuple[tuple[type[MigratorError], str], ...] = (
    (Unauthorized, "credentials"),
    (Forbidden, "origin or port"),
    (faults.UnsupportedMediaType, "kind of body"),
    (faults.TooLarge, "size of body"),
    (BadRequest, "host"),
    (TooManyRequests, "too many requests"),
)


class RequestGate:
    """Pure ASGI, for it is on every request's way."""

    def __init__(self, app: ASGIApp, services: Services, authenticator: Authenticator) -> None:
        self._app, self._services, self._authenticator = app, services, authenticator
        self._doors = Doors(services.settings.listen, services.settings.agent_listen)
        self._allowed = frozenset(services.settings.allowed_hosts)
        self._pace = RefusalPace()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with contextlib.ExitStack() as kept:  # what the request holds until it is answered
            scope.setdefault("state", {})["body_room"] = kept.enter_context(contextlib.ExitStack())
            try:
                body = await self._admit(scope, receive, kept)
            except MigratorError as error:
                await self._refuse(await self._paced(error, scope), scope, send)
                return
            await self._serve(scope, body, send)

    async def _serve(self, scope: Scope, body: Body, send: Send) -> None:
        answer = Answer(send)
        failed: Exception | None = None
        try:
            await self._app(scope, body.receive, answer.unless(body))
        except Exception as error:
            failed = error
        if body.refusal is not None and not answer.started:
            await self._refuse(await self._paced(body.refusal, scope), scope, send)
        elif failed is not None:
            raise failed

    async def _admit(self, scope: Scope, receive: Receive, kept: contextlib.ExitStack) -> Body:
        headers, of_agents = Headers(scope=scope), self._doors.agents_only(scope)
        if of_agents and not scope["path"].startswith("/agent/v1/"):
            raise Forbidden("This door is for agents only.")
        self._check_sender(scope, any_host=of_agents and not self._allowed)
        if scope["path"].startswith("/agent/"):
            holder = await self._agent(headers.get("authorization", ""))
            scope["state"]["agent_host"] = holder
            _check_owner(scope["path"], holder)
            kept.enter_context(self._services.admission.entered(holder, _kind(scope["path"])))
        elif _has_body(headers):
            self._authenticator.caller(headers, new_request_id())
        size = (int(headers["content-length"][:20]) or 1) if _has_body(headers) else 0
        kind, expected = headers.get("content-type", ""), _expected(scope, self._services)
        return Body(receive, kind, expected, partial(self._find_room, scope), size)

    def _find_room(self, scope: Scope, size: int) -> None:
        host = scope["state"].get("agent_host")
        if host is not None:
            scope["state"]["body_room"].enter_context(self._services.bodies.room(host, size))

    def _check_sender(self, scope: Scope, *, any_host: bool) -> None:
        """``any_host``: agents reach their own door by names that only their configuration knows; what is answered
        there needs a credential, which no page has."""
        if not any_host:
            request_origin.check_host(scope["headers"], (scope.get("server") or ("",))[0], self._allowed)
        request_origin.check_origin(scope["headers"], scope["scheme"])

    async def _agent(self, authorization: str) -> str:
        """The host whose agent calls. Raises Unauthorized and Unavailable."""
        host = await self._services.credentials.holder(token_of(authorization))
        if host is None:
            raise Unauthorized(credentials.UNKNOWN, advice=credentials.UNKNOWN_ADVICE)
        return host

    async def _paced(self, error: MigratorError, scope: Scope) -> MigratorError:
        """What to answer, and when: who is refused again and again at the agents' port takes a bounded part of this
        process."""
        host = scope["state"].get("agent_host")
        of_agents = self._doors.agents_only(scope) or scope["path"].startswith("/agent/")
        blameless = isinstance(error, Unavailable) and not isinstance(error, TooManyRequests)
        if blameless or not of_agents or not await self._pace.too_many(host or _address(scope)) or host is not None:
            return error
        return TooManyRequests(
            "Too many requests from this address had no credential that is known: ask again later.",
            advice="look on this machine for an agent whose host was removed, or was given a newer credential",
        )

    async def _refuse(self, error: MigratorError, scope: Scope, send: Send) -> None:
        reason = next((words for kind, words in _REASONS if isinstance(error, kind)), "too busy")
        self._services.refusals.note(reason, f"{_address(scope)} {scope['method']} {scope['path']}: {error.message}")
        native = scope["path"].startswith(("/v1/", "/agent/")) or self._doors.agents_only(scope)
        status, body = faults.native_body(error) if native else faults.body_of(error)
        headers = request_id_headers(new_request_id()) | faults.headers_of(error)
        await JSONResponse(body, status, headers)(scope, _nothing, send)


def token_of(authorization: str) -> str:
    """Raises Unauthorized."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized(
            "An agent's credential is required.", advice="issue one with `migrator agent-credential HOST`"
        )
    return token


def _check_owner(path: str, holder: str) -> None:
    """Raises Forbidden where the path is another host's."""
    of_host = _OF_HOST.match(path)
    if of_host is not None and of_host[1] != holder:
        raise Forbidden(f"This credential belongs to host {holder}, not to {of_host[1]}.")


def _kind(path: str) -> Kind:
    """Of what an agent asks; a path that nothing serves is as a registration."""
    if path.startswith(_OF_IMAGES):
        return Kind.IMAGE
    of_host = _OF_HOST.match(path)
    return _KINDS.get(of_host[2], Kind.REGISTRATION) if of_host is not None else Kind.REGISTRATION


def _address(scope: Scope) -> str:
    return str((scope.get("client") or ("unknown",))[0])


def _has_body(headers: Headers) -> bool:
    """That its length is announced. One that comes in parts may be empty, and is held to its kind once it is not."""
    length = headers.get("content-length", "0")
    return length.isascii() and length.isdecimal() and bool(length.strip("0"))


def _expected(scope: Scope, services: Services) -> Expected:
    if scope["method"] == "PUT" and _UPLOAD.fullmatch(scope["path"]):
        return Expected(OCTETS, services.settings.image_size_cap, " (image_size_cap)")
    if scope["path"].startswith("/agent/"):
        of_host = _OF_HOST.fullmatch(scope["path"])
        limit = message_sizes.BY_PATH.get(of_host[2] if of_host else "/", message_sizes.OTHERS)
        return Expected(JSON_TYPES, limit)
    return Expected(JSON_TYPES, MAX_BODY_BYTES)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
