"""Alarms are open once for each subject, and their end is kept."""

from typing import Any

import pytest

from migrator.alarms import ADVICE, AlarmKind, advice
from migrator.db import alarms, instances
from migrator.db.engine import Database
from migrator.db.tables import events, operations
from migrator.event_types import EventType
from migrator.operations import OPERATIONS, Kind
from migrator.scheduler.decision.deadlines import timed
from migrator.scheduler.decision.snapshot import Plan, Timeline
from migrator.scheduler.reconciler import Reconciler, apply
from migrator.scheduler.requests import requests
from migrator.scheduler.state import loader
from migrator.settings import ServerSettings
from tests import registering
from tests.bench import databases

STOP = OPERATIONS[Kind.STOP].phase("stop")
UUID = "11111111-2222-3333-4444-555555555555"


def lines(db: Database) -> list[tuple[str, str]]:
    with db.read() as connection:
        return [(row.name, row.message) for row in connection.execute(events.select().order_by(events.c.id))]


def listed(db: Database, **more: Any) -> list[tuple[str, str, str]]:
    with db.read() as connection:
        return [(row.kind, row.host, row.message) for row in alarms.listed(connection, **more)]


def test_an_alarm_is_raised_once_for_each_subject_and_says_the_newest_words(db: Database) -> None:
    about: dict[str, Any] = {"host": "n1", "instance_uuid": UUID}
    for message, new in (("one", True), ("one", False), ("two", False)):
        with db.write() as connection:
            assert alarms.raise_alarm(connection, AlarmKind.COPY_ELSEWHERE, message, **about) is new
    with db.write() as connection:
        assert alarms.raise_alarm(connection, AlarmKind.COPY_ELSEWHERE, "other", host="n2", instance_uuid=UUID)
        assert alarms.raise_alarm(connection, AlarmKind.UNPROVEN_CLAIM, "host", host="n1")
        assert not alarms.raise_alarm(connection, AlarmKind.UNPROVEN_CLAIM, "host", host="n1")
    assert listed(db, host="n1") == [("unproven-claim", "n1", "host"), ("copy-elsewhere", "n1", "two")]
    with db.read() as connection:
        assert alarms.open_by_kind(connection) == {"copy-elsewhere": 2, "unproven-claim": 1}
        row = alarms.listed(connection, host="n1", instance_uuid=UUID)[0]
        assert (row.changed_at or 0.0) > row.raised_at
    assert [name for name, _ in lines(db)] == ["alarm"] * 3  # changed words are no new alarm


def test_a_cleared_alarm_is_kept_and_may_be_raised_again(db: Database) -> None:
    with db.write() as connection:
        alarms.raise_alarm(connection, AlarmKind.DOMAIN_GONE, "gone", host="n1", instance_uuid=UUID)
        alarms.raise_alarm(connection, AlarmKind.DOMAIN_GONE, "gone", host="n1")
    with db.write() as connection:
        assert alarms.clear_alarm(connection, AlarmKind.DOMAIN_GONE, host="n1", instance_uuid=UUID)
        assert not alarms.clear_alarm(connection, AlarmKind.DOMAIN_GONE, host="n1", instance_uuid=UUID)
    assert listed(db) == [("domain-gone", "n1", "gone")]
    assert len(listed(db, cleared=True)) == 2
    assert lines(db)[-1] == ("alarm-cleared", "no longer: gone")
    with db.write() as connection:
        assert alarms.raise_alarm(connection, AlarmKind.DOMAIN_GONE, "gone", host="n1", instance_uuid=UUID)
    assert len(listed(db)) == 2


def test_all_alarms_about_a_host_are_cleared_together(db: Database) -> None:
    with db.write() as connection:
        for host in ("n1", "n2"):
            alarms.raise_alarm(connection, AlarmKind.COPY_ELSEWHERE, "x", host=host, instance_uuid=UUID)
            alarms.raise_alarm(connection, AlarmKind.NO_RECORD, "y", host=host)
        assert alarms.clear_alarms(connection, list(AlarmKind), host="n1") == 2
    assert {host for _, host, _ in listed(db)} == {"n2"}


@pytest.mark.parametrize("kind", AlarmKind)
def test_every_kind_says_what_to_do(kind: AlarmKind) -> None:
    assert kind in ADVICE
    assert "{" not in advice(kind, "n1", UUID)


def test_a_kind_of_a_newer_release_has_no_advice() -> None:
    assert advice("not-known-yet", "n1", None) == ""


def applied(db: Database, operation_id: int, plan: Plan) -> None:
    with db.write() as connection:
        apply(connection, loader.snapshot(connection, operation_id, ServerSettings()), plan)


@pytest.mark.parametrize(
    "over", [Plan(wait_reason="n1: something else"), Plan(wait_reason=""), Plan(final_status="completed")]
)
def test_the_alarm_that_an_operation_waits_with_is_open_just_as_long(db: Database, over: Plan) -> None:
    (uuid,) = databases.add_instances(db, 1)
    registering.register(db, "one", 1, databases.report())
    with db.write() as connection:
        instances.change(connection, uuid, {"host": "one", "vm_state": "active", "task_state": None})
    key = requests.stop(db, requests.Caller("admin", "admin", "req"), uuid)
    applied(db, key, Plan(wait_reason="one: not yet"))
    assert listed(db) == []
    for _ in range(2):
        text = "SPLIT: the instance runs on both hosts"
        applied(db, key, Plan(wait_reason=text, timeline=(Timeline(EventType.ALARM, text),)))
        assert listed(db, instance_uuid=uuid) == [("split", "", text)]
    applied(db, key, over)
    assert listed(db) == []
    assert lines(db).count(("alarm", "SPLIT: the instance runs on both hosts")) == 2  # the operation's own lines
    assert ("alarm-cleared", "no longer: SPLIT: the instance runs on both hosts") in lines(db)


@pytest.mark.parametrize(
    "over", [Plan(phase="commit"), Plan(forward=False, bump_epoch=True), Plan(final_status="error")]
)
def test_a_phase_that_lasts_too_long_is_an_alarm_until_it_is_left(db: Database, over: Plan) -> None:
    (uuid,) = databases.add_instances(db, 1)
    registering.register(db, "one", 1, databases.report())
    with db.write() as connection:
        instances.change(connection, uuid, {"host": "one", "vm_state": "active", "task_state": None})
    key = requests.stop(db, requests.Caller("admin", "admin", "req"), uuid)
    reconciler = Reconciler(db, ServerSettings(), wake=lambda _: None)
    reconciler.reconcile(key)
    assert listed(db) == []
    with db.write() as connection:
        connection.execute(operations.update().where(operations.c.id == key).values(phase_since=0.0))
    for _ in range(2):
        reconciler.sweep()
        ((kind, _, text),) = listed(db, instance_uuid=uuid)
        assert (kind, text[:35]) == ("operation-overdue", "OVERDUE: stop is in phase 'stop' fo")
    assert [name for name, message in lines(db) if message == text] == ["alarm"]
    with db.read() as connection:
        row = timed(loader.snapshot(connection, key, ServerSettings()), STOP, over)
    applied(db, key, row)
    assert listed(db) == []
