"""What an upgrade makes of the rows of an earlier release."""

from typing import Any

import pytest
from alembic import command
from sqlalchemy import select, text, update

from migrator.db import instances, upgrade
from migrator.db.engine import Database
from migrator.db.tables import operations
from migrator.errors import DatabaseNewer
from migrator.scheduler.decision.snapshot import Plan
from migrator.scheduler.reconciler import Reconciler
from migrator.scheduler.requests import requests
from migrator.settings import ServerSettings
from tests import registering
from tests.bench import databases
from tests.db.test_operation_alarms import CALLER, applied, open_alarms

LATE, SPLIT = {"overdue": "stop"}, "SPLIT: it runs on both"
UNREADABLE = "this server cannot read the operation: upgrade it"


@pytest.fixture
def uuid(db: Database) -> str:
    """An instance that runs on the host "one"."""
    (uuid,) = databases.add_instances(db, 1)
    registering.register(db, "one", 1, databases.report())
    with db.write() as connection:
        instances.change(connection, uuid, {"host": "one", "vm_state": "active", "task_state": None})
    return uuid


def alarmed(db: Database, uuid: str, kind: str, message: str) -> None:
    """An open alarm of before there were those of operations."""
    values = {"kind": kind, "uuid": uuid, "words": message}
    columns = "kind, host, instance_uuid, message, raised_at"
    with db.write() as connection:
        connection.execute(text(f"INSERT INTO alarms ({columns}) VALUES (:kind, '', :uuid, :words, 1.0)"), values)


def downgraded(db: Database, revision: str) -> None:
    with db.write() as connection:
        command.downgrade(upgrade._config(connection), revision)


def changed(db: Database, key: int, **values: Any) -> None:
    with db.write() as connection:
        connection.execute(update(operations).where(operations.c.id == key).values(**values))


def two(db: Database, uuid: str) -> tuple[int, int]:
    """An operation that only has a host to clean up, and a newer one that holds the instance."""
    first = requests.stop(db, CALLER, uuid)
    applied(db, first, Plan(locks_instance=False))
    return first, requests.stop(db, CALLER, uuid)


def given(db: Database) -> list[tuple[str, int | None]]:
    """Each open alarm's kind, and its operation."""
    query = "SELECT a.kind, o.id FROM alarms a LEFT JOIN operations o ON o.uuid = a.operation_uuid"
    with db.read() as connection:
        found = connection.execute(text(f"{query} WHERE a.cleared_at IS NULL ORDER BY o.id")).all()
    return [(kind, key) for kind, key in found]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("operation-overdue", {"context": LATE}),
        ("split", {"wait_reason": SPLIT}),
        ("operation-unreadable", {"wait_reason": UNREADABLE}),
    ],
)
def test_an_open_alarm_is_given_to_the_operation_that_says_it_whether_it_holds_its_instance_or_not(
    db: Database, uuid: str, kind: str, says: Any, which: int
) -> None:
    keys = two(db, uuid)
    changed(db, keys[which], **says)
    downgraded(db, "0018")
    alarmed(db, uuid, kind, "it")
    upgrade.upgrade(db.url)
    assert given(db) == [(kind, keys[which])]
    with db.read() as connection:
        row = connection.execute(select(operations).where(operations.c.id == keys[which])).one()
    assert {name: getattr(row, name) for name in says} == says


@pytest.mark.parametrize("raised", [True, False])
def test_operations_that_are_overdue_without_an_alarm_of_their_own_raise_it_anew(
    db: Database, uuid: str, raised: bool
) -> None:
    """It is one alarm of two of them, or the end of another operation closed it."""
    for key in two(db, uuid):
        changed(db, key, context=LATE, phase_since=0.0)
    downgraded(db, "0018")
    if raised:
        alarmed(db, uuid, "operation-overdue", "OVERDUE: one of them")
    upgrade.upgrade(db.url)
    assert given(db) == []
    Reconciler(db, ServerSettings(), wake=lambda _: None).sweep()
    assert [kind for kind, _ in open_alarms(db)] == ["operation-overdue"] * 2


def test_an_operation_that_waits_with_a_split_without_an_alarm_forgets_that_it_does(db: Database, uuid: str) -> None:
    key = requests.stop(db, CALLER, uuid)
    changed(db, key, wait_reason=SPLIT, context={"torn": True})
    downgraded(db, "0018")
    upgrade.upgrade(db.url)
    with db.read() as connection:
        row = connection.execute(select(operations).where(operations.c.id == key)).one()
    assert (row.wait_reason, row.context) == (None, {"torn": True})


def test_an_alarm_whose_operation_is_over_is_closed(db: Database, uuid: str) -> None:
    changed(db, requests.stop(db, CALLER, uuid), active=False, context=LATE, wait_reason=SPLIT)
    downgraded(db, "0018")
    for kind in ("operation-overdue", "split", "domain-gone"):
        alarmed(db, uuid, kind, "it")
    upgrade.upgrade(db.url)
    assert given(db) == [("domain-gone", None)]


def test_an_operation_that_cannot_be_read_keeps_no_database_from_its_upgrade(db: Database, uuid: str) -> None:
    key = requests.stop(db, CALLER, uuid)
    downgraded(db, "0018")
    with db.write() as connection:
        connection.execute(text("UPDATE operations SET context = '[]'"))
        if db.is_sqlite:
            connection.execute(text("UPDATE operations SET context = '{'"))
    changed(db, key, wait_reason=UNREADABLE)
    alarmed(db, uuid, "operation-unreadable", "it")
    upgrade.upgrade(db.url)
    assert given(db) == [("operation-unreadable", key)]


def test_a_database_of_a_newer_release_is_refused_in_a_sentence_and_left_as_it_is(db: Database) -> None:
    with db.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseNewer, match="is at revision 9999, and this release of migrator knows it up to") as said:
        upgrade.upgrade(db.url)
    assert said.value.code == "database_newer"
    with db.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
