"""docs/backup.md: a backup by each database's own tool, restored after the world went on, and what is found then."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from migrator.db import alarms, instances, keys, operations
from migrator.db import tables as t
from migrator.db.clock import now
from migrator.db.engine import Database
from migrator.db.upgrade import upgrade
from migrator.errors import Conflict
from migrator.operations import Kind
from migrator.protocol import DomainEntry, DomainState, Poll
from migrator.scheduler import agents
from migrator.scheduler.hosts import reconciliation
from migrator.scheduler.reconciler import Reconciler
from migrator.scheduler.requests import requests
from migrator.scheduler.state import stamps
from migrator.settings import ServerSettings
from tests import postgres, registering
from tests.bench import databases

CALLER = requests.Caller("admin", "admin", "req-test")


def backup(url: str, to: Path) -> None:
    """While servers run."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as source, closing(sqlite3.connect(to)) as kept:
            source.backup(kept)  # what `sqlite3 FILE ".backup TO"` does
        return
    subprocess.run([postgres.binaries() / "pg_dump", "--format=custom", f"--file={to}", url], check=True)


def restore(url: str, kept: Path) -> None:
    """While none runs."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(kept, path)
        return
    how = ["--clean", "--if-exists", "--single-transaction", "--exit-on-error", f"--dbname={url}"]
    subprocess.run([postgres.binaries() / "pg_restore", *how, kept], check=True)


def begun(db: Database, uuid: str, source: str, destination: str) -> tuple[str, int]:
    """A live migration that ended well: its UUID, and the epoch."""
    with db.write() as connection:
        key = requests.begin(connection, CALLER, Kind.LIVE_MIGRATION, uuid, source)
        row = operations.get(connection, key)
        ended = {
            "active": False,
            "status": "completed",
            "destination": destination,
            "finished_at": now(connection) - 60,
        }
        operations.compare_and_swap(connection, key, row.generation, ended)
        quiet = {"host": destination, "task_state": None, "vm_state": "active", "power_state": 1}
        connection.execute(t.instances.update().values(updated_at=now(connection) - 60, launched_at=1.0, **quiet))
        return row.uuid, row.epoch


def polls(db: Database, host: str, uuid: str | None, stamp: tuple[str, int] | None = None) -> None:
    copies: tuple[DomainEntry, ...] = ()
    if uuid is not None and stamp is not None:
        with db.read() as connection:
            seal = stamps.sign(keys.stamp_key(connection), uuid, *stamp, host)
        copies = (
            DomainEntry(
                uuid=uuid, state=DomainState.RUNNING, stamp_operation=stamp[0], stamp_epoch=stamp[1], seal=seal
            ),
        )
    agents.heartbeat(db, host, Poll(incarnation=1, copies=copies), ServerSettings())


@pytest.fixture
def moved(db: Database, tmp_path: Path) -> tuple[Database, str, tuple[str, int]]:
    """The restored database, an instance that it has on "two", and the stamp that its domain has on "three"."""
    (uuid,) = databases.add_instances(db, 1)
    for name in ("one", "two", "three"):
        registering.register(db, name, 1, databases.report())
    with db.write() as connection:
        instances.change(connection, uuid, {"host": "one", "vm_state": "active", "task_state": None})
    begun(db, uuid, "one", "two")
    kept = tmp_path / "backup"
    backup(db.url, kept)
    stamp = begun(db, uuid, "two", "three")
    seal_key = _key(db)
    db.close()
    restore(db.url, kept)
    upgrade(db.url)  # what a server does first
    assert _key(db) == seal_key
    return db, uuid, stamp


def _key(db: Database) -> bytes:
    with db.read() as connection:
        return keys.stamp_key(connection)


def test_a_restored_database_finds_what_went_on_without_it(moved: tuple[Database, str, tuple[str, int]]) -> None:
    db, uuid, stamp = moved
    polls(db, "two", None)
    polls(db, "three", uuid, stamp)
    with db.read() as connection:
        found = {(row.kind, row.host) for row in alarms.listed(connection, instance_uuid=uuid)}
        assert instances.get(connection, uuid).power_state == 0
    assert found == {("domain-gone", "two"), ("copy-newer", "three")}
    with pytest.raises(Conflict, match="a copy of it runs on three, but its record says two"):
        requests.start(db, CALLER, uuid)


def test_what_is_asked_waits_until_an_operator_has_compared_both(moved: tuple[Database, str, tuple[str, int]]) -> None:
    db, uuid, stamp = moved
    settings = ServerSettings(database=db.url)
    polls(db, "three", uuid, stamp)
    key = requests.delete_instance(db, CALLER, uuid)
    reconciler = Reconciler(db, settings, lambda _hosts: None)
    reconciler.reconcile(key)
    polls(db, "two", None)
    with db.read() as connection:
        assert "three" in (operations.get(connection, key).wait_reason or "")
    for host in ("two", "three"):
        assert agents.assignments(db, host, settings).assignments == ()
    assert reconciliation.take(db, CALLER, uuid, reconciliation.Word("three"), settings) == [key]
    reconciler.reconcile(key)
    (wanted,) = agents.assignments(db, "three", settings).assignments
    assert (wanted.kind, wanted.epoch) == ("delete", 2)
    polls(db, "three", uuid, stamp)
    with db.read() as connection:
        assert alarms.listed(connection) == []
