"""Agents that start together, real ones over simulated hosts: what they ask of the server, counted."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrator.api.process.admission import LANES, Admission
from migrator.compute.agent import agent
from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.simulated_main import demo_simulation, make_agent
from migrator.db import credentials
from migrator.db.engine import Database
from migrator.settings import AgentSettings
from tests.api.harness import Web
from tests.waiting import PATIENCE

URL = "http://testserver"
HELD_S = 55.0  # a poll without news: the longest that can be set
ALWAYS_S = 1e6
HOSTS = [f"host{number:02}" for number in range(60)]


class Counted:
    """The application, and the requests to it by kind and status. A poll that follows one which was held for all of its
    time is not counted: how many there are of these is the machine's speed."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.begun: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._held_s: dict[str, float] = {}  # path of a host's polls -> for how long the last one was

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind = scope["path"].removeprefix("/agent/v1/hosts/").partition("/")[2] or "registration"
        if self._held_s.get(scope["path"], 0.0) < HELD_S:
            self.begun[kind] += 1

        async def counted(message: Any) -> None:
            if message.get("status", 200) >= 400:
                self.refused[f"{kind} {message['status']}"] += 1
            await send(message)

        since = asyncio.get_running_loop().time()
        await self._app(scope, receive, counted)
        if kind == "poll":
            self._held_s[scope["path"]] = asyncio.get_running_loop().time() - since


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE * 60
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.01)


async def _started(web: Web, app: Counted, tokens: dict[str, str]) -> None:
    """All agents run until each is registered, has its assignments, and polls again."""
    simulation, threads, stop = demo_simulation(HOSTS), ThreadPoolExecutor(4), asyncio.Event()
    agents = [
        make_agent(
            AgentSettings(server_url=URL, host=host, simulated=True, poll_wait=HELD_S),
            simulation,
            ServerClient(URL, host, token, transport=httpx.ASGITransport(app=app)),
            threads=threads,
        )
        for host, token in tokens.items()
    ]
    router: Any = web.client.app
    async with router.lifespan_context(router):
        running = [asyncio.create_task(agent.run(stop)) for agent in agents]
        notifier = web.services.notifier
        await until(lambda: app.begun["poll"] >= 2 * len(HOSTS) and notifier.held == len(HOSTS))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    threads.shutdown()


def test_each_of_many_agents_that_start_together_asks_only_for_what_it_needs(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 2,000, each asked some eight times, and was refused three times."""
    monkeypatch.setattr(agent, "LOOK_S", HELD_S)
    web = Web(db, tmp_path, service_down_time=ALWAYS_S)
    # On a busy machine a lane's patience may end: how long they wait is not what is counted here.
    patient = {name: replace(limits, patience_s=ALWAYS_S) for name, limits in LANES.items()}
    web.services.admission.lanes.update(Admission(patient).lanes)
    app = Counted(web.client.app)
    tokens = {host: credentials.issue(db, host) for host in HOSTS}
    asyncio.run(_started(web, app, tokens))
    assert not app.refused
    assert app.begun["registration"] == len(HOSTS)
    assert app.begun["poll"] < 4 * len(HOSTS)
    web.services.db.close()
