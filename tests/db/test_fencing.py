"""The operator's word about a host, and whose turn it is to run the fence command; on both databases."""

import time
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db import fencing, hosts, tables
from migrator.db.engine import Database
from migrator.db.tables import events
from migrator.scheduler.state.fencing import evidence
from migrator.settings import ServerSettings
from tests.api import seed

STALE = 90.0


@pytest.fixture
def host(db: Database) -> str:
    seed.host(db, "n3", last_seen=1.0)
    return "n3"


def row(db: Database, name: str) -> Any:
    with db.read() as connection:
        return hosts.get(connection, name)


def force(db: Database, name: str, down: bool, by: str = "admin") -> bool:
    with db.write() as connection:
        return hosts.force_down(connection, name, down, by)


def begin(db: Database, name: str, by: str = "server-a", stale_s: float = STALE) -> fencing.Attempt | None:
    with db.write() as connection:
        assert hosts.lock(connection, [name])
        return fencing.begin(connection, name, by, stale_s)


def finish(db: Database, attempt: fencing.Attempt | None, ok: bool, message: str) -> None:
    assert attempt is not None
    with db.write() as connection:
        fencing.finish(connection, attempt, ok, message)


def test_forced_down_and_up(db: Database, host: str) -> None:
    assert force(db, host, True)
    said = row(db, host).fencing
    assert (said["kind"], said["by"]) == ("forced_down", "admin")
    assert said["words"].startswith("forced down by admin at 20")
    assert force(db, host, True, "monitor")
    assert row(db, host).fencing == said, "the first word stays"
    assert force(db, host, False)
    assert (row(db, host).forced_down, row(db, host).fencing) == (False, None)
    assert not force(db, "nowhere", True)
    with db.read() as connection:
        lines = connection.execute(select(events).order_by(events.c.id)).all()
    assert [(line.name, line.host) for line in lines] == [("forced-down", host), ("forced-up", host)]


def heard_later(db: Database, name: str, after_s: float) -> None:
    """After it was forced down, and silent since."""
    with db.write() as connection:
        said = hosts.get(connection, name).fencing
        assert said is not None
        connection.execute(update(tables.hosts).values(last_seen=said["clock"] + after_s))


def test_a_word_counts_no_more_once_the_host_is_heard_until_it_is_said_anew(db: Database, host: str) -> None:
    """Forced down by mistake, it went on for an hour; when its agent restarts, its guests run."""
    settings = ServerSettings()
    force(db, host, True)
    heard_later(db, host, hosts.UNDER_WAY_S - 1)
    assert evidence(row(db, host), settings) is not None
    heard_later(db, host, hosts.UNDER_WAY_S + 1)
    assert evidence(row(db, host), settings) is None
    with db.write() as connection:
        seen = hosts.get(connection, host).last_seen - 3600
        old = row(db, host).fencing | {"clock": seen - 60, "at": seen - 60}
        connection.execute(update(tables.hosts).values(last_seen=seen, fencing=old))
    assert evidence(row(db, host), settings) is None
    force(db, host, True, "monitor")
    found = evidence(row(db, host), settings)
    assert found is not None
    assert (found.kind, found.by, row(db, host).forced_down) == ("forced_down", "monitor", True)


def test_a_success_is_evidence_for_a_host_that_was_heard_after_it_was_forced_down(db: Database, host: str) -> None:
    force(db, host, True)
    with db.write() as connection:
        said = {"kind": "forced_down", "by": "admin", "at": 0.5, "clock": 0.5 - hosts.UNDER_WAY_S, "words": "x"}
        connection.execute(update(tables.hosts).values(fencing=said))
    finish(db, begin(db, host), True, "off")
    assert row(db, host).fencing["kind"] == "fence_command"


def test_one_run_at_a_time(db: Database, host: str) -> None:
    first = begin(db, host)
    assert first is not None
    assert begin(db, host, "server-b") is None
    assert begin(db, host) is None
    finish(db, first, False, "exit code 1")
    attempt = row(db, host).fence_attempt
    assert (attempt["ok"], attempt["words"], attempt["by"]) == (False, "exit code 1", "server-a")
    assert row(db, host).fencing is None
    second = begin(db, host, "server-b")
    finish(db, second, True, "off")
    found = row(db, host)
    assert found.fence_attempt["ok"] is True
    assert (found.fencing["kind"], found.fencing["by"], found.fencing["words"]) == ("fence_command", "server-b", "off")
    assert found.fencing["at"] >= attempt["at"]


def test_a_run_whose_server_is_gone_is_taken_over(db: Database, host: str) -> None:
    first = begin(db, host)
    second = begin(db, host, "server-b", stale_s=0.0)
    assert second is not None
    finish(db, first, False, "late")
    assert row(db, host).fence_attempt["ok"] is None, "the late failure is nobody's"
    finish(db, first, True, "late, but off")
    assert row(db, host).fencing["words"] == "late, but off"
    assert row(db, host).fence_attempt["by"] == "server-b"


def test_a_run_that_was_given_up_counts_for_nothing(db: Database, host: str) -> None:
    attempt = begin(db, host)
    assert attempt is not None
    with db.write() as connection:
        fencing.give_up(connection, attempt)
    assert row(db, host).fence_attempt is None
    assert begin(db, host) is not None


def test_a_success_does_not_replace_an_operators_word(db: Database, host: str) -> None:
    attempt = begin(db, host)
    force(db, host, True)
    finish(db, attempt, True, "off")
    assert row(db, host).fencing["kind"] == "forced_down"


def test_an_unknown_host_is_not_locked(db: Database) -> None:
    with db.write() as connection:
        assert not hosts.lock(connection, ["nowhere"])


def test_a_host_that_was_heard_while_the_command_ran_is_not_fenced_by_it(db: Database, host: str) -> None:
    """It may have been reset early in the run, be back, run a guest, and be cut off again."""
    attempt = begin(db, host)
    with db.write() as connection:
        hosts.seen(connection, host)
    finish(db, attempt, True, "was reset")
    time.sleep(0.05)
    settings = ServerSettings(service_down_time=0.01)
    assert evidence(row(db, host), settings) is None
    again = begin(db, host)
    finish(db, again, True, "off")
    found = evidence(row(db, host), settings)
    assert found is not None
    assert found.kind == "fence_command"
