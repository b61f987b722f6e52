"""Polls that bring no news are noted for many hosts together, and every other poll is left to be worked on alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.alarms import AlarmKind
from migrator.db import alarms, keys, poll_groups, server_heartbeat
from migrator.db.engine import Database
from migrator.db.tables import alarms as alarms_table
from migrator.db.tables import copies, events, hosts, instances
from migrator.protocol import DomainEntry, DomainState, Poll
from migrator.scheduler import agents
from migrator.scheduler.hosts import routine_polls
from migrator.scheduler.state import stamps
from migrator.settings import ServerSettings
from tests.api import seed
from tests.db.test_agents_cost import noted

BOOT = "11111111-1111-4111-8111-111111111111"
OTHER_BOOT = "22222222-2222-4222-8222-222222222222"
MACHINE = "00000000-0000-4000-8000-000000000001"
OPERATION = "33333333-3333-4333-8333-333333333333"
TIMED = ("last_seen", "working_at", "listed_at", "heard_since")


@pytest.fixture
def guest(db: Database) -> str:
    """An instance that runs on the host compute1, which polled before. Nothing was heard of it for an hour."""
    with db.write() as connection:
        server_heartbeat.beat(connection)
    seed.host(db, "compute1", machine=MACHINE)
    seed.host(db, "compute2")
    uuid = seed.instance(db, "a", host="compute1")
    agents.heartbeat(db, "compute1", poll(copy(uuid)), ServerSettings())
    change(db, hosts, last_seen=hosts.c.last_seen - 3600)
    change(db, copies, seen_at=copies.c.seen_at - 3600)
    return uuid


def poll(*held: DomainEntry, **more: Any) -> Poll:
    return Poll(**{"incarnation": 1, "machine": MACHINE, "boot": BOOT, "copies": held} | more)


def copy(uuid: str, state: DomainState = DomainState.RUNNING, **more: Any) -> DomainEntry:
    return DomainEntry(uuid=uuid, state=state, **more)


def change(db: Database, table: Any, **values: Any) -> None:
    """Each row of the table; of hosts, compute1's."""
    query = update(table) if table is not hosts else update(table).where(hosts.c.name == "compute1")
    with db.write() as connection:
        connection.execute(query.values(**values))


def rows(db: Database) -> Mapping[str, Sequence[Any]]:
    """What a poll might change, but for when its host was heard, and its copies seen."""
    timed = (*(hosts.c[name] for name in TIMED), copies.c.seen_at)
    with db.read() as connection:
        return {
            table.name: connection.execute(select(*(c for c in table.c if c not in timed)).order_by(*table.c[:2])).all()
            for table in (hosts, copies, instances, alarms_table, events)
        }


def silent_s(db: Database, host: str = "compute1") -> tuple[float, float]:
    """Since the host was heard, and since its copies were seen."""
    with db.read() as connection:
        heard = connection.execute(select(hosts.c.last_seen).where(hosts.c.name == host)).scalar_one()
        seen = connection.execute(select(copies.c.seen_at).where(copies.c.host == host)).scalar_one()
        now = server_heartbeat.clock(connection)
    return now - heard, now - seen


def sealed(db: Database, uuid: str) -> DomainEntry:
    with db.read() as connection:
        seal = stamps.sign(keys.stamp_key(connection), uuid, OPERATION, 1, "compute1")
    return copy(uuid, stamp_operation=OPERATION, stamp_epoch=1, seal=seal)


def test_a_poll_without_news_says_that_its_host_was_heard_and_its_copies_seen(db: Database, guest: str) -> None:
    before = rows(db)
    assert routine_polls.take(db, {"compute1": poll(copy(guest))}) == {"compute1": False}
    assert max(silent_s(db)) < 60
    assert rows(db) == before


def test_a_poll_that_tells_of_no_copies_says_only_that_its_host_was_heard(db: Database, guest: str) -> None:
    assert guest
    assert routine_polls.take(db, {"compute1": poll(copies=None, boot=OTHER_BOOT)}) == {"compute1": False}
    heard, seen = silent_s(db)
    assert (heard < 60, seen > 3000) == (True, True)


def test_a_copy_with_the_same_seal_as_before_is_no_news(db: Database, guest: str) -> None:
    held = sealed(db, guest)
    agents.heartbeat(db, "compute1", poll(held), ServerSettings())
    with db.write() as connection:
        alarms.clear_alarms(connection, list(AlarmKind), host="compute1")
    assert routine_polls.take(db, {"compute1": poll(held)}) == {"compute1": False}
    assert routine_polls.take(db, {"compute1": poll(held.model_copy(update={"seal": ""}))}) == {}


def test_the_first_boot_that_a_host_tells_of_is_noted(db: Database, guest: str) -> None:
    change(db, hosts, boot=None)
    assert routine_polls.take(db, {"compute1": poll(copy(guest))}) == {"compute1": False}
    with db.read() as connection:
        assert connection.execute(select(hosts.c.boot).where(hosts.c.name == "compute1")).scalar_one() == BOOT


def test_that_a_host_works_on_nothing_is_noted_when_it_is_told_for_the_first_time(db: Database, guest: str) -> None:
    assert routine_polls.take(db, {"compute1": poll(copy(guest), working=())}) == {"compute1": False}
    with db.read() as connection:
        row = connection.execute(select(hosts.c.working, hosts.c.working_at).where(hosts.c.name == "compute1")).one()
    assert row.working == []
    assert row.working_at is not None


