"""Hosts that register at one moment: each has an answer of its own, and all of them take as many statements as one."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import update

from migrator.alarms import AlarmKind
from migrator.db import alarms, credentials, hosts, machines, polls, registrations, server_heartbeat
from migrator.db.engine import Database
from migrator.db.tables import agent_credentials
from migrator.db.tables import hosts as host_rows
from migrator.errors import (
    BadRequest,
    ConcurrentUpdate,
    DatabaseUnavailable,
    IncarnationSuperseded,
    NameTaken,
    ProtocolUnsupported,
    Unauthorized,
)
from migrator.protocol import HostReport, Registration, versions
from migrator.scheduler.hosts import registration
from tests.db.test_agents_cost import noted

ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
START, OTHER_START = "33333333-3333-4333-8333-333333333333", "44444444-4444-4444-8444-444444444444"
DOWN_AFTER = 60.0
AHEAD = 4_000_000_000  # an incarnation that only a wrong clock can have counted from
ODD = "n3"  # the host of which something is wrong
NAMES = ("n1", "n2", ODD, "n4")


def told(incarnation: int = 5, machine: str = ONE, **more: Any) -> Registration:
    report = {"vcpus": 8, "memory_mb": 16384, "address": "10.0.0.1", "live_migration_uri": "qemu+tcp://10.0.0.1/system"}
    return Registration(incarnation=incarnation, machine=machine, report=HostReport.model_validate(report | more))


def take(db: Database, **odd: Registration) -> registration.Refused:
    tokens = {name: f"token of {name}" for name in NAMES}
    return registration.take(db, dict.fromkeys(NAMES, told()) | odd, DOWN_AFTER, tokens=tokens)


def incarnations(db: Database) -> Mapping[str, int]:
    with db.read() as connection:
        return {row.name: row.incarnation for row in hosts.every(connection)}


@pytest.fixture
def known(db: Database) -> Database:
    """Four hosts, which registered before under another incarnation."""
    with db.write() as connection:
        server_heartbeat.beat(connection)
        rows = [
            {"host": name, "token_sha256": credentials.digest(f"token of {name}"), "created_at": 0.0} for name in NAMES
        ]
        connection.execute(agent_credentials.insert(), rows)
    before = dict.fromkeys(NAMES, told(3, start=START))
    assert registration.take(db, before, DOWN_AFTER) == {}
    return db


def withdrawn(db: Database) -> None:
    credentials.issue(db, ODD)


REFUSED: Mapping[str, tuple[Callable[[Database], Any], Registration, type[Exception]]] = {
    "a credential that was replaced": (withdrawn, told(), Unauthorized),
    "another machine": (lambda _: None, told(machine=TWO), NameTaken),
    "an older incarnation": (lambda _: None, told(2), IncarnationSuperseded),
    "another start of one incarnation": (lambda _: None, told(3, start=OTHER_START), IncarnationSuperseded),
    "an incarnation of the future": (lambda _: None, told(2**40), BadRequest),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_a_host_that_is_refused_keeps_no_other_from_being_registered(known: Database, what: str) -> None:
    makes, odd, error = REFUSED[what]
    makes(known)
    refused = take(known, **{ODD: odd})
    assert {host: type(found) for host, found in refused.items()} == {ODD: error}
    assert incarnations(known) == dict.fromkeys(NAMES, 5) | {ODD: 3}


def test_an_agent_whose_protocol_is_too_old_is_refused_alone(known: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "OLDEST_AGENT", 2)
    new = dict.fromkeys(NAMES, told(protocol=2))
    refused = registration.take(known, new | {ODD: told(protocol=1)}, DOWN_AFTER)
    assert {host: type(found) for host, found in refused.items()} == {ODD: ProtocolUnsupported}
    assert incarnations(known) == dict.fromkeys(NAMES, 5) | {ODD: 3}
    with known.read() as connection:
        assert [row.kind for row in alarms.listed(connection, host=ODD)] == [AlarmKind.HOST_SETUP]


def test_a_name_that_no_host_can_have_is_refused_alone(known: Database) -> None:
    refused = registration.take(known, {"n1": told(), "n\x00": told(), "n5": told()}, DOWN_AFTER)
    assert {host: type(found) for host, found in refused.items()} == {"n\x00": BadRequest}
    assert incarnations(known) == dict.fromkeys(NAMES, 3) | {"n1": 5, "n5": 5}


def test_one_start_registers_as_often_as_it_likes(known: Database) -> None:
    again = dict.fromkeys(NAMES, told(3, start=START)) | {"n1": told(3)}  # of n1 no start is told
    assert registration.take(known, again, DOWN_AFTER) == {}


def test_hosts_whose_descriptions_cannot_be_stored_together_are_registered_alone(
    known: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = registrations.register

    def register(connection: Any, all_told: Any, *rest: Any, **more: Any) -> None:
        if ODD in all_told:
            raise RuntimeError("a defect")
        real(connection, all_told, *rest, **more)

    monkeypatch.setattr(registrations, "register", register)
    refused = take(known)
    assert {host: type(found) for host, found in refused.items()} == {ODD: RuntimeError}
    assert incarnations(known) == dict.fromkeys(NAMES, 5) | {ODD: 3}


def test_a_database_that_is_away_is_said_once_for_all(known: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("the database cannot be used now")

    monkeypatch.setattr(registrations, "register", away)
    with pytest.raises(DatabaseUnavailable):
        take(known)


def test_a_machine_that_was_another_a_moment_ago_does_not_register_over_it(
    known: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines ask at once for a name that no host has yet: one of them is the host, and the other one is not."""
    monkeypatch.setattr(machines, "of_hosts", lambda *_: {})
    refused = take(known, **{ODD: told(machine=TWO)})
    assert {host: type(found) for host, found in refused.items()} == {ODD: ConcurrentUpdate}
    with known.read() as connection:
        row = hosts.get(connection, ODD)
    assert (row.machine, row.incarnation) == (ONE, 3)


