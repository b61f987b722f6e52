"""Requests per second and latency of the pages that dashboards poll, at concurrency 1 and 8, on both databases."""

import http.client
import statistics
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from migrator.db.engine import Database
from tests.bench import databases, server

SECONDS = 4.0
HEADERS = {"X-OpenStack-Nova-API-Version": "2.96", "OpenStack-API-Version": "compute 2.96"}


def run() -> list[str]:
    lines = [
        "| database | request | clients | requests/s | p50 | p99 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    with databases.both() as urls, tempfile.TemporaryDirectory() as images:
        for name, url in urls.items():
            db = Database(url)
            databases.add_hosts(db, 100)
            uuids = databases.add_instances(db, 500)
            databases.add_migrations(db, uuids, 1000)
            db.close()
            paths = {
                "GET /v2.1/os-migrations (1,000 rows)": "/v2.1/os-migrations",
                "GET /v2.1/servers/detail (500 rows)": "/v2.1/servers/detail?all_tenants=1",
                "GET /v2.1/servers/{id}": f"/v2.1/servers/{uuids[0]}",
            }
            with server.running(url, Path(images)) as (base, _pid):
                for label, path in paths.items():
                    for clients in (1, 8):
                        lines.append(f"| {name} | {label} | {clients} | {_load(base, path, clients)} |")
    return lines


def _load(base: str, path: str, clients: int) -> str:
    _one(base, path, 0.5, [])
    took: list[float] = []
    threads = [threading.Thread(target=_one, args=(base, path, SECONDS, took)) for _ in range(clients)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(took) / (time.perf_counter() - begin)
    took.sort()
    p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
    return f"{rate:.0f} | {statistics.median(took):.1f} ms | {p99:.1f} ms"


def _one(base: str, path: str, seconds: float, took: list[float]) -> None:
    """One client on one kept-alive connection; appends milliseconds."""
    connection = http.client.HTTPConnection(urlsplit(base).netloc)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        begin = time.perf_counter()
        connection.request("GET", path, headers=HEADERS)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
        took.append((time.perf_counter() - begin) * 1000)
    connection.close()
