"""What hosts list of an instance, and which of it counts."""

from typing import Any

import pytest
from sqlalchemy import update

from migrator.db import host_domains, operations
from migrator.db import tables as t
from migrator.db.clock import now
from migrator.db.engine import Database
from migrator.db.host_domains import HeldCopy
from migrator.operations import Kind
from migrator.scheduler.requests import requests
from tests.bench import databases

CALLER = requests.Caller("admin", "admin", "req-test")


@pytest.fixture
def uuid(db: Database) -> str:
    """Of an instance on "one" whose record has not changed for a minute."""
    found = databases.add_instances(db, 1)[0]
    with db.write() as connection:
        before = now(connection) - 60
        connection.execute(t.instances.update().values(host="one", vm_state="active", updated_at=before))
    return found


def listed(db: Database, host: str, *held: HeldCopy) -> None:
    with db.write() as connection:
        host_domains.replace(connection, host, held)


def operation(
    db: Database,
    uuid: str,
    destination: str,
    ago_s: float | None,
    *,
    locks_instance: bool = True,
    kind: Kind = Kind.LIVE_MIGRATION,
) -> None:
    """One to ``destination`` that ended so long ago; None: it is active."""
    with db.write() as connection:
        key = requests.begin(connection, CALLER, kind, uuid, "one")
        over: dict[str, Any] = {"active": ago_s is None, "destination": destination, "locks_instance": locks_instance}
        over |= {"finished_at": now(connection) - ago_s} if ago_s is not None else {}
        connection.execute(update(t.operations).where(t.operations.c.id == key).values(**over))
        connection.execute(update(t.instances).values(task_state=None, updated_at=now(connection) - 60))


def test_a_hosts_list_replaces_its_last_one(db: Database) -> None:
    listed(db, "one", HeldCopy("a", "running"), HeldCopy("b", "running", "op", 1, "one"))
    listed(db, "two", HeldCopy("a", "paused"))
    listed(db, "one", HeldCopy("b", "running", "op", 2, "one"), HeldCopy("c", "saved", believed=False))
    with db.read() as connection:
        assert host_domains.of_host(connection, "one") == {
            "b": HeldCopy("b", "running", "op", 2, "one"),
            "c": HeldCopy("c", "saved", believed=False),
        }
        assert host_domains.of_host(connection, "two") == {"a": HeldCopy("a", "paused")}
        first = host_domains.of_instance(connection, "b")[0].seen_at
    listed(db, "one", HeldCopy("b", "running", "op", 2, "one"))
    with db.read() as connection:
        assert host_domains.of_instance(connection, "b")[0].seen_at > first
        assert host_domains.of_instance(connection, "c") == []


@pytest.mark.parametrize(
    ("held", "found"),
    [
        ({"state": "running"}, True),
        ({"state": "paused"}, True),
        ({"state": "incoming"}, True),
        ({"state": "shut_off"}, False),
        ({"state": "running", "believed": False}, False),
    ],
)
def test_a_live_copy_elsewhere_counts_if_its_host_is_believed(
    db: Database, uuid: str, held: dict[str, Any], found: bool
) -> None:
    listed(db, "two", HeldCopy(uuid, **held))
    with db.read() as connection:
        assert host_domains.live_elsewhere(connection, uuid, "one") == ([("two", held["state"])] if found else [])
        assert host_domains.live_elsewhere(connection, uuid, "two") == []


@pytest.mark.parametrize(("changed_s", "counts"), [(-60, True), (+5, True), (0.5, False)])
def test_a_list_older_than_the_record_says_nothing_unless_the_clock_was_set_back(
    db: Database, uuid: str, changed_s: float, counts: bool
) -> None:
    listed(db, "two", HeldCopy(uuid, "running"))
    with db.write() as connection:
        connection.execute(t.instances.update().values(updated_at=now(connection) + changed_s))
    with db.read() as connection:
        assert bool(host_domains.live_elsewhere(connection, uuid, "one")) is counts


@pytest.mark.parametrize(
    ("ago_s", "locks_instance", "counts"),
    [(60, True, True), (5, True, False), (-60, True, True), (None, False, False), (None, True, True)],
)
def test_what_is_left_of_a_deleted_instance(
    db: Database, uuid: str, ago_s: float | None, locks_instance: bool, counts: bool
) -> None:
    """Not where an operation ended a moment ago, for the list may be older, nor where one still has to clean up."""
    operation(db, uuid, "two", ago_s, locks_instance=locks_instance)
    listed(db, "two", HeldCopy(uuid, "shut_off"))
    listed(db, "three", HeldCopy(uuid, "running", believed=False))
    with db.read() as connection:
        assert host_domains.left(connection, uuid, "one") == ([("two", "shut_off")] if counts else [])
        assert host_domains.left(connection, uuid, "two") == []


@pytest.mark.parametrize(
    ("state", "kind", "within_s", "counts"),
    [
        ("running", "migration", 60, True),
        ("paused", "live-migration", 60, True),
        ("shut_off", "migration", 60, False),
        ("running", "evacuation", 60, False),  # which stops it
        ("running", "migration", 0, False),  # a word of long ago
    ],
)
def test_a_guest_that_runs_where_an_operation_only_cleans_up_is_left_of_a_deleted_instance(
    db: Database, uuid: str, state: str, kind: str, within_s: float, counts: bool
) -> None:
    operation(db, uuid, "two", None, locks_instance=False, kind=Kind(kind))
    listed(db, "two", HeldCopy(uuid, state))
    with db.read() as connection:
        assert host_domains.left(connection, uuid, "one", within_s) == ([("two", state)] if counts else [])


def test_hosts_that_ever_had_to_do_with_an_instance(db: Database, uuid: str) -> None:
    operation(db, uuid, "two", 60)
    with db.read() as connection:
        for host, known in (("one", {uuid}), ("two", {uuid}), ("three", set())):
            assert host_domains.involved(connection, host, [uuid, "another"]) == known
        assert operations.active_of(connection, uuid) == []
