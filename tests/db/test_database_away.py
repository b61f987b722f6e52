"""A running server whose database is away says so in one line, for all that works beside requests; a fault in any of
these loops keeps its traceback. With a real file of SQLite that is held, and a real PostgreSQL that was stopped."""

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from migrator import log_limits
from migrator.api.identity import strategies
from migrator.api.process.services import Services, build
from migrator.db import engine, instances, server_heartbeat
from migrator.db.engine import Database
from migrator.db.upgrade import upgrade
from migrator.errors import DatabaseUnavailable
from migrator.scheduler.requests import requests
from migrator.server import main
from migrator.settings import ServerSettings
from tests import postgres, registering
from tests.api import seed
from tests.bench import databases
from tests.waiting import wait_for

CALLER = requests.Caller("admin", "admin", "req-test")
LOOPS = {"heartbeat", "sweeper", "drains", "deadlines", "housekeeping", "capacity", "use", "webhooks", "fencer"}


class Failures(log_limits.Counts):
    """Which loop failed, and how often any did."""

    def __init__(self) -> None:
        super().__init__()
        self.loops: set[str] = set()
        self.count = 0

    def add(self, reason: str) -> int | None:
        self.loops.add(threading.current_thread().name)
        self.count += 1
        return super().add(reason)


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> Failures:
    made = Failures()
    monkeypatch.setattr(log_limits, "BACKGROUND", made)
    monkeypatch.setattr(engine, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(server_heartbeat, "BEAT_S", 0.05)
    return made


def served(url: str) -> Services:
    """With an operation that is to be advanced, and one that waits for a host to be fenced."""
    upgrade(url)
    settings = ServerSettings(database=url, sweep_interval=0.05, fence_command="/bin/true")
    services = build(settings, strategies.rules(settings))
    registering.register(services.db, "one", 1, databases.report())
    (uuid,) = databases.add_instances(services.db, 1)
    with services.db.write() as connection:
        instances.change(connection, uuid, {"host": "one", "vm_state": "active", "task_state": None})
    operation = requests.stop(services.db, CALLER, uuid)
    services.reconciler._schedule.put(operation, 0.0)  # so that the loop of deadlines has one that is due
    seed.host(services.db, "lost", last_seen=seed.BEGAN)
    moved = seed.instance(services.db, "a", host="lost")
    wanted = {"kind": "evacuation", "phase": "fence", "source": "lost", "destination": "one"}
    seed.migration(services.db, moved, "pre-migrating", **wanted)
    return services


@contextmanager
def beside(services: Services, away: contextlib.AbstractContextManager[object]) -> Iterator[None]:
    """All that a server does beside requests, while its database is ``away``."""
    stop = threading.Event()
    parts = main.background(services, stop)
    with away:
        threads = [threading.Thread(target=keep, name=name) for name, keep in parts.items()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
            services.db.close()
    assert set(parts) == LOOPS


def only_line(caplog: pytest.LogCaptureFixture) -> str:
    (line,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.exc_info is None
    return line.getMessage()


@contextmanager
def held(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


def test_a_sqlite_file_that_is_held_is_one_line_for_all_loops(
    tmp_path: Path, failures: Failures, caplog: pytest.LogCaptureFixture
) -> None:
    services = served(f"sqlite:///{tmp_path}/m.db")
    with beside(services, held(tmp_path / "m.db")):  # readers are served: the loops that write fail
        wait_for(lambda: failures.loops >= {"heartbeat", "sweeper"} and failures.count > 10, 10)
    assert f"the database sqlite:///{tmp_path}/m.db cannot be used now: " in only_line(caplog)


def test_a_postgresql_that_was_stopped_is_one_line_for_all_loops(
    failures: Failures, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.ExitStack() as server:
        url = server.enter_context(postgres.running())
        services = served(url)
        with beside(services, server):
            server.close()
            wait_for(lambda: failures.loops >= LOOPS and failures.count > 20, 10)
    assert f"the database {url} cannot be used now: " in only_line(caplog)


def test_a_fault_of_a_loop_keeps_its_traceback(
    db: Database, failures: Failures, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(engine, "_PATIENCE_S", 30.0)  # nothing holds the file: on a busy machine loops only wait
    services = served(db.url)
    monkeypatch.setattr(services.reconciler, "sweep", stumble)
    with beside(services, contextlib.nullcontext()):
        wait_for(lambda: "the sweep failed" in caplog.text, 10)
    failed = [record for record in caplog.records if record.getMessage().startswith("the sweep failed")]
    assert all(record.exc_info is not None for record in failed)
    assert failures.count == 0


def test_the_next_line_says_how_many_there_were_in_between(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr(log_limits, "BACKGROUND", log_limits.Counts(60, lambda: now[0]))
    error = DatabaseUnavailable("the database cannot be used now", cause="sqlite:////m.db: locked")
    for at in (0, 1, 2, 61):
        now[0] = at
        log_limits.log_failure(logging.getLogger("x"), error, "the sweep failed")
    first, second = (record.getMessage() for record in caplog.records)
    assert "locked" in first
    assert second.endswith("(and 2 more since the last such line)")
