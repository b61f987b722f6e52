"""Builds the HTTP application out of its parts. Owns nothing: the process that serves it is ``main.py``'s.

Nothing here decides; a server process holds nothing in memory that another one needs.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from migrator import __version__
from migrator.api import discovery, faults, metrics, query_names, versions
from migrator.api.agent_v1 import routes as agent
from migrator.api.auth import STRATEGIES
from migrator.api.dependencies import Services
from migrator.api.gate.request_gate import RequestGate
from migrator.api.gate.request_text import RequestText
from migrator.api.image_v2 import images
from migrator.api.links import root_of
from migrator.api.refusal_log import Refusals
from migrator.api.request_ids import new_request_id, request_id_headers
from migrator.api.v1 import alarms, hosts, kept_disks, leftovers, operations, preflight, reconcile, volumes
from migrator.api.v2_1.common.routing import Endpoint
from migrator.api.v2_1.routes import by_path
from migrator.errors import MigratorError
from migrator.scheduler.state import host_operations
from migrator.server import openapi

log = logging.getLogger(__name__)
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
IMAGE_PREFIXES = ("/image/v2", "/v2", "/v2.1/v2")


def create_app(services: Services) -> FastAPI:
    app = FastAPI(
        title="migrator", version=__version__, redirect_slashes=False, lifespan=_lifespan, docs_url=None, redoc_url=None
    )
    app.state.services = services
    app.include_router(discovery.router)
    app.include_router(metrics.router)
    for native_part in (operations, preflight, alarms, reconcile, kept_disks, leftovers, volumes, hosts):
        app.include_router(native_part.router, dependencies=[Depends(query_names.known_only)])
    app.include_router(agent.router)
    for number, prefix in enumerate(IMAGE_PREFIXES):
        app.include_router(images.router, prefix=prefix, include_in_schema=number == 0)
    authenticator = STRATEGIES[services.settings.auth_strategy]()
    for path, routes in by_path().items():
        endpoint = Endpoint(routes, services, authenticator)
        app.add_route(f"/v2.1{path}", endpoint.__call__, methods=_METHODS, include_in_schema=False)
    _add_handlers(app, services.refusals)
    app.add_middleware(RequestText)
    app.add_middleware(RequestGate, services=services, authenticator=authenticator)
    openapi.install(app)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    services.wakers.bind(asyncio.get_running_loop())
    watching = asyncio.create_task(services.wakers.watch(partial(host_operations.all_marks, services.db)))
    yield
    watching.cancel()
    services.wakers.close()


def _add_handlers(app: FastAPI, refusals: Refusals) -> None:
    @app.exception_handler(MigratorError)
    async def known(request: Request, error: MigratorError) -> JSONResponse:
        native_path = request.url.path.startswith(("/v1", "/agent"))
        status, body = faults.native_body(error) if native_path else faults.body_of(error)
        if status in (429, 503):
            refusals.note(error.code, f"{request.method} {request.url.path}: {error.message}")
        elif status >= 500:
            log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return JSONResponse(body, status, faults.headers_of(error))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        words = "; ".join(f"{'.'.join(str(p) for p in e['loc'][1:]) or 'body'}: {e['msg']}" for e in error.errors())
        if request.url.path.startswith(("/v1", "/agent")):
            return JSONResponse({"error": {"code": "bad_request", "message": words, "advice": None}}, 400)
        return JSONResponse(faults.fault(400, words), 400)

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        if error.status_code in (404, 405) and not path.startswith(("/v2.1", "/v1", "/agent", "/image", "/identity")):
            return JSONResponse(versions.choices(root_of(request, request.app.state.services), path), 300)
        if error.status_code in (404, 405):
            return JSONResponse(faults.not_routed(), 404, request_id_headers(new_request_id()))
        return JSONResponse(faults.fault(error.status_code, str(error.detail)), error.status_code)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed unexpectedly", request.method, request.url.path, exc_info=error)
        return JSONResponse(faults.fault(500, faults.UNEXPECTED), 500)
