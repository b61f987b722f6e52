"""Which machine a host is, and who may take its place; on both databases."""

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.alarms import AlarmKind
from migrator.db import alarms, host_domains, hosts, server_heartbeat
from migrator.db.engine import Database
from migrator.db.tables import copies as copy_rows
from migrator.db.tables import hosts as host_rows
from migrator.errors import Conflict, HostNotFound, MachineNotApproved, NameTaken
from migrator.protocol import Facts, HostReport, Poll
from migrator.scheduler import agents
from migrator.scheduler.hosts.machines import NameClaim, approve, name_claim
from migrator.settings import ServerSettings
from tests import registering
from tests.api import seed

ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
DOWN_AFTER = 60.0
REPORT = HostReport(vcpus=1, memory_mb=1024, address="n1", live_migration_uri="qemu+tcp://n1/system")


def register(db: Database, machine: str, incarnation: int = 1) -> None:
    registering.register(db, "n1", incarnation, REPORT, machine, DOWN_AFTER)


def poll(db: Database, machine: str) -> None:
    agents.heartbeat(db, "n1", Poll(incarnation=1, machine=machine), ServerSettings(service_down_time=DOWN_AFTER))


def silent(db: Database) -> None:
    with db.write() as connection:
        gone = host_rows.c.last_seen - 2 * DOWN_AFTER
        connection.execute(update(host_rows).where(host_rows.c.name == "n1").values(last_seen=gone))


def row(db: Database) -> Any:
    with db.read() as connection:
        return hosts.get(connection, "n1")


def raised(db: Database) -> list[str]:
    with db.read() as connection:
        return [found.message for found in alarms.listed(connection, kinds=[AlarmKind.SECOND_MACHINE])]


@pytest.fixture
def host(db: Database) -> Database:
    register(db, ONE)
    return db


def test_the_same_machine_registers_and_polls_as_often_as_it_likes(host: Database) -> None:
    register(host, ONE, incarnation=2)
    poll(host, ONE)
    agents.accept_facts(host, "n1", Facts(machine=ONE, facts=()), DOWN_AFTER)
    assert row(host).machine == ONE
    assert raised(host) == []


@pytest.mark.parametrize("machine", [TWO, ""])
def test_another_machine_is_refused_while_the_first_is_heard_and_that_is_an_alarm(host: Database, machine: str) -> None:
    heard = row(host).last_seen
    with pytest.raises(NameTaken):
        register(host, machine, 9)
    with pytest.raises(NameTaken):
        poll(host, machine)
    with pytest.raises(NameTaken):
        agents.accept_facts(host, "n1", Facts(machine=machine, facts=()), DOWN_AFTER)
    found = row(host)
    assert (found.machine, found.incarnation, found.last_seen) == (ONE, 1, heard), "nothing that it says counts"
    assert len(raised(host)) == 1


def test_a_machine_that_never_registered_gets_nothing(host: Database) -> None:
    silent(host)
    with pytest.raises((NameTaken, HostNotFound, MachineNotApproved)):
        poll(host, TWO)
    assert row(host).silent_s > DOWN_AFTER


def test_a_host_of_the_release_before_belongs_to_the_first_machine_that_says_which_it_is(db: Database) -> None:
    register(db, "")
    poll(db, "")
    with pytest.raises(HostNotFound):
        poll(db, ONE)
    register(db, ONE)
    poll(db, ONE)
    with pytest.raises(NameTaken):
        poll(db, "")


def test_an_empty_host_is_taken_over_once_the_first_machine_is_silent(host: Database) -> None:
    with pytest.raises(NameTaken):
        register(host, TWO)
    silent(host)
    register(host, TWO)
    poll(host, TWO)
    assert row(host).machine == TWO
    assert raised(host) == []
    with pytest.raises(NameTaken):
        poll(host, ONE)


