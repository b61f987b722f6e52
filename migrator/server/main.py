"""The server's process: brings the database up to date, starts what works beside requests, and serves the application
at its sockets until a signal.

Owns start and end. What each part does while it runs is its own file's: ``app``, ``heartbeat``, ``sweeper``,
``housekeeping``, ``fence_runner``, ``webhook_sender``, ``listeners``.
"""

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import uvicorn

from migrator import private_files, service_manager
from migrator.api.identity import strategies
from migrator.api.identity.authenticator import Authenticator
from migrator.api.image_v2 import upload
from migrator.api.process.refusal_log import limit_logs_of_messages
from migrator.api.process.services import Services, build
from migrator.db.upgrade import upgrade
from migrator.server import connections, housekeeping, sweeper, tls
from migrator.server.app import create_app
from migrator.server.fence_runner import FenceRunner
from migrator.server.heartbeat import Heartbeat
from migrator.server.listeners import ACCEPTED_AT_ONCE, ServerWithTls, listen_at
from migrator.server.webhook_sender import WebhookSender
from migrator.service_manager import ServiceManager
from migrator.settings import ServerSettings

log = logging.getLogger(__name__)
# Longer than clients pause between two looks: nova's --poll asks every 5 s, which is also when uvicorn would hang up,
# and the request that crosses with that is lost.
KEEP_ALIVE_S = 75
# A thread that has asked the database wants the interpreter back for each row. While the event loop has much to do it
# got it after Python's 5 ms, some ten times in each transaction, and on SQLite all other writers waited for that.
_SWITCH_S = 0.0005
_LAST_STEPS_S = 5.0  # for each thread to end


def serve(settings: ServerSettings) -> int:
    """Run until SIGTERM or SIGINT; 0. Raises MigratorError for what stops the start."""
    manager = service_manager.of_process()
    private_files.check_setting("image_dir", settings.image_dir)
    contexts = tls.contexts(settings)
    strategy, rules = strategies.authenticator(settings), strategies.rules(settings)
    sys.setswitchinterval(_SWITCH_S)
    upgrade(settings.database)
    services = build(settings, rules)
    stop = threading.Event()
    upload.tidy(services)
    parts = background(services, stop)
    threads = [threading.Thread(target=keep, name=name, daemon=True) for name, keep in parts.items()]
    for thread in threads:
        thread.start()
    try:
        asyncio.run(_listen(services, strategy, contexts, partial(_tell, manager, threads)))
    finally:
        manager.stopping()
        stop.set()
        for thread in threads:
            thread.join(timeout=_LAST_STEPS_S)
        services.db.close()
    return 0


def background(services: Services, stop: threading.Event) -> Mapping[str, Callable[[], None]]:
    """What works beside requests until ``stop``, each in a thread of its own. Raises MigratorError."""
    return {
        "heartbeat": Heartbeat(services, stop).run,
        "sweeper": partial(sweeper.run, services, stop),
        "drains": partial(sweeper.keep_drains, services, stop),
        "deadlines": partial(sweeper.keep_deadlines, services, stop),
        "housekeeping": partial(housekeeping.run, services, stop),
        "capacity": partial(housekeeping.keep_capacity, services, stop),
        "use": partial(housekeeping.keep_use, services, stop),
        "webhooks": WebhookSender(services, stop).run,
        "fencer": FenceRunner(services, stop).run,
    }


async def _tell(manager: ServiceManager, threads: Sequence[threading.Thread], server: ServerWithTls) -> None:
    """The service manager hears of each turn of the event loop, while every part of this process lives."""
    await server.listening.wait()
    while all(thread.is_alive() for thread in threads):
        manager.turn()
        await asyncio.sleep(manager.turn_s)
    log.error("a part of the server has ended, and the service manager's watchdog is to start all of it again")


async def _listen(
    services: Services,
    strategy: Authenticator,
    contexts: Sequence[tls.Contexts],
    tell: Callable[[ServerWithTls], Coroutine[Any, Any, None]],
) -> None:
    settings = services.settings
    app = create_app(services, strategy)
    sockets = [listen_at(settings.listen)]
    if settings.agent_listen is not None:
        sockets.append(listen_at(settings.agent_listen))
    limits = connections.limits(settings)
    config = _config(app, limits)
    limit_logs_of_messages()
    secured = {each: kept for each, kept in zip(sockets, contexts, strict=True) if kept is not None}
    server = ServerWithTls(config, limits, secured)
    loop = asyncio.get_running_loop()
    serving = loop.create_task(server.serve(sockets=sockets))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, server, services)
    log.info("listening on %s%s", settings.listen, f" and {settings.agent_listen}" if settings.agent_listen else "")
    telling = loop.create_task(tell(server))
    try:
        await serving
    finally:
        telling.cancel()


def _config(app: Any, limits: connections.Limits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=connections.guarded(limits),
        ws="none",
        backlog=ACCEPTED_AT_ONCE,
        h11_max_incomplete_event_size=connections.MAX_HEAD_BYTES,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the gate believes those of trusted_proxies
        timeout_graceful_shutdown=2,
        timeout_keep_alive=KEEP_ALIVE_S,
        lifespan="on",
    )


def _stop(server: Any, services: Services) -> None:
    services.notifier.close()
    server.should_exit = True
