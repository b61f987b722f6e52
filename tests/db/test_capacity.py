"""Capacity is one rule: what a claim is refused for is what the scheduler and the preflight say, on both databases."""

from typing import Any

import pytest
from sqlalchemy import select

from migrator.db import claims
from migrator.db import hosts as host_rows
from migrator.db.engine import Database
from migrator.db.tables import hosts
from migrator.protocol import InstanceSpec
from migrator.scheduler.checks.filters import failed
from migrator.scheduler.checks.finding import PlacementRequest
from migrator.scheduler.state import host_views
from tests import registering
from tests.bench import databases

HOST, DOWN_AFTER = "one", 60.0
ROOM_MB = 65536 - 512  # of databases.report()
ROOM_GB = 2000


def register(db: Database, **more: Any) -> None:
    registering.register(db, HOST, 1, databases.report().model_copy(update=more))


def left(db: Database) -> tuple[float, float]:
    with db.read() as connection:
        memory_mb, disk_gb = connection.execute(select(hosts.c.free_memory_mb, hosts.c.free_disk_gb)).one()
        return memory_mb, disk_gb


def takes(db: Database, uuid: str, memory_mb: int, disk_gb: int) -> list[bool]:
    """What the preflight, the scheduler's list and the claim say."""
    spec = InstanceSpec(uuid=uuid, name="i", vcpus=1, memory_mb=memory_mb)
    need = PlacementRequest(instance=spec, vcpus=1, memory_mb=memory_mb, disk_gb=disk_gb)
    with db.write() as connection:
        candidates = host_views.candidates(host_rows.every(connection), DOWN_AFTER)
        refused = {code for code, _ in failed(candidates[0], need)}
        listed = host_rows.placeable(connection, 1, memory_mb, disk_gb, DOWN_AFTER, 10)
        claimed = claims.take(connection, HOST, uuid, None, 1, memory_mb, disk_gb)  # type: ignore[arg-type]
        if claimed:
            claims.release(connection, HOST, uuid)
    return [not refused, bool(listed), claimed]


@pytest.mark.parametrize(
    ("told", "memory_mb", "disk_gb"),
    [
        ({}, ROOM_MB, ROOM_GB),
        ({"foreign_memory_mb": 60_000}, ROOM_MB - 60_000, ROOM_GB),
        ({"foreign_memory_mb": 60_000, "ram_allocation_ratio": 2.0}, 2 * ROOM_MB - 60_000, ROOM_GB),
        ({"kept_disks_gb": 1500}, ROOM_MB, ROOM_GB - 1500),
    ],
)
def test_claim_scheduler_and_preflight_agree_to_the_last_mebibyte(
    db: Database, told: dict[str, Any], memory_mb: int, disk_gb: int
) -> None:
    uuid = databases.add_instances(db, 1)[0]
    register(db, **told)
    assert left(db) == (memory_mb, disk_gb)
    assert takes(db, uuid, memory_mb, disk_gb) == [True] * 3
    assert takes(db, uuid, memory_mb + 1, disk_gb) == [False] * 3
    assert takes(db, uuid, memory_mb, disk_gb + 1) == [False] * 3


def test_a_claim_does_not_grow_into_what_other_domains_use(db: Database) -> None:
    uuid = databases.add_instances(db, 1)[0]
    register(db, foreign_memory_mb=60_000)
    with db.write() as connection:
        claims.own(connection, HOST, uuid, 1, 1000, 1)
        assert not claims.resize(connection, HOST, uuid, None, 1, ROOM_MB - 60_000 + 1, 1)  # type: ignore[arg-type]
        assert claims.resize(connection, HOST, uuid, None, 1, ROOM_MB - 60_000, 1)  # type: ignore[arg-type]


def test_other_domains_come_and_go_and_claims_stay(db: Database) -> None:
    uuid, other = databases.add_instances(db, 2)
    register(db)
    with db.write() as connection:
        claims.own(connection, HOST, uuid, 1, 1000, 1)
    for foreign_mb in (500, 60_000, 0):
        register(db, foreign_memory_mb=foreign_mb)
        assert left(db)[0] == ROOM_MB - 1000 - foreign_mb
    register(db, foreign_memory_mb=ROOM_MB)  # more than there is: nothing is placed, and nothing is taken away
    assert left(db)[0] == -1000
    assert takes(db, other, 1, 0) == [False] * 3
