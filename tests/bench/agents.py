"""Thousands of agents that start at the same moment, and lose their server at the same moment: how long until the
server has heard them all, and how long a client of the API waits in that time.

All agents are one other process beside the server, on the same processors (``crowd.py``).
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select

from migrator.db import credentials
from migrator.db.engine import Database
from migrator.db.tables import hosts
from tests.bench import databases
from tests.bench.server import cpu_s, resident_mib, running
from tests.ports import free_port

AGENTS = int(os.environ.get("MIGRATOR_BENCH_AGENTS", "2000"))
_PATIENCE_S = 300.0
_PATHS = ("/v2.1/servers/detail?limit=100", "/v1/operations?limit=100", "/v2.1/os-migrations?limit=100")


class Client(threading.Thread):
    """Asks the API every 50 ms, and keeps how long each answer took; what failed took for ever."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._to, self._over = urlsplit(url), threading.Event()
        self.took: list[float] = []

    def run(self) -> None:
        number = 0
        while not self._over.wait(0.05):
            began = time.monotonic()
            try:
                _get(self._to.netloc, _PATHS[number % len(_PATHS)])
                self.took.append(time.monotonic() - began)
            except (OSError, http.client.HTTPException):
                self.took.append(float("inf"))
            number += 1

    def end(self) -> str:
        self._over.set()
        self.join(60)
        ordered = sorted(self.took)
        middle, late = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
        return f"{middle * 1000:.0f} / {late * 1000:.0f} / {ordered[-1] * 1000:.0f} of {len(ordered)}"


def _get(netloc: str, path: str) -> Any:
    connection = http.client.HTTPConnection(netloc, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise OSError(answer.status)
        return json.loads(body)
    finally:
        connection.close()


@contextmanager
def _crowd(url: str, tokens: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", "tests.bench.crowd", url, str(tokens)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        if not process.stdout.readline():  # that all of them are made
            raise RuntimeError(f"the agents' process ended with {process.wait(10)}")
        yield process
    finally:
        process.kill()
        process.wait(10)


def _last(db: Database) -> float:
    with db.read() as connection:
        return connection.execute(select(func.max(hosts.c.last_seen))).scalar_one() or 0.0


def _heard(db: Database, since: float) -> int:
    """Hosts that spoke after that moment."""
    with db.read() as connection:
        query = select(func.count()).select_from(hosts).where(hosts.c.last_seen > since)
        return int(connection.execute(query).scalar_one())


def _measured(kind: str, what: str, db: Database, url: str, pids: tuple[int, int], before: float) -> str:
    """``pids``: of the server and of the agents."""
    used, agents_used = map(cpu_s, pids)
    began, client = time.monotonic(), Client(url)
    client.start()
    while (heard := _heard(db, before)) < AGENTS and time.monotonic() - began < _PATIENCE_S:
        time.sleep(0.25)
    took = time.monotonic() - began
    time.sleep(10)  # what follows the registration belongs to it
    passed = time.monotonic() - began
    server, agents = cpu_s(pids[0]) - used, cpu_s(pids[1]) - agents_used
    waited = client.end()
    return (
        f"| {kind} | {what} | {heard} in {took:.1f} s | {waited} | {server:.1f} s of {passed:.0f} s "
        f"| {agents:.1f} s | {resident_mib(pids[0]):.0f} |"
    )


def run() -> list[str]:
    lines = [
        f"{AGENTS} simulated agents in one process beside the server; a client that asks every 50 ms for a page.",
        "",
        "| database | what happens | heard | API p50 / p99 / longest (ms) | server's CPU | agents' CPU | MiB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    names = [f"host{number:04}" for number in range(AGENTS)]
    with databases.both() as urls:
        for kind, database_url in urls.items():
            with tempfile.TemporaryDirectory() as kept:
                lines += _of_database(kind, database_url, names, Path(kept))
    load = os.getloadavg()[0]
    lines += ["", f"Server, database, agents and client share {os.cpu_count()} processors. Load {load:.1f} at the end."]
    return lines


def _of_database(kind: str, database_url: str, names: Sequence[str], kept: Path) -> Iterator[str]:
    db, tokens, port = Database(database_url), kept / "tokens", free_port()
    tokens.write_text(json.dumps({name: credentials.issue(db, name) for name in names}))
    url = f"http://127.0.0.1:{port}"
    with _crowd(url, tokens) as crowd:
        for what in ("all start together", "the server is started again"):
            before = _last(db)
            with running(database_url, kept / "images", port=str(port)) as (_, pid):
                yield _measured(kind, what, db, url, (pid, crowd.pid), before)
    db.close()
