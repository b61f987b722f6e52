"""An alarm about an operation is that operation's alone: whatever ends the operation ends it, and nothing else does."""

from typing import Any

import pytest
from sqlalchemy import update

from migrator.alarms import AlarmKind
from migrator.db import alarms, instances
from migrator.db import operations as operation_rows
from migrator.db.engine import Database
from migrator.db.tables import operations
from migrator.event_types import EventType
from migrator.protocol import DomainEntry, DomainState, Poll
from migrator.scheduler import agents
from migrator.scheduler.decision.snapshot import Plan, Timeline
from migrator.scheduler.hosts import reconciliation
from migrator.scheduler.hosts.reconciliation import Word
from migrator.scheduler.reconciler import Reconciler, apply
from migrator.scheduler.requests import requests
from migrator.scheduler.state import loader
from migrator.settings import ServerSettings
from tests import registering
from tests.bench import databases

CALLER = requests.Caller("admin", "admin", "req")


@pytest.fixture
def uuid(db: Database) -> str:
    """An instance that runs on the host "one"."""
    (uuid,) = databases.add_instances(db, 1)
    registering.register(db, "one", 1, databases.report())
    with db.write() as connection:
        instances.change(connection, uuid, {"host": "one", "vm_state": "active", "task_state": None})
    return uuid


def applied(db: Database, operation_id: int, plan: Plan) -> None:
    with db.write() as connection:
        apply(connection, loader.snapshot(connection, operation_id, ServerSettings()), plan)


def overdue(db: Database, operation_id: int, message: str) -> None:
    applied(db, operation_id, Plan(context={"overdue": "stop"}, timeline=(Timeline(EventType.ALARM, message),)))


def open_alarms(db: Database) -> list[tuple[str, str]]:
    with db.read() as connection:
        return sorted((row.kind, row.message) for row in alarms.listed(connection))


def two_overdue(db: Database, uuid: str) -> tuple[int, int]:
    first = requests.stop(db, CALLER, uuid)
    overdue(db, first, "OVERDUE: the first")
    applied(db, first, Plan(locks_instance=False))
    second = requests.stop(db, CALLER, uuid)
    overdue(db, second, "OVERDUE: the second")
    assert open_alarms(db) == [("operation-overdue", f"OVERDUE: the {which}") for which in ("first", "second")]
    return first, second


@pytest.mark.parametrize("over", [Plan(final_status="completed"), Plan(phase="commit", context={"overdue": ""})])
@pytest.mark.parametrize("which", [0, 1])
def test_of_two_operations_that_are_overdue_each_has_an_alarm_of_its_own(
    db: Database, uuid: str, which: int, over: Plan
) -> None:
    applied(db, two_overdue(db, uuid)[which], over)
    assert open_alarms(db) == [("operation-overdue", f"OVERDUE: the {('second', 'first')[which]}")]


def test_the_end_of_an_operation_leaves_the_alarms_about_its_instance(db: Database, uuid: str) -> None:
    with db.write() as connection:
        alarms.raise_alarm(connection, AlarmKind.DOMAIN_GONE, "gone", host="one", instance_uuid=uuid)
    key = requests.stop(db, CALLER, uuid)
    overdue(db, key, "OVERDUE: it")
    applied(db, key, Plan(final_status="error"))
    assert open_alarms(db) == [("domain-gone", "gone")]


def test_a_word_that_ends_an_operation_ends_its_alarms(db: Database, uuid: str) -> None:
    key = requests.live_migrate(db, CALLER, uuid, host=None, block=None)
    overdue(db, key, "OVERDUE: it")
    message = "SPLIT: it runs on both"
    applied(db, key, Plan(wait_reason=message, timeline=(Timeline(EventType.ALARM, message),)))
    heard(db, "one", uuid)
    assert len(open_alarms(db)) == 2
    reconciliation.take(db, CALLER, uuid, Word("one"), ServerSettings())
    with db.read() as connection:
        assert not operation_rows.get(connection, key).active
    assert open_alarms(db) == []


def test_an_operation_that_begins_anew_by_a_word_may_be_overdue_again(db: Database, uuid: str) -> None:
    key = requests.stop(db, CALLER, uuid)
    reconciler = Reconciler(db, ServerSettings(), wake=lambda _: None)
    for _ in range(2):
        late(db, key)
        reconciler.sweep()
        assert [kind for kind, _ in open_alarms(db)] == ["operation-overdue"]
        heard(db, "one", uuid)
        with db.write() as connection:  # beside a dispute no host acts
            alarms.raise_alarm(connection, AlarmKind.COPY_NEWER, "newer", host="one", instance_uuid=uuid)
        reconciliation.take(db, CALLER, uuid, Word("one"), ServerSettings())
        assert open_alarms(db) == []


@pytest.mark.parametrize("held_back", ["a dispute", "a description that cannot be read"])
def test_an_operation_that_is_held_back_is_overdue_like_every_other(db: Database, uuid: str, held_back: str) -> None:
    key = requests.stop(db, CALLER, uuid)
    with db.write() as connection:
        if held_back == "a dispute":
            alarms.raise_alarm(connection, AlarmKind.COPY_NEWER, "newer", host="one", instance_uuid=uuid)
        else:
            connection.exec_driver_sql("UPDATE hosts SET report = '{}'")
    late(db, key)
    reconciler = Reconciler(db, ServerSettings(), wake=lambda _: None)
    for _ in range(2):
        reconciler.sweep()
    assert "operation-overdue" in dict(open_alarms(db))


def heard(db: Database, host: str, uuid: str) -> None:
    """The host lists the instance, and works on nothing of it."""
    told = (DomainEntry(uuid=uuid, state=DomainState.RUNNING),)
    agents.heartbeat(db, host, Poll(incarnation=1, working=(), copies=told), ServerSettings())


def late(db: Database, key: int) -> None:
    with db.write() as connection:
        values: dict[str, Any] = {"phase_since": 0.0}
        connection.execute(update(operations).where(operations.c.id == key).values(values))
