"""The sweep looks at every operation, whatever becomes of one of them; on both databases."""

import logging
from typing import Any

import pytest
from sqlalchemy import update

from migrator.alarms import AlarmKind
from migrator.db import alarms, hosts, instances, tables
from migrator.db.engine import Connection, Database
from migrator.errors import DatabaseUnavailable
from migrator.scheduler import reconciler
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.requests import requests
from migrator.settings import ServerSettings
from tests import registering
from tests.bench import databases

CALLER = requests.Caller("admin", "admin", "req-test")


def stopping(db: Database) -> list[str]:
    """Three instances that run on one host, and can be stopped."""
    found = list(databases.add_instances(db, 3))
    for uuid in found:
        with db.write() as connection:
            instances.change(connection, uuid, {"host": "one", "vm_state": "active", "task_state": None})
    return found


def test_an_operation_that_cannot_be_advanced_keeps_no_other_waiting(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    registering.register(db, "one", 1, databases.report())
    begun = [requests.stop(db, CALLER, uuid) for uuid in stopping(db)]
    seen = []

    def stumble(snapshot: Any) -> Any:
        seen.append(snapshot.operation.id)
        if snapshot.operation.id == begun[0]:
            raise KeyError("a bug, or a row that somebody edited")
        return decide(snapshot)

    monkeypatch.setattr(reconciler, "decide", stumble)
    with caplog.at_level(logging.ERROR):
        reconciler.Reconciler(db, ServerSettings(), lambda _hosts: None).sweep()
    assert list(dict.fromkeys(seen)) == begun
    assert f"operation {begun[0]} could not be advanced" in caplog.text


def test_the_sweep_reads_the_hosts_once_for_all_guests_that_may_run_unseen_and_in_no_transaction(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        registering.register(db, name, 1, databases.report())
    for host, uuid in zip(("one", "two", "one"), databases.add_instances(db, 3), strict=True):
        with db.write() as connection:
            instances.change(connection, uuid, {"host": host, "vm_state": "active", "task_state": None})
            alarms.raise_alarm(connection, AlarmKind.GUEST_UNSEEN, "it may run on two", host=host, instance_uuid=uuid)
    every, in_transactions = hosts.every, []

    def reading(connection: Connection) -> Any:
        in_transactions.append(bool(connection.info))
        return every(connection)

    monkeypatch.setattr(hosts, "every", reading)
    reconciler.Reconciler(db, ServerSettings(), lambda _hosts: None).sweep()
    assert in_transactions == [False]


def test_a_database_that_refuses_one_operation_keeps_no_other_waiting(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    registering.register(db, "one", 1, databases.report())
    begun = [requests.stop(db, CALLER, uuid) for uuid in stopping(db)]
    with db.write() as connection:
        connection.execute(update(tables.hosts).values(last_seen=0.0))  # each operation says that it waits
    seen = []

    def deadlocked(snapshot: Any) -> Any:
        seen.append(snapshot.operation.id)
        if snapshot.operation.id == begun[0]:
            raise DatabaseUnavailable("the database cannot be used now")
        return decide(snapshot)

    monkeypatch.setattr(reconciler, "decide", deadlocked)
    reconciler.Reconciler(db, ServerSettings(), lambda _hosts: None).sweep()
    assert all(seen.count(one) > 1 for one in begun)  # together with the others, and alone


def test_a_database_that_is_locked_by_somebody_else_ends_the_round_at_the_second_refusal(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    registering.register(db, "one", 1, databases.report())
    for uuid in stopping(db):
        requests.stop(db, CALLER, uuid)
    with db.write() as connection:
        connection.execute(update(tables.hosts).values(last_seen=0.0))  # each operation says that it waits
    tried = []

    def locked() -> Any:
        tried.append("for half a minute")
        raise DatabaseUnavailable("the database cannot be used now")

    with monkeypatch.context() as patched:
        patched.setattr(db, "write", locked)
        reconciler.Reconciler(db, ServerSettings(), lambda _hosts: None).sweep()
    assert len(tried) == 2