def test_it_is_known_of_which_hosts_something_is_asked(db: Database, guest: str) -> None:
    assert seed.migration(db, guest, "running", phase="check", kind="live-migration")  # asks its destination
    polls = {"compute1": poll(copy(guest)), "compute2": poll(machine="")}
    assert routine_polls.take(db, polls) == {"compute1": False, "compute2": True}


STRANGER = "44444444-4444-4444-8444-444444444444"
Change = Callable[[Database, str], Any]
NEWS: Mapping[str, tuple[Change, Callable[[str], Poll]]] = {
    "another state": (lambda *_: None, lambda uuid: poll(copy(uuid, DomainState.PAUSED))),
    "a copy that was not there": (lambda *_: None, lambda uuid: poll(copy(uuid), copy(STRANGER))),
    "a copy less": (lambda *_: None, lambda _: poll()),
    "another stamp": (lambda *_: None, lambda uuid: poll(copy(uuid, stamp_operation=OPERATION, stamp_epoch=1))),
    "an operation that was served": (lambda *_: None, lambda uuid: poll(copy(uuid, served=7))),
    "an instance that the agent works on": (lambda *_: None, lambda uuid: poll(copy(uuid), working=(uuid,))),
    "no instance that it works on any more": (
        lambda db, uuid: change(db, hosts, working=[uuid]),
        lambda uuid: poll(copy(uuid), working=()),
    ),
    "another boot": (lambda *_: None, lambda uuid: poll(copy(uuid), boot=OTHER_BOOT)),
    "a reboot a moment ago": (
        lambda db, _: change(db, hosts, resume_until=hosts.c.last_seen + 9e3),
        lambda uuid: poll(copy(uuid)),
    ),
    "another machine": (lambda *_: None, lambda uuid: poll(copy(uuid), machine=MACHINE[:-1] + "2")),
    "no machine": (lambda *_: None, lambda uuid: poll(copy(uuid), machine="")),
    "a claim to forget": (
        lambda db, _: change(db, hosts, claimant={"machine": "x", "at": 1.0, "approved": False}),
        lambda uuid: poll(copy(uuid)),
    ),
    "a record that says stopped": (
        lambda db, _: change(db, instances, power_state=4, vm_state="stopped"),
        lambda uuid: poll(copy(uuid)),
    ),
    "a record on another host": (
        lambda db, _: change(db, instances, host="compute3"),
        lambda uuid: poll(copy(uuid)),
    ),
    "a record that is deleted": (lambda db, _: change(db, instances, deleted=True), lambda uuid: poll(copy(uuid))),
    "a record whose domain is not there": (
        lambda db, _: seed.instance(db, "b", host="compute1"),
        lambda uuid: poll(copy(uuid)),
    ),
    "a copy that is not believed": (lambda db, _: change(db, copies, believed=False), lambda uuid: poll(copy(uuid))),
}


@pytest.mark.parametrize("what", list(NEWS))
def test_a_poll_with_news_is_left_alone_and_nothing_of_it_is_noted(db: Database, guest: str, what: str) -> None:
    makes, told = NEWS[what]
    makes(db, guest)
    before = rows(db)
    assert routine_polls.take(db, {"compute1": told(guest), "compute2": poll(machine="")}) == {"compute2": False}
    assert min(silent_s(db)) > 3000
    assert before == {**rows(db), "hosts": before["hosts"]}  # compute2 tells of its first boot


@pytest.mark.parametrize("kind", list(AlarmKind))
def test_an_alarm_that_lists_of_copies_raise_and_end_keeps_polls_from_being_routine(
    db: Database, guest: str, kind: AlarmKind
) -> None:
    with db.write() as connection:
        alarms.raise_alarm(connection, kind, "something", host="compute1", instance_uuid=guest)
    before = rows(db)
    found = routine_polls.take(db, {"compute1": poll(copy(guest))})
    agents.heartbeat(db, "compute1", poll(copy(guest)), ServerSettings())
    assert found == {} or rows(db) == before


def test_a_host_that_is_not_known_is_left_alone(db: Database, guest: str) -> None:
    assert guest
    assert routine_polls.take(db, {"compute9": poll()}) == {}


def test_of_hosts_one_of_which_was_removed_at_this_moment_nothing_is_noted(
    db: Database, guest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.read() as connection:
        found = poll_groups.recorded(connection, ["compute1"], ())
    known = {"compute1": found["compute1"], "compute9": found["compute1"]}
    monkeypatch.setattr(poll_groups, "recorded", lambda *_: known)
    assert routine_polls.take(db, {"compute1": poll(copy(guest)), "compute9": poll(copies=None)}) == {}
    assert min(silent_s(db)) > 3000


@pytest.mark.parametrize("number", [1, 50])
def test_many_polls_without_news_take_as_many_statements_as_one(db: Database, guest: str, number: int) -> None:
    assert guest
    for each in range(number):
        seed.host(db, f"other{each}", boot=BOOT)
    polls = {f"other{each}": poll(machine="") for each in range(number)}
    with noted(db) as found:
        assert len(routine_polls.take(db, polls)) == number
    assert len(found.statements) <= 8, found.statements
    assert found.commits == 1
