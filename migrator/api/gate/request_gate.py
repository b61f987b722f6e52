"""Refuses a request by its head and its row in the table of URLs: a wrong door, host, origin, credential, kind or size
of body. What passes is held to its kind and size while its body arrives.

Owns the order of these checks, that nothing of a body is read before all of them, and that no route is reached without
the caller that its row asks for. Never reads a body itself.
"""

import contextlib
import logging
from collections.abc import Sequence
from functools import partial

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from migrator.api import faults, request_origin
from migrator.api.gate import audit
from migrator.api.gate.listener_guard import ListenerGuard
from migrator.api.gate.proxies import Proxies
from migrator.api.gate.refusal_pace import RefusalPace, network
from migrator.api.gate.request_body import Answer, Body, Expected
from migrator.api.identity import callers
from migrator.api.identity.authenticator import (
    Authenticator,
    CredentialsRefused,
    CredentialsUnverified,
    Identity,
    TokenUnanswered,
)
from migrator.api.json_body import MAX_BODY_BYTES
from migrator.api.process.admission import Kind
from migrator.api.process.credential_lookup import token_of
from migrator.api.process.loop_turns import LoopTurns
from migrator.api.process.services import Services
from migrator.api.request_ids import new_request_id, request_id_headers
from migrator.api.routing import ANYBODY, CALLER, Access, Route, Surface, agent
from migrator.api.surface import surface_of
from migrator.db import credentials
from migrator.errors import BadRequest, Forbidden, MigratorError, TooManyRequests, Unauthorized, Unavailable
from migrator.protocol import message_sizes
from migrator.scheduler.hosts import joining

JSON_TYPES = ("application/json", "application/vnd.openstack.compute+json")
OCTETS = ("application/octet-stream",)
_REASONS: tuple[tuple[type[MigratorError], str], ...] = (
    (Unauthorized, "credentials"),
    (Forbidden, "origin or port"),
    (faults.UnsupportedMediaType, "kind of body"),
    (faults.TooLarge, "size of body"),
    (BadRequest, "host"),
    (TooManyRequests, "too many requests"),
)
log = logging.getLogger("migrator.api")