def test_what_is_recorded_of_a_silent_machine_keeps_its_name_until_an_operator_vouches(host: Database) -> None:
    uuid = seed.instance(host, "a", host="n1")
    silent(host)
    with pytest.raises(MachineNotApproved):
        register(host, TWO)
    with pytest.raises(Conflict, match=uuid):
        approve(host, "n1", None, DOWN_AFTER, abandon=False, by="admin")
    assert approve(host, "n1", None, DOWN_AFTER, abandon=True, by="admin").machine == TWO
    with pytest.raises(MachineNotApproved):
        register(host, "33333333-3333-4333-8333-333333333333")
    with pytest.raises(MachineNotApproved):
        register(host, TWO)  # the operator meant the machine that asked last, and another one has asked since
    approve(host, "n1", TWO, DOWN_AFTER, abandon=True, by="admin")
    register(host, TWO)
    assert row(host).machine == TWO


def test_nothing_that_the_old_machine_said_counts_for_the_new_one(host: Database) -> None:
    uuid = seed.instance(host, "a", host="n2")
    with host.write() as connection:
        host_domains.replace(connection, "n1", [host_domains.HeldCopy(uuid, "running")])
    silent(host)
    register(host, TWO)
    with host.read() as connection:
        assert connection.execute(select(copy_rows).where(copy_rows.c.host == "n1")).all() == []


def test_an_operators_word_is_refused_while_the_machine_is_heard_and_where_nobody_asked(host: Database) -> None:
    with pytest.raises(Conflict, match="No other machine"):
        approve(host, "n1", None, DOWN_AFTER, abandon=True, by="admin")
    with pytest.raises(Conflict, match="stop its agent"):
        approve(host, "n1", TWO, DOWN_AFTER, abandon=True, by="admin")
    with pytest.raises(HostNotFound):
        approve(host, "n9", TWO, DOWN_AFTER, abandon=True, by="admin")


def test_the_alarm_is_over_when_no_second_machine_asked_for_long(
    host: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NameTaken):
        register(host, TWO)
    poll(host, ONE)
    assert len(raised(host)) == 1
    monkeypatch.setattr("migrator.scheduler.hosts.machines.SHOWN_S", -1.0)
    poll(host, ONE)
    assert raised(host) == []


def _row(**more: Any) -> Any:
    known = {"machine": ONE, "silent_s": 0.0, "listening_s": 1e9, "claimant": None}
    return SimpleNamespace(**(known | more))


STANDINGS = [
    (None, TWO, True, NameClaim.FIRST),
    (_row(machine=None), TWO, False, NameClaim.FIRST),
    (_row(silent_s=1e9), ONE, False, NameClaim.SAME),
    (_row(), TWO, True, NameClaim.TAKEN),
    (_row(silent_s=1e9), TWO, True, NameClaim.REPLACES),
    (_row(silent_s=1e9), TWO, False, NameClaim.HELD),
    (_row(silent_s=1e9, listening_s=1.0), TWO, True, NameClaim.HELD),
    (_row(silent_s=1e9), "", True, NameClaim.HELD),
    (_row(silent_s=1e9, claimant={"machine": TWO, "approved": True}), TWO, False, NameClaim.REPLACES),
    (_row(silent_s=0.0, claimant={"machine": TWO, "approved": True}), TWO, False, NameClaim.TAKEN),
    (_row(silent_s=1e9, claimant={"machine": ONE, "approved": True}), TWO, False, NameClaim.HELD),
]


@pytest.mark.parametrize(("known", "machine", "empty", "expected"), STANDINGS)
def test_who_a_machine_is_to_a_host(known: Any, machine: str, empty: bool, expected: NameClaim) -> None:
    assert name_claim(known, machine, DOWN_AFTER, empty=empty) is expected


def test_a_host_is_silent_by_the_servers_clock(host: Database) -> None:
    with host.write() as connection:
        server_heartbeat.beat(connection)
    assert row(host).silent_s < DOWN_AFTER
