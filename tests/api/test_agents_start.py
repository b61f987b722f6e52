"""Agents that start together, real ones over simulated hosts: what they ask of the server, counted."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from migrator.api.process.admission import LANES, Admission
from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.simulated_main import demo_fabric, make_agent
from migrator.db import credentials
from migrator.db.engine import Database
from migrator.settings import AgentSettings
from tests.api.harness import Web

URL = "http://testserver"
HOSTS = [f"host{number:02}" for number in range(60)]


class Counted:
    """The application, and the requests to it by kind and status."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.begun: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind = scope["path"].removeprefix("/agent/v1/hosts/").partition("/")[2] or "registration"
        self.begun[kind] += 1

        async def counted(message: Any) -> None:
            if message.get("status", 200) >= 400:
                self.refused[f"{kind} {message['status']}"] += 1
            await send(message)

        await self._app(scope, receive, counted)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(6000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


async def _started(web: Web, app: Counted, tokens: dict[str, str]) -> None:
    """All agents run until each is registered, has its assignments, and polls again."""
    fabric, threads, stop = demo_fabric(HOSTS), ThreadPoolExecutor(4), asyncio.Event()
    agents = [
        make_agent(
            AgentSettings(server_url=URL, host=host, simulated=True),
            fabric,
            ServerClient(URL, host, token, transport=httpx.ASGITransport(app=app)),
            threads=threads,
        )
        for host, token in tokens.items()
    ]
    router: Any = web.client.app
    async with router.lifespan_context(router):
        running = [asyncio.create_task(agent.run(stop)) for agent in agents]
        wakers = web.services.wakers
        await until(lambda: app.begun["poll"] >= 2 * len(HOSTS) and wakers.held == len(HOSTS))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    threads.shutdown()


def test_each_of_many_agents_that_start_together_asks_only_for_what_it_needs(db: Database, tmp_path: Path) -> None:
    """Of 2,000, each asked some eight times, and was refused three times."""
    web = Web(db, tmp_path)
    # On a busy machine a lane's patience may end: how long they wait is not what is counted here.
    patient = {name: replace(limits, patience_s=60.0) for name, limits in LANES.items()}
    web.services.admission.lanes.update(Admission(patient).lanes)
    app = Counted(web.client.app)
    tokens = {host: credentials.issue(db, host) for host in HOSTS}
    asyncio.run(_started(web, app, tokens))
    assert not app.refused
    assert app.begun["registration"] == len(HOSTS)
    assert app.begun["poll"] < 4 * len(HOSTS)
    web.services.db.close()