class Gate:
    """What all paths have in common; one of a process."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self.services, self.authenticator = services, authenticator
        self.doors = ListenerGuard(services.settings.listen, services.settings.agent_listen)
        self.allowed = frozenset(services.settings.allowed_hosts)
        self.proxies = Proxies(services.settings.trusted_proxies)
        self.pace, self.guesses, self.unverified = RefusalPace(), RefusalPace(), RefusalPace()
        self.turns = LoopTurns()


class RequestGate:
    """Before one path of the table; ``routes``: its rows. Pure ASGI, for it is on every request's way."""

    def __init__(self, gate: Gate, surface: Surface | None, routes: Sequence[Route], app: ASGIApp) -> None:
        """``surface`` None: the path of each request says which."""
        self._gate, self._services = gate, gate.services
        self._surface, self._app = surface, app
        self._routes = {route.method: route for route in reversed(routes)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.ExitStack() as kept:  # what the request holds until it is answered
            state = scope.setdefault("state", {})
            state["request_id"] = new_request_id()
            state["client"] = self._gate.proxies.client(_peer(scope), scope["headers"])
            scope["headers"] = self._gate.proxies.believed(_peer(scope), scope["headers"])
            watched = audit.Watched(send)
            state["body_room"] = kept.enter_context(contextlib.ExitStack())
            try:
                if self._surface is Surface.AGENT:
                    await self._gate.turns.begin()
                await self._answer(scope, receive, watched.send, kept)
            finally:
                audit.note(scope, watched.status, state["client"])

    async def _answer(self, scope: Scope, receive: Receive, send: Send, kept: contextlib.ExitStack) -> None:
        try:
            body = await self._admit(scope, receive, kept)
        except MigratorError as error:
            await self._refuse(await self._paced(error, scope), scope, send)
        else:
            await self._serve(scope, body, send)

    async def _serve(self, scope: Scope, body: Body, send: Send) -> None:
        answer = Answer(send)
        try:
            await self._app(scope, body.receive, answer.unless(body))
        except Exception:
            if answer.started:
                raise
            if body.refusal is None:
                log.exception("%s %s failed unexpectedly", scope["method"], scope["path"])
                await _send_json(500, faults.unexpected(self._surface_of(scope)), scope, send)
        if body.refusal is not None and not answer.started:
            await self._refuse(await self._paced(body.refusal, scope), scope, send)

    async def _admit(self, scope: Scope, receive: Receive, kept: contextlib.ExitStack) -> Body:
        headers, of_agents = Headers(scope=scope), self._gate.doors.agents_only(scope)
        if of_agents and self._surface_of(scope) is not Surface.AGENT:
            raise Forbidden("This door is for agents only.")
        self._check_sender(scope, any_host=of_agents and not self._gate.allowed)
        route = self._routes.get(scope["method"])
        access = route.access if route is not None else self._access_of_nothing(scope, headers)
        await self._authenticate(access, scope, headers, kept)
        size = (int(headers["content-length"][:20]) or 1) if _has_body(headers) else 0
        expected = self._expected(route, scope)
        return Body(receive, headers.get("content-type", ""), expected, partial(self._find_room, scope), size)

    def _access_of_nothing(self, scope: Scope, headers: Headers) -> Access:
        """Who may be told that nothing is served here. Outside of every surface clients look for one; no client sends a
        body to find it."""
        if self._surface_of(scope) is Surface.AGENT:
            return agent(Kind.REGISTRATION)
        outside = self._surface_of(scope) is Surface.DISCOVERY
        return ANYBODY if outside and not _has_body(headers) else CALLER

    async def _authenticate(self, access: Access, scope: Scope, headers: Headers, kept: contextlib.ExitStack) -> None:
        """Raises what the access asks for and the request does not have."""
        state = scope["state"]
        if access.kind is not None:
            holder = state["agent_host"] = await self._agent(headers.get("authorization", ""), access.kind)
            _check_owner(scope.get("path_params", {}).get("name", holder), holder)
            kept.enter_context(self._services.admission.entered(holder, access.kind))
        elif access is not ANYBODY:
            await self._gate.authenticator.refresh()
            identity = self._gate.authenticator.remembered(headers) or await self._verified(scope, headers)
            state["caller"] = callers.caller_of(identity, state["request_id"], await self._services.rules.latest())

    async def _verified(self, scope: Scope, headers: Headers) -> Identity:
        """Who calls, with some work. An address whose credentials were wrong again and again waits, and has none
        looked at. Raises Unauthorized and Unavailable."""
        guesses, address = self._gate.guesses, scope["state"]["client"]
        if guesses.spent(address) and await guesses.too_many(address):
            raise TooManyRequests("Too many credentials from this address were wrong: ask again later.")
        try:
            return await self._gate.authenticator.verified(headers, network(address))
        except CredentialsRefused as error:
            scope["state"].update(claimed=error.claimed, reason=error.reason)
            guesses.note(address)
            raise
        except CredentialsUnverified as error:
            if isinstance(error, TokenUnanswered):
                guesses.note(address)
            if not self._gate.unverified.spent(address):  # no stranger fills the disk
                self._gate.unverified.note(address)
                scope["state"].update(claimed="", reason=error.reason)
            raise

    def _surface_of(self, scope: Scope) -> Surface:
        return self._surface or surface_of(scope["path"]) or Surface.DISCOVERY

    def _find_room(self, scope: Scope, size: int) -> None:
        host = scope["state"].get("agent_host")
        if host is not None:
            scope["state"]["body_room"].enter_context(self._services.bodies.room(host, size))

    def _check_sender(self, scope: Scope, *, any_host: bool) -> None:
        """``any_host``: agents reach their own door by names that only their configuration knows; what is answered
        there needs a credential, which no page has."""
        if not any_host:
            request_origin.check_host(scope["headers"], (scope.get("server") or ("",))[0], self._gate.allowed)
        request_origin.check_origin(scope["headers"], scope["scheme"])

    async def _agent(self, authorization: str, kind: Kind) -> str:
        """The host whose agent calls. Raises Unauthorized and Unavailable."""
        known, token = self._services.credentials, token_of(authorization)
        if kind is Kind.JOIN:
            if (host := await known.joining_host(token)) is None:
                raise Unauthorized(joining.UNKNOWN, advice=joining.UNKNOWN_ADVICE)
            return host
        host = await known.holder(token)
        if host is None:
            raise Unauthorized(credentials.UNKNOWN, advice=credentials.UNKNOWN_ADVICE)
        return host

    async def _paced(self, error: MigratorError, scope: Scope) -> MigratorError:
        """What to answer, and when: who is refused again and again at the agents' port takes a bounded part of this
        process."""
        host = scope["state"].get("agent_host")
        of_agents = self._gate.doors.agents_only(scope) or self._surface_of(scope) is Surface.AGENT
        blameless = isinstance(error, Unavailable) and not isinstance(error, TooManyRequests)
        if blameless or not of_agents or not await self._gate.pace.too_many(host or _peer(scope)):
            return error
        if host is not None:
            return error
        return TooManyRequests(
            "Too many requests from this address had no credential that is known: ask again later.",
            advice="look on this machine for an agent whose host was removed, or was given a newer credential",
        )

    async def _refuse(self, error: MigratorError, scope: Scope, send: Send) -> None:
        reason = next((message for kind, message in _REASONS if isinstance(error, kind)), "too busy")
        self._services.refusals.note(reason, f"{scope['state']['client']} {scope['method']} {scope['path']}: {error}")
        surface = Surface.AGENT if self._gate.doors.agents_only(scope) else self._surface_of(scope)
        status, body = faults.body_for(surface, error)
        more = faults.headers_of(error)
        if status == 401 and surface is not Surface.AGENT and self._gate.authenticator.challenge is not None:
            more["WWW-Authenticate"] = self._gate.authenticator.challenge
        await _send_json(status, body, scope, send, more)

    def _expected(self, route: Route | None, scope: Scope) -> Expected:
        if route is None:
            of_agents = self._surface_of(scope) is Surface.AGENT
            return Expected(JSON_TYPES, message_sizes.OTHERS if of_agents else MAX_BODY_BYTES)
        if route.octets:
            return Expected(OCTETS, self._services.settings.image_size_cap, " (image_size_cap)")
        return Expected(JSON_TYPES, route.largest)


async def _send_json(status: int, body: object, scope: Scope, send: Send, more: dict[str, str] | None = None) -> None:
    headers = request_id_headers(scope["state"]["request_id"]) | (more or {})
    await JSONResponse(body, status, headers)(scope, _nothing, send)


def _check_owner(name: str, holder: str) -> None:
    """Raises Forbidden where the path is another host's."""
    if name != holder:
        raise Forbidden(f"This credential belongs to host {holder}, not to {name}.")


def _peer(scope: Scope) -> str:
    return str((scope.get("client") or ("unknown",))[0])


def _has_body(headers: Headers) -> bool:
    """That its length is announced. One that comes in parts may be empty, and is held to its kind once it is not."""
    length = headers.get("content-length", "0")
    return length.isascii() and length.isdecimal() and bool(length.strip("0"))


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
