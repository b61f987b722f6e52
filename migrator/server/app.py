"""Builds the HTTP application out of its parts and serves it. Owns the process: database, sweeper, fencer, listeners,
signals.

Nothing here decides; a server process holds nothing in memory that another one needs.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from migrator import __version__, private_files
from migrator.api import discovery, faults, metrics, operation_metrics, query_names, versions
from migrator.api.agent_v1 import routes as agent
from migrator.api.auth import STRATEGIES
from migrator.api.dependencies import Services, build
from migrator.api.gate.listener_guard import split
from migrator.api.gate.request_gate import RequestGate
from migrator.api.gate.request_text import RequestText
from migrator.api.image_v2 import images, upload
from migrator.api.links import root_of
from migrator.api.refusal_log import Refusals, limit_logs_of_messages
from migrator.api.request_ids import new_request_id, request_id_headers
from migrator.api.v1 import alarms, hosts, kept_disks, leftovers, operations, preflight, reconcile, volumes
from migrator.api.v2_1.common.routing import Endpoint
from migrator.api.v2_1.routes import by_path
from migrator.db import server_heartbeat
from migrator.db.upgrade import upgrade
from migrator.errors import MigratorError
from migrator.scheduler.state import host_operations
from migrator.scheduler.state.database_clock import beat
from migrator.server import agent_tls, connections, openapi
from migrator.server.fence_runner import Fencer
from migrator.server.listeners import ServerWithTls
from migrator.settings import ServerSettings

log = logging.getLogger(__name__)
# Longer than clients pause between two looks: nova's --poll asks every 5 s, which is also when uvicorn would hang up,
# and the request that crosses with that is lost.
KEEP_ALIVE_S = 75
_STATISTICS_S = 3600  # between two looks at how the rows are distributed, for the database's planner
# A thread that has asked the database wants the interpreter back for each row. While the event loop has much to do it
# got it after Python's 5 ms, some ten times in each transaction, and on SQLite all other writers waited for that.
_SWITCH_S = 0.0005
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


def serve(settings: ServerSettings) -> int:
    """Run until SIGTERM or SIGINT; 0. Raises MigratorError for what stops the start."""
    private_files.check_setting("image_dir", settings.image_dir)
    tls = agent_tls.context(settings)
    sys.setswitchinterval(_SWITCH_S)
    upgrade(settings.database)
    services = build(settings)
    stop = threading.Event()
    upload.tidy(services)
    heartbeat = server_heartbeat.Heartbeat()
    beat(services.db, heartbeat)  # before anybody's silence is judged
    beside = [
        threading.Thread(target=_keep_beating, args=(services, heartbeat, stop), name="listening", daemon=True),
        threading.Thread(target=_sweep, args=(services, stop), name="sweeper", daemon=True),
        threading.Thread(target=_keep_totals, args=(services, stop), name="totals", daemon=True),
        threading.Thread(target=Fencer(services, stop).keep, name="fencer", daemon=True),
    ]
    for thread in beside:
        thread.start()
    try:
        asyncio.run(_listen(services, tls))
    finally:
        stop.set()
        for thread in beside:
            thread.join(timeout=5)
        services.db.close()
    return 0


def _keep_beating(services: Services, heartbeat: server_heartbeat.Heartbeat, stop: threading.Event) -> None:
    while not stop.wait(server_heartbeat.BEAT_S):
        try:
            beat(services.db, heartbeat)
        except Exception:
            log.exception("the database could not be told that a server listens; it is tried again")


def _sweep(services: Services, stop: threading.Event) -> None:
    while not stop.wait(services.settings.sweep_interval):
        try:
            services.reconciler.sweep()
            services.db.erase()
        except Exception:
            log.exception("the sweep failed; it is tried again")


def _keep_totals(services: Services, stop: threading.Event) -> None:
    looked_at = time.monotonic()
    while not stop.wait(services.settings.sweep_interval):
        try:
            operation_metrics.keep(services.db, stop.is_set)
            if time.monotonic() - looked_at >= _STATISTICS_S:
                looked_at = time.monotonic()
                services.db.analyze()
                images.remove_abandoned(services)
        except Exception:
            log.exception("what has ended could not be counted; it is tried again")


async def _listen(services: Services, tls: ssl.SSLContext | None) -> None:
    settings = services.settings
    app = create_app(services)
    sockets = [_bind(settings.listen)]
    if settings.agent_listen is not None:
        sockets.append(_bind(settings.agent_listen))
    limits = connections.limits(settings)
    config = uvicorn.Config(
        app,
        http=connections.guarded(limits),
        ws="none",
        h11_max_incomplete_event_size=connections.MAX_HEAD_BYTES,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=KEEP_ALIVE_S,
        lifespan="on",
    )
    limit_logs_of_messages()
    server = ServerWithTls(config, limits, {sockets[-1]: tls} if tls is not None else {})
    loop = asyncio.get_running_loop()
    serving = loop.create_task(server.serve(sockets=sockets))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, server, services)
    log.info("listening on %s%s", settings.listen, f" and {settings.agent_listen}" if settings.agent_listen else "")
    await serving


def _stop(server: Any, services: Services) -> None:
    services.wakers.close()
    server.should_exit = True


def _bind(endpoint: str) -> socket.socket:
    host, port = split(endpoint)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol must be named: asyncio turns Nagle off (40 ms an answer) only where it sees TCP.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, int(port)))
    except OSError as error:
        opened.close()
        raise CannotListen(f"cannot listen on {endpoint}: {error.strerror}") from error
    return opened


class CannotListen(MigratorError):
    code = "cannot_listen"
