"""How often guests failed lately, and which failure an answer is given to; on both databases."""

from typing import Any

from sqlalchemy import select, update

from migrator.db import guest_failures, host_domains
from migrator.db.engine import Database
from migrator.db.host_domains import HeldCopy
from migrator.db.tables import alarms, events, operations
from migrator.db.tables import guest_failures as rows
from migrator.protocol import DomainEntry, DomainState, Poll
from migrator.scheduler import agents
from migrator.scheduler.fleet import guest_restarts
from migrator.settings import ServerSettings
from tests.api import seed

SETTINGS = ServerSettings(ha_policy="restart", ha_attempts=2)


def note(db: Database, uuid: str) -> Any:
    with db.write() as connection:
        guest_failures.note(connection, [uuid])
        (row,) = guest_failures.every(connection)
        return row


def earlier(db: Database, seconds: float) -> None:
    with db.write() as connection:
        connection.execute(update(rows).values(failed_at=rows.c.failed_at - seconds))


def every(db: Database, column: Any) -> list[Any]:
    with db.read() as connection:
        return list(connection.execute(select(column)).scalars())


def test_failures_are_counted_while_they_follow_each_other(db: Database) -> None:
    assert note(db, "u").failures == 1
    assert note(db, "u").failures == 2
    earlier(db, guest_failures.WINDOW_S)
    assert note(db, "u").failures == 1


def test_one_answer_is_given_to_each_failure(db: Database) -> None:
    first = note(db, "u")
    with db.write() as connection:
        assert guest_failures.answer(connection, first)
        assert not guest_failures.answer(connection, first)
    earlier(db, 1.0)
    second = note(db, "u")
    with db.write() as connection:
        assert not guest_failures.answer(connection, first), "it failed again"
        guest_failures.forget(connection, first)
        assert guest_failures.answer(connection, second)


def test_a_guest_that_is_told_to_have_failed_is_started_and_one_that_only_stopped_is_not(db: Database) -> None:
    seed.host(db, "compute1", incarnation=1)
    failed, stopped = (seed.instance(db, name, host="compute1") for name in "ab")
    copies = (
        DomainEntry(uuid=failed, state=DomainState.SHUT_OFF, failed=True),
        DomainEntry(uuid=stopped, state=DomainState.SHUT_OFF),
    )
    agents.heartbeat(db, "compute1", Poll(incarnation=1, number=1, copies=copies), SETTINGS)
    begun = guest_restarts.check(db, SETTINGS)
    assert (len(begun), every(db, operations.c.instance_uuid)) == (1, [failed])
    assert guest_restarts.check(db, SETTINGS) == []
    assert any("started again (attempt 1 of 2)" in line for line in every(db, events.c.message))


def test_a_guest_that_runs_elsewhere_is_not_started(db: Database) -> None:
    for number in (1, 2):
        seed.host(db, f"compute{number}", incarnation=1)
    uuid = seed.instance(db, "a", host="compute1", vm_state="stopped", power_state=4)
    note(db, uuid)
    with db.write() as connection:
        host_domains.replace(connection, "compute2", [HeldCopy(uuid, "running")])
    assert (guest_restarts.check(db, SETTINGS), every(db, operations.c.id)) == ([], [])
    assert any("the guest failed, and is not started again" in line for line in every(db, events.c.message))


def test_what_is_deleted_is_forgotten(db: Database) -> None:
    note(db, seed.NOBODY)
    assert guest_restarts.check(db, SETTINGS) == []
    assert (every(db, rows.c.instance_uuid), every(db, alarms.c.kind)) == ([], [])
