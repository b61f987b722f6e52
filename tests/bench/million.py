"""What a page, a filter that matches nothing, and a scrape take beside a million operations that are over."""

import http.client
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import text

from migrator.db.engine import Database
from tests.bench import databases, server

ROWS = 1_000_000
_TIMES = 20
_WARM = "/v2.1/"
_DEEP = "00000000-0000-0000-0000-000000000010"
_COLUMNS = (
    "uuid, kind, instance_uuid, active, moves, holds, phase, forward, epoch, generation, status, source, destination, "
    "params, context, cancel_requested, confirm_requested, outcome, request_id, user_id, project_id, phase_since, "
    "created_at, updated_at, finished_at"
)
_OUTCOME = '{"elapsed_ms": 4000, "downtime_ms": 60, "iterations": 3}'
_VALUES = (
    "{uuid}, 'live-migration', :instance, false, true, true, 'release', true, 1, 9, 'completed', "
    f"'host1', 'host2', '{{{{}}}}', '{{{{}}}}', false, false, '{_OUTCOME.replace('{', '{{').replace('}', '}}')}', "
    "'req-' || n, 'admin', 'admin', 1.7e9 + n, 1.7e9 + n, 1.7e9 + n, 1.7e9 + n"
)
_ROWS = {
    "sqlite": (
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :rows) ",
        "c",
        "printf('%012d', n)",
    ),
    "postgresql": ("", "generate_series(1, :rows) AS c(n)", "lpad(n::text, 12, '0')"),
}
_PATHS = {
    "os-migrations, first page": "/v2.1/os-migrations?limit=100",
    "os-migrations, a page at the end": f"/v2.1/os-migrations?limit=10&marker={_DEEP}",
    "os-migrations, a status that none has": "/v2.1/os-migrations?limit=100&status=nosuch",
    "os-migrations, a host that none has": "/v2.1/os-migrations?limit=100&host=nosuch",
    "os-migrations, changed since tomorrow": "/v2.1/os-migrations?limit=100&changes-since=2100-01-01T00:00:00Z",
    "instance actions, a page at the end": "/v2.1/servers/{server}/os-instance-actions?limit=5&marker=req-10",
    "/v1/operations, a page at the end": "/v1/operations?limit=5&marker=10",
    "/v1/operations that are under way": "/v1/operations?active=true",
    "servers, a name that none has": "/v2.1/servers/detail?name=nosuch",
}


def run() -> list[str]:
    lines = [f"{ROWS:,} operations of one instance that are over; milliseconds, {_TIMES} requests each.", ""]
    lines += ["| database | request | first | median | longest |", "| --- | --- | --- | --- | --- |"]
    with databases.both() as urls, tempfile.TemporaryDirectory() as kept:
        for kind, url in urls.items():
            db = Database(url)
            databases.add_hosts(db, 10)
            instance = databases.add_instances(db, 1)[0]
            _fill(db, instance)
            db.analyze()
            db.close()
            with server.running(url, Path(kept), sweep_interval="3600") as (base, _):  # nothing is counted before
                lines.append(f"| {kind} | /metrics, before anything was counted | {_took(base, '/metrics')} |")
            with server.running(url, Path(kept)) as (base, _):
                for name, path in _PATHS.items():
                    lines.append(f"| {kind} | {name} | {_took(base, path.format(server=instance))} |")
                lines.append(f"| {kind} | /metrics, while what has ended is counted | {_took(base, '/metrics')} |")
    return lines


def _fill(db: Database, instance: str) -> None:
    head, source, digits = _ROWS["sqlite" if db.is_sqlite else "postgresql"]
    values = _VALUES.format(uuid=f"'00000000-0000-0000-0000-' || {digits}")
    with db.write() as connection:
        statement = text(f"INSERT INTO operations ({_COLUMNS}) {head}SELECT {values} FROM {source}")
        connection.execute(statement, {"rows": ROWS, "instance": instance})
    if not db.is_sqlite:
        with db.read() as connection:
            connection.exec_driver_sql("ANALYZE")


def _took(base: str, path: str) -> str:
    connection, took = http.client.HTTPConnection(urlsplit(base).netloc, timeout=120), []
    headers = {"OpenStack-API-Version": "compute 2.96"}
    for asked in (_WARM, *[path] * _TIMES):
        began = time.perf_counter()
        connection.request("GET", asked, headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
        took.append((time.perf_counter() - began) * 1000)
    connection.close()
    del took[0]  # the first request of the connection, and perhaps of the process
    return f"{took[0]:.0f} | {statistics.median(took):.0f} | {max(took):.0f}"
