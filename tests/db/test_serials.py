"""Serials: which numbers count for an operation that begins, and which the record is found to have lost."""

import pytest
from sqlalchemy import select, update

from migrator.alarms import AlarmKind
from migrator.db import alarms, host_domains, polls, serials
from migrator.db.clock import now
from migrator.db.engine import Database
from migrator.db.host_domains import HeldCopy
from migrator.db.tables import instances, operations
from migrator.operations import Kind
from migrator.scheduler.hosts import reconciliation
from migrator.scheduler.requests import requests
from migrator.settings import ServerSettings
from tests.api import seed

DAY = 86400 * 1_000_000
CALLER = requests.Caller("admin", "p", "req-1")


@pytest.fixture
def uuid(db: Database) -> str:
    for host in ("compute1", "compute2"):
        seed.host(db, host)
    return seed.instance(db, "a", host="compute1")


def moment(db: Database) -> int:
    with db.read() as connection:
        return round(now(connection) * 1_000_000)


def following(db: Database, uuid: str) -> int:
    with db.read() as connection:
        return serials.following(connection, uuid)


def tell(db: Database, uuid: str, served: int, host: str = "compute1", *, believed: bool = True) -> None:
    held = HeldCopy(uuid, "shut_off", believed=believed, served=served)
    with db.write() as connection:
        host_domains.replace(connection, host, [held])


def opened(db: Database) -> list[tuple[str, str]]:
    with db.read() as connection:
        return [(row.kind, row.host) for row in alarms.listed(connection)]


@pytest.mark.parametrize("believed", [True, False])
def test_the_serial_of_a_host_counts_only_if_it_is_believed_about_the_instance(
    db: Database, uuid: str, believed: bool
) -> None:
    lead = moment(db) + 30 * DAY
    tell(db, uuid, lead, "compute2", believed=believed)
    assert (following(db, uuid) == lead + 1) is believed


def test_the_records_own_serials_count_wherever_the_clock_is_set_to(db: Database, uuid: str) -> None:
    key, lead = seed.migration(db, uuid, source="compute2", destination="compute1"), moment(db) + 20 * 365 * DAY
    with db.write() as connection:
        connection.execute(update(operations).where(operations.c.id == key).values(serial=lead))
    assert following(db, uuid) == lead + 1


def test_a_serial_that_lies_too_far_ahead_is_not_kept(db: Database, uuid: str) -> None:
    with db.write() as connection:
        serials.told(connection, uuid, moment(db) + 20 * 365 * DAY)
        assert connection.execute(select(instances.c.served).where(instances.c.uuid == uuid)).scalar_one() == 0


def test_an_operation_that_begins_does_not_hide_the_one_that_the_record_has_lost(db: Database, uuid: str) -> None:
    lost = moment(db) - DAY
    tell(db, uuid, lost)
    requests.stop(db, CALLER, uuid)
    assert opened(db) == [(AlarmKind.COPY_NEWER, "compute1")]
    with db.read() as connection:
        assert serials.unknown(connection, {uuid: lost}) == {uuid}


def test_what_the_record_has_and_what_an_unbelieved_host_says_is_no_alarm(db: Database, uuid: str) -> None:
    key = requests.stop(db, CALLER, uuid)
    with db.write() as connection:
        serial = connection.execute(select(operations.c.serial).where(operations.c.id == key)).scalar_one()
        connection.execute(update(operations).where(operations.c.id == key).values(active=False))
        connection.execute(update(instances).where(instances.c.uuid == uuid).values(task_state=None))
    tell(db, uuid, serial)
    tell(db, uuid, serial + 1, "compute2", believed=False)
    with db.write() as connection:
        requests.begin(connection, CALLER, Kind.REBOOT, uuid, "compute1", params={"soft": False})
    assert opened(db) == []


def test_a_lost_serial_is_accepted_by_an_operators_word(db: Database, uuid: str) -> None:
    tell(db, uuid, lost := moment(db) - DAY)
    requests.stop(db, CALLER, uuid)
    with db.write() as connection:
        polls.polled(connection, "compute2", polls.PollTold(0, 0, [], listed=True))  # and has no copy of it
    reconciliation.take(db, CALLER, uuid, reconciliation.Word("compute1"), ServerSettings())
    assert opened(db) == []
    with db.read() as connection:
        assert serials.unknown(connection, {uuid: lost}) == frozenset()
