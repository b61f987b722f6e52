"""A poll that was held up at one of two servers comes after a newer one: it says that its host was heard, no more."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db import host_domains, machines, poll_groups, server_heartbeat
from migrator.db import hosts as host_rows
from migrator.db.engine import Database
from migrator.db.tables import hosts
from migrator.protocol import DomainEntry, DomainState, Poll
from migrator.scheduler import agents
from migrator.scheduler.hosts import routine_polls
from migrator.settings import ServerSettings
from tests.api import seed

MACHINE = "00000000-0000-4000-8000-000000000001"
Take = Callable[[Database, Poll], Any]


def alone(db: Database, poll: Poll) -> None:
    agents.heartbeat(db, "compute1", poll, ServerSettings())


def in_a_group(db: Database, poll: Poll) -> None:
    """As the server does it: what is no routine is worked on alone."""
    if "compute1" not in routine_polls.take(db, {"compute1": poll}):
        alone(db, poll)


def polled(number: int, *working: str, incarnation: int = 3, copies: Any = ()) -> Poll:
    told = {"incarnation": incarnation, "number": number, "working": working, "machine": MACHINE}
    return Poll(**told, copies=copies)


@pytest.fixture
def guest(db: Database) -> str:
    """An instance on compute1."""
    with db.write() as connection:
        server_heartbeat.beat(connection)
    seed.host(db, "compute1", machine=MACHINE)
    return seed.instance(db, "a", host="compute1")


def known(db: Database) -> tuple[Any, float, float, float]:
    """What the agent works on; since when that is known, since the host listed its copies, and since it was heard."""
    with db.read() as connection:
        row = host_rows.get(connection, "compute1")
        now = server_heartbeat.clock(connection)
    return row.working, now - (row.working_at or 0.0), row.listed_s or 0.0, row.silent_s


def an_hour_passes(db: Database) -> None:
    with db.write() as connection:
        aged = {name: hosts.c[name] - 3600 for name in ("last_seen", "working_at", "listed_at")}
        connection.execute(update(hosts).values(aged))


@pytest.mark.parametrize("take", [alone, in_a_group])
@pytest.mark.parametrize(
    "late", [polled(5), polled(6), polled(9, incarnation=2)], ids=["older", "the same", "of the agent's last start"]
)
def test_a_poll_that_is_not_the_newest_leaves_what_the_newest_said(
    db: Database, guest: str, take: Take, late: Poll
) -> None:
    held = (DomainEntry(uuid=guest, state=DomainState.RUNNING),)
    take(db, polled(6, guest, copies=held))
    an_hour_passes(db)
    take(db, late)
    working, worked_s, listed_s, silent_s = known(db)
    assert (working, worked_s > 3500, listed_s > 3500, silent_s < 60) == ([guest], True, True, True)
    with db.read() as connection:
        assert host_domains.of_host(connection, "compute1").keys() == {guest}


@pytest.mark.parametrize("take", [alone, in_a_group])
@pytest.mark.parametrize(
    "newer", [polled(7), polled(1, incarnation=4), polled(0)], ids=["newer", "another start", "an earlier release's"]
)
def test_a_newer_poll_says_what_is_so_now(db: Database, guest: str, take: Take, newer: Poll) -> None:
    take(db, polled(6, guest))
    an_hour_passes(db)
    take(db, newer)
    working, *ages = known(db)
    assert (working, max(ages) < 60) == ([], True)


def test_routine_polls_are_worked_on_alone_where_another_was_heard_since_they_were_compared(
    db: Database, guest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(db, polled(6))
    alone(db, polled(7))  # its boot and work are known: the next is routine
    original = poll_groups.recorded

    def overtaken(connection: Any, *asked: Any) -> Any:
        found = original(connection, *asked)
        alone(db, polled(9, guest))
        return found

    monkeypatch.setattr(poll_groups, "recorded", overtaken)
    assert routine_polls.take(db, {"compute1": polled(8)}) == {}
    assert known(db)[0] == [guest]


def test_the_first_poll_of_another_machine_is_no_older_one(db: Database, guest: str) -> None:
    alone(db, polled(6, guest))
    with db.write() as connection:
        machines.replace(connection, "compute1", MACHINE, approved=True)
        row = connection.execute(select(hosts.c.poll_number, hosts.c.poll_incarnation, hosts.c.working)).one()
    assert tuple(row) == (0, 0, None)


@pytest.mark.parametrize("take", [alone, in_a_group])
def test_a_poll_of_an_agent_that_counts_from_a_clock_far_ahead_says_only_that_its_host_was_heard(
    db: Database, guest: str, take: Take
) -> None:
    held = (DomainEntry(uuid=guest, state=DomainState.RUNNING),)
    take(db, polled(6, guest, copies=held))
    an_hour_passes(db)
    ahead = int(time.time()) + 365 * 24 * 3600
    take(db, polled(1, incarnation=ahead))
    working, working_s, listed_s, silent_s = known(db)
    assert (working, working_s > 3500, listed_s > 3500, silent_s < 60) == ([guest], True, True, True)
    take(db, polled(1, guest, incarnation=4, copies=held))  # its clock was mended
    assert max(known(db)[1:]) < 60