def test_what_agents_say_is_wrong_is_an_alarm_about_each_until_it_is_said_no_more(known: Database) -> None:
    def raised() -> set[tuple[str, str]]:
        with known.read() as connection:
            return {(row.host, row.kind) for row in alarms.listed(connection)}

    take(known, n1=told(impaired="no room"), n2=told(warnings=("libvirt-guests is enabled",)), n4=told(lost="a line"))
    assert raised() == {("n1", "agent-impaired"), ("n2", "host-setup"), ("n4", "agent-lost")}
    take(known, n1=told(impaired="no room"))
    assert raised() == {("n1", "agent-impaired")}


def test_new_hosts_wait_for_an_approval_where_that_is_wanted_and_known_ones_do_not(known: Database) -> None:
    new = dict.fromkeys((*NAMES, "n5"), told())
    assert registration.take(known, new, DOWN_AFTER, approve_new=True) == {}
    with known.read() as connection:
        rows = connection.execute(host_rows.select()).all()
    assert {row.name: row.approved for row in rows} == dict.fromkeys(NAMES, True) | {"n5": False}


@pytest.mark.parametrize("prefix", ["new", "n"])
@pytest.mark.parametrize("number", [1, 50])
def test_many_hosts_take_as_many_statements_as_one(db: Database, prefix: str, number: int) -> None:
    many = {f"n{each}": told() for each in range(number)}
    tokens = {f"{prefix}{each}": credentials.issue(db, f"{prefix}{each}") for each in range(number)}
    assert registration.take(db, many, DOWN_AFTER) == {}
    with noted(db) as found:
        asked = {f"{prefix}{each}": told() for each in range(number)}
        assert registration.take(db, asked, DOWN_AFTER, tokens=tokens) == {}
    assert len(found.statements) <= 11, found.statements
    assert found.commits == 1


def polled_with(db: Database, incarnation: int, registered: int = 3) -> None:
    with db.write() as connection:
        values = {"poll_incarnation": incarnation, "poll_number": 7, "incarnation": registered}
        connection.execute(update(host_rows).where(host_rows.c.name == ODD).values(values))


def newest_poll(db: Database) -> int:
    with db.read() as connection:
        return polls.lock(connection, [ODD])[ODD][0]


def test_a_host_of_which_a_poll_of_a_clock_far_ahead_was_kept_is_heard_again_once_it_registers(known: Database) -> None:
    polled_with(known, AHEAD)
    assert take(known) == {}
    assert newest_poll(known) == 0


def test_an_agent_that_is_older_than_one_whose_polls_were_heard_is_refused(known: Database) -> None:
    """The database was restored: the later one registered after the backup, and goes on polling."""
    polled_with(known, 9)
    (refused,) = take(known).values()
    assert isinstance(refused, IncarnationSuperseded)
    assert refused.known == 9
    assert take(known, **{ODD: told(9)}) == {}
    assert newest_poll(known) == 9


def test_an_agent_comes_back_above_an_incarnation_that_was_taken_while_the_servers_clock_was_ahead(
    known: Database,
) -> None:
    polled_with(known, AHEAD, registered=AHEAD)
    (refused,) = take(known).values()
    assert isinstance(refused, IncarnationSuperseded)
    assert take(known, **{ODD: told(refused.known + 1)}) == {}
    (refused,) = take(known, **{ODD: told(refused.known + 3)}).values()
    assert isinstance(refused, BadRequest)
