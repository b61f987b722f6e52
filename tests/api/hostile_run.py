"""Sends hostile requests to an application in this process, and tells of each that it answered with 500, or that took
more of a processor than one request may.

    python -m tests.api.hostile_run COUNT [DATABASE_URL [SEED]]

DATABASE_URL is a server's whose databases may be made and dropped (PostgreSQL), or left out: SQLite in a temporary
directory. The database is made anew after each ROUND requests, so that it stays small. Exit code 1 if there was
such a request.
"""

import asyncio
import logging
import sys
import tempfile
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg

from migrator.api import urls
from migrator.api.identity import strategies
from migrator.api.identity.authenticator import NoAuthentication
from migrator.api.process import services
from migrator.db import credentials
from migrator.db import volumes as volume_rows
from migrator.db.engine import Database
from migrator.db.upgrade import upgrade
from migrator.server.app import create_app
from migrator.settings import ServerSettings
from tests.api import seed
from tests.api.hostile_parts import COSTLY_TEXT, UPLOAD_FORMATS
from tests.api.hostile_requests import HOST, Generator, Request, known_ids

ROUND = 2000
PROCESSOR_S = 2.0  # of this process, for one request: a list by a regular expression takes one second at the most
_NO_FAULT = 501  # what this server says that it does not offer
_SEARCHED = 100  # instances with names that regular expressions are costly on
_UPLOADS = 10  # images of each format that wait for their bytes


@dataclass
class Outcome:
    statuses: Counter[int] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    costly: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")


class _Tracebacks(logging.Handler):
    """The last one that was logged: a 500 says no more than that there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.last = "".join(traceback.format_exception(record.exc_info[1])[-6:])


def seeded(db: Database, images: Path) -> tuple[Any, str]:
    """The ids that a path may name, and a credential of the host's agent."""
    images.mkdir()
    (images / seed.IMAGE).write_bytes(b"x" * 1000)
    for name in (HOST, "compute2"):
        seed.host(db, name)
    seed.flavor(db)
    seed.image(db, seed.IMAGE)
    server = seed.instance(db, "a", tags=["a"], uuid=seed.IMAGE)  # one id for all, so that what is named is there
    operation = seed.migration(db, server, "running", uuid=seed.IMAGE)
    for number in range(_SEARCHED):
        seed.instance(db, f"{number}{COSTLY_TEXT}"[:255])
    queued = [str(uuid.UUID(int=number)) for number in range(1, _UPLOADS * len(UPLOAD_FORMATS) + 1)]
    for ident, disk_format in zip(queued, UPLOAD_FORMATS * _UPLOADS, strict=True):
        seed.image(db, ident, status="queued", disk_format=disk_format, owner="admin")
    with db.write() as connection:
        volume = volume_rows.create(connection, "v", "nbd://h:1/x", 1, None)
    return known_ids(server, volume, operation, queued), credentials.issue(db, HOST)


async def send(app: Any, request: Request) -> int:
    """The answer's status; as the server's process would hand the request to the application."""
    path, _, query = request.target.partition(b"?")
    length = (b"content-length", str(len(request.content)).encode())
    told = {b"content-length", b"transfer-encoding"} & {name for name, _ in request.headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path.decode()),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [*request.headers, *([] if told else [length])],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8774),
        "state": {},
    }
    waiting = [{"type": "http.request", "body": request.content, "more_body": False}]
    status = 0

    async def receive() -> Any:
        if waiting:
            return waiting.pop()
        await asyncio.sleep(3600)  # the client stays
        raise AssertionError

    async def sent(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    try:
        await app(scope, receive, sent)
    except Exception:  # the server's process would answer 500, unless the application had
        return status or 500
    return status


async def run(db_url: str, directory: Path, count: int, seed_: int, outcome: Outcome) -> None:
    settings = ServerSettings(
        database=db_url,
        image_dir=directory / "images",
        trusted_proxies=("127.0.0.1",),
    )
    made = services.build(settings, strategies.rules(settings))
    made.notifier.closing = True  # no poll waits
    kept, logger = _Tracebacks(), logging.getLogger("migrator")
    logger.addHandler(kept)
    logger.propagate = False
    try:
        app = create_app(made, NoAuthentication())
        ids, token = seeded(made.db, settings.image_dir)
        for request in Generator(urls.document(), ids, token, seed_).requests(count):
            kept.last, began, cost = "", time.monotonic(), time.process_time()
            status = await send(app, request)
            took, cost = time.monotonic() - began, time.process_time() - cost
            if cost > PROCESSOR_S:
                outcome.costly.append(f"{cost:.1f} s of a processor: {request}")
            outcome.statuses[status] += 1
            if took > outcome.slowest[0]:
                outcome.slowest = (took, str(request))
            if status >= 500 and status != _NO_FAULT:
                outcome.failed.append(f"{status} {request}\n{kept.last}")
    finally:
        logger.removeHandler(kept)
        logger.propagate = True
        made.db.close()


@contextmanager
def _database(server: str | None, directory: Path) -> Iterator[str]:
    if server is None:
        path = directory / f"{uuid.uuid4().hex}.db"
        upgrade(f"sqlite:///{path}")
        yield f"sqlite:///{path}"
        return
    name = f"hostile_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            upgrade(made := server.rsplit("/", 1)[0] + f"/{name}")
            yield made
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def main(argv: list[str]) -> int:
    count, server, first = int(argv[0]), argv[1] if len(argv) > 1 else "", int(argv[2]) if len(argv) > 2 else 1
    outcome, began = Outcome(), time.monotonic()
    for number in range(0, count, ROUND):
        with tempfile.TemporaryDirectory() as kept, _database(server or None, Path(kept)) as url:
            seed_ = first + number // ROUND
            asyncio.run(run(url, Path(kept), min(ROUND, count - number), seed_, outcome))
        print(
            f"{number + ROUND} sent, {len(outcome.failed)} failed, {len(outcome.costly)} costly, "
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
    for said in (*outcome.failed[:40], *outcome.costly[:40]):
        print(said)
    print(dict(sorted(outcome.statuses.items())), f"slowest: {outcome.slowest[0]:.2f} s, {outcome.slowest[1][:300]}")
    return 1 if outcome.failed or outcome.costly else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
