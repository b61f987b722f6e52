"""A host's list, held against the records: whose word counts, which stamps are newer, and what is written down."""

from typing import Any

import pytest
from sqlalchemy import select

from migrator.alarms import AlarmKind
from migrator.db import alarms, host_domains, keys
from migrator.db.engine import Database
from migrator.db.tables import instances, operations
from migrator.protocol import DomainEntry, DomainState
from migrator.scheduler.hosts import audit
from migrator.scheduler.state import stamps
from migrator.settings import ServerSettings
from tests.api import seed

UNKNOWN = "11111111-2222-3333-4444-555555555555"  # an operation that this database has no record of


@pytest.fixture
def uuid(db: Database) -> str:
    for host in ("compute1", "compute2"):
        seed.host(db, host)
    return seed.instance(db, "a", host="compute1")


def moved(db: Database, uuid: str) -> str:
    """An operation that moved the instance from compute2 to compute1, at its third epoch, and has ended."""
    key = seed.migration(db, uuid, source="compute2", destination="compute1", epoch=3)
    with db.read() as connection:
        return str(connection.execute(select(operations.c.uuid).where(operations.c.id == key)).scalar_one())


def stamped(db: Database, uuid: str, operation: str, epoch: int, host: str = "compute1") -> DomainEntry:
    with db.read() as connection:
        seal = stamps.sign(keys.stamp_key(connection), uuid, operation, epoch, host)
    return DomainEntry(uuid=uuid, state=DomainState.RUNNING, stamp_operation=operation, stamp_epoch=epoch, seal=seal)


def raised(db: Database, host: str, *told: DomainEntry) -> list[str]:
    with db.write() as connection:
        audit.audit(connection, host, told, ServerSettings())
        return sorted(row.kind for row in alarms.listed(connection, host=host))


def recorded(db: Database, uuid: str) -> Any:
    with db.read() as connection:
        query = select(instances.c.vm_state, instances.c.power_state).where(instances.c.uuid == uuid)
        return tuple(connection.execute(query).one())


def test_a_host_that_never_had_the_instance_merely_claims_it(db: Database, uuid: str) -> None:
    assert raised(db, "compute2", DomainEntry(uuid=uuid, state=DomainState.RUNNING)) == [AlarmKind.UNPROVEN_CLAIM]
    with db.read() as connection:
        assert host_domains.live_elsewhere(connection, uuid, "compute1") == []


def test_a_host_that_an_operation_had_to_do_with_is_believed_without_a_seal(db: Database, uuid: str) -> None:
    moved(db, uuid)
    assert raised(db, "compute2", DomainEntry(uuid=uuid, state=DomainState.RUNNING)) == [AlarmKind.COPY_ELSEWHERE]
    with db.read() as connection:
        assert host_domains.live_elsewhere(connection, uuid, "compute1") == [("compute2", "running")]


@pytest.mark.parametrize(("epoch", "newer"), [(2, False), (3, False), (4, True)])
def test_a_stamp_of_a_later_epoch_than_the_record_knows_is_newer(
    db: Database, uuid: str, epoch: int, newer: bool
) -> None:
    found = raised(db, "compute1", stamped(db, uuid, moved(db, uuid), epoch))
    assert found == ([AlarmKind.COPY_NEWER] if newer else [])


@pytest.mark.parametrize(("epoch", "newer"), [(2, False), (3, True)])
def test_a_stamp_of_the_same_epoch_for_a_host_that_it_had_nothing_to_do_with_is_an_alarm(
    db: Database, uuid: str, epoch: int, newer: bool
) -> None:
    """After a restore the operation came to its third epoch a second time, and chose another host: which way is
    newer is unknown. Of an epoch that is over, the record does not tell which host it had chosen."""
    seed.host(db, "compute3")
    stopped = stamped(db, uuid, moved(db, uuid), epoch, "compute3").model_copy(update={"state": DomainState.SHUT_OFF})
    assert raised(db, "compute3", stopped) == ([AlarmKind.COPY_NEWER] if newer else [])


def test_a_stamp_of_an_operation_that_the_database_does_not_know_is_newer(db: Database, uuid: str) -> None:
    assert raised(db, "compute1", stamped(db, uuid, UNKNOWN, 1)) == [AlarmKind.COPY_NEWER]


def test_a_guest_that_stopped_by_itself_is_recorded_as_stopped(db: Database, uuid: str) -> None:
    assert raised(db, "compute1", DomainEntry(uuid=uuid, state=DomainState.SHUT_OFF)) == []
    assert recorded(db, uuid) == ("stopped", 4)


def test_the_record_stays_as_it_is_while_a_newer_stamp_puts_it_in_doubt(db: Database, uuid: str) -> None:
    stopped = stamped(db, uuid, UNKNOWN, 1).model_copy(update={"state": DomainState.SHUT_OFF})
    assert raised(db, "compute1", stopped) == [AlarmKind.COPY_NEWER]
    assert recorded(db, uuid) == ("active", 1)


def test_of_what_a_host_merely_claims_a_few_are_written_down_and_all_are_counted(db: Database, uuid: str) -> None:
    """10,000 copies in each poll, others every time, kept the one writer of SQLite busy for seconds."""
    held = DomainEntry(uuid=uuid, state=DomainState.RUNNING)
    seen: list[set[str]] = []
    for first in (0, 100, 50):
        claimed = [
            DomainEntry(uuid=f"{n:08}-0000-4000-8000-000000000000", state="running") for n in range(first, first + 100)
        ]
        assert raised(db, "compute1", held, *claimed) == [AlarmKind.UNPROVEN_CLAIM]
        with db.read() as connection:
            seen.append(set(host_domains.of_host(connection, "compute1")))
            (alarm,) = alarms.listed(connection, host="compute1")
        assert uuid in seen[-1]
        assert len(seen[-1]) == 21
        assert (alarm.details or {})["number"] == 100
        assert "and 80 more" in alarm.message
    assert raised(db, "compute1", held, *claimed, claimed[0]) == [AlarmKind.UNPROVEN_CLAIM]
    with db.read() as connection:
        assert set(host_domains.of_host(connection, "compute1")) == seen[-1]  # those that are there already stay
