"""Refuses, before a route is looked for, what no path and no query of any route may contain: a NUL, which no text in
PostgreSQL can have. Bodies are looked at where they are read."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from migrator.api import faults
from migrator.errors import BadRequest


class RequestText:
    """Pure ASGI, for it is on every request's way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\x00" in scope["path"] or b"%00" in scope["query_string"]):
            error = BadRequest("A NUL character is not allowed in a path or query.")
            native = scope["path"].startswith(("/v1/", "/agent/"))
            status, body = faults.native_body(error) if native else faults.body_of(error)
            await JSONResponse(body, status)(scope, receive, send)
            return
        await self._app(scope, receive, send)
