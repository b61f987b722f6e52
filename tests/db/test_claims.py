"""Claims: nothing is taken where nothing may be placed or where there is no room; on both databases."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import select

from migrator.db import claims, instances
from migrator.db.engine import Database
from migrator.db.tables import claims as claim_rows
from migrator.db.tables import hosts
from migrator.operations import Kind
from migrator.scheduler.requests import requests
from tests import registering
from tests.bench import databases

CALLER = requests.Caller("admin", "admin", "req-test")
HOST = "one"
SMALL = (1, 512, 1)  # vcpus, MiB, GB


@pytest.fixture
def instance(db: Database) -> tuple[str, int]:
    """An instance that is on the host without a claim, and an operation of it."""
    uuid = databases.add_instances(db, 1)[0]
    registering.register(db, HOST, 1, databases.report())
    with db.write() as connection:
        instances.change(connection, uuid, {"host": HOST, "vm_state": "active", "task_state": None})
        return uuid, requests.begin(connection, CALLER, Kind.STOP, uuid, HOST)


def free(db: Database) -> tuple[float, float, float]:
    columns = (hosts.c.free_vcpus, hosts.c.free_memory_mb, hosts.c.free_disk_gb)
    with db.read() as connection:
        vcpus, memory_mb, disk_gb = connection.execute(select(*columns).where(hosts.c.name == HOST)).one()
    return vcpus, memory_mb, disk_gb


def take(db: Database, instance: tuple[str, int], size: tuple[int, int, int] = SMALL) -> bool:
    with db.write() as connection:
        return claims.take(connection, HOST, *instance, *size)


@pytest.mark.parametrize("state", [{"disabled": True}, {"forced_down": True}])
def test_a_host_that_is_disabled_or_forced_down_gives_nothing(
    db: Database, instance: tuple[str, int], state: Mapping[str, Any]
) -> None:
    with db.write() as connection:
        connection.execute(hosts.update().where(hosts.c.name == HOST).values(**state))
    before = free(db)
    assert not take(db, instance)
    assert free(db) == before


@pytest.mark.parametrize("part", [0, 1, 2])
def test_what_a_host_does_not_have_free_it_does_not_give(db: Database, instance: tuple[str, int], part: int) -> None:
    before = free(db)
    size = tuple(int(before[part]) + 1 if number == part else amount for number, amount in enumerate(SMALL))
    assert not take(db, instance, (size[0], size[1], size[2]))
    assert free(db) == before


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_claim_grows_only_where_there_is_room(db: Database, instance: tuple[str, int], part: int) -> None:
    assert take(db, instance)
    before = free(db)
    size = [amount + (int(before[number]) + 1 if number == part else 0) for number, amount in enumerate(SMALL)]
    with db.write() as connection:
        assert not claims.resize(connection, HOST, *instance, *size)
        row = connection.execute(select(claim_rows)).one()
    assert (row.vcpus, row.memory_mb, row.disk_gb) == SMALL
    assert free(db) == before


def test_a_claim_that_grows_takes_the_difference_and_gives_it_back_once(
    db: Database, instance: tuple[str, int]
) -> None:
    untouched = free(db)
    assert take(db, instance)
    with db.write() as connection:
        assert claims.resize(connection, HOST, *instance, 2, 1024, 3)
    assert free(db) == (untouched[0] - 2, untouched[1] - 1024, untouched[2] - 3)
    for _ in range(2):
        with db.write() as connection:
            claims.release(connection, HOST, instance[0])
    assert free(db) == untouched


def owners(db: Database) -> list[int | None]:
    """The operation that each claim belongs to; None: it is the instance's own."""
    with db.read() as connection:
        return list(connection.execute(select(claim_rows.c.operation_id)).scalars())


def test_a_claim_is_the_instances_own_once_its_operation_is_over_and_not_when_another_is(
    db: Database, instance: tuple[str, int]
) -> None:
    assert take(db, instance)
    before = free(db)
    for operation, left in ((instance[1] + 1, [instance[1]]), (instance[1], [None])):
        with db.write() as connection:
            claims.hand_over(connection, operation)
        assert owners(db) == left
    assert free(db) == before


def test_an_instance_that_is_found_on_its_host_takes_its_room_once(db: Database, instance: tuple[str, int]) -> None:
    assert take(db, instance)
    before = free(db)
    for _ in range(2):
        with db.write() as connection:
            claims.own(connection, HOST, instance[0], *SMALL)
        assert free(db) == before
        assert owners(db) == [None]
