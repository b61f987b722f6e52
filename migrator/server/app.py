"""Builds the HTTP application out of the table of URLs. Owns nothing: the process that serves it is ``main.py``'s.

Nothing here decides; a server process holds nothing in memory that another one needs.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from starlette.routing import Route as Place
from starlette.routing import Router
from starlette.types import ASGIApp

from migrator.api.endpoint import Endpoint
from migrator.api.gate.request_gate import Gate, RequestGate
from migrator.api.identity.authenticator import Authenticator
from migrator.api.process.services import Services
from migrator.api.routing import Route, Surface
from migrator.api.urls import by_path
from migrator.scheduler.state import host_operations


def create_app(services: Services, authenticator: Authenticator) -> Router:
    gate = Gate(services, authenticator)

    def guarded(surface: Surface | None, routes: Sequence[Route]) -> ASGIApp:
        return RequestGate(gate, surface, routes, Endpoint(surface, routes, services))

    # Paths are compared one after the other, and thousands of agents poll: theirs come first.
    ordered = sorted(by_path().items(), key=lambda row: row[1][0].surface is not Surface.AGENT)
    places = [Place(path, guarded(routes[0].surface, routes)) for path, routes in ordered]
    return Router(places, redirect_slashes=False, default=guarded(None, ()), lifespan=_lifespan(services))


def _lifespan(services: Services) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        services.notifier.bind(asyncio.get_running_loop())
        watching = asyncio.create_task(services.notifier.watch(partial(host_operations.all_versions, services.db)))
        yield
        watching.cancel()
        services.notifier.close()

    return lifespan
