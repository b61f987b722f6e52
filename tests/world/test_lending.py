"""A live migration's config drive: the guest goes on with the very one that it was booted with."""

from typing import Any

import pytest
from sqlalchemy import select

from migrator.compute.simulated.state import GIB, Behaviour
from migrator.db.tables import events, operations, progress
from migrator.scheduler.requests import requests
from tests.world.clients import built
from tests.world.conftest import MakeWorld
from tests.world.faults import Fault
from tests.world.rules import broken
from tests.world.scenarios import config_drives
from tests.world.test_boundaries import STRIDE, attempt
from tests.world.world import CALLER, World


def row(world: World) -> Any:
    with world.db.read() as connection:
        return connection.execute(select(operations).where(operations.c.kind == "live-migration")).one()


def phases(world: World) -> list[str]:
    query = select(events.c.message).where(events.c.operation_id == row(world).id, events.c.name == "phase")
    with world.db.read() as connection:
        return [line.message.partition(":")[0] for line in connection.execute(query.order_by(events.c.id))]


def move(world: World, uuid: str) -> None:
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None))


@pytest.mark.parametrize(("pool", "copied"), [("local", True), ("shared", False)])
def test_the_drive_moves_with_the_guest_and_is_copied_only_where_it_must_be(
    make_world: MakeWorld, pool: str, copied: bool
) -> None:
    world = make_world()
    uuid = built(world, pool)
    drives = config_drives(world, uuid)
    assert len(drives) == 1
    move(world, uuid)
    world.settle()
    assert broken(world) == []
    assert world.simulation.running_on(uuid) == ["n2"]
    assert config_drives(world, uuid) == drives
    assert ("lend" in phases(world)) is ("fetch" in phases(world)) is copied
    disk_bytes = row(world).outcome.get("disk_total_bytes", 0)
    assert disk_bytes == (GIB if copied else 0)  # the guest's own disk alone is the transfer's


def test_the_copy_of_the_drive_is_no_progress_of_the_transfer(make_world: MakeWorld) -> None:
    """Its few bytes left would be a low that the transfer never reaches again: it would count as stalled."""
    world = make_world()
    uuid = built(world, "local")
    for host in world.simulation.hosts.values():
        host.bandwidth_bytes_per_s = 100_000
    move(world, uuid)
    world.run(lambda: row(world).phase == "transfer" or not row(world).active)
    assert row(world).phase == "transfer"
    with world.db.read() as connection:
        remaining = [line.remaining_bytes for line in connection.execute(select(progress))]
    assert all(left > GIB // 100 for left in remaining), remaining


def boundaries(make_world: MakeWorld) -> list[tuple[int, Fault]]:
    """Those that a move passes while the drive is lent and fetched, each with every fault that it can meet."""
    world = make_world()
    uuid = built(world, "local")
    world.faults.armed = True
    move(world, uuid)
    world.run(lambda: row(world).phase == "lend")
    first = len(world.faults.passed)
    world.run(lambda: row(world).phase not in ("lend", "fetch"))
    passed = list(enumerate(world.faults.passed))[first - 1 :]
    return [(number, fault) for number, boundary in passed for fault in boundary.faults]


@pytest.mark.timeout(1800)
def test_the_drive_is_the_same_after_any_fault_while_it_is_copied(make_world: MakeWorld) -> None:
    stride = max(1, STRIDE // 5)
    cases = boundaries(make_world)[::stride]
    assert len(cases) > 5
    found = {f"{n}:{fault}": attempt("live-block", make_world, {n: fault}) for n, fault in cases}
    assert {case: message for case, message in found.items() if message} == {}


def test_a_copy_that_is_damaged_on_its_way_is_not_used(make_world: MakeWorld) -> None:
    world = make_world()
    uuid = built(world, "local")
    drives = config_drives(world, uuid)
    world.simulation.behaviours[uuid] = Behaviour()
    move(world, uuid)
    world.run(lambda: row(world).phase == "fetch" and any(f.token for f in files_on(world, uuid, "local-n2")))
    for file in files_on(world, uuid, "local-n2"):
        file.damage = "-damaged"
    world.settle()
    assert broken(world) == []
    assert row(world).error["code"] == "checksum_mismatch"
    assert world.simulation.running_on(uuid) == ["n1"]
    assert config_drives(world, uuid) == drives
    assert files_on(world, uuid, "local-n2") == []


def files_on(world: World, uuid: str, storage: str) -> list[Any]:
    return [file for (owner, _), file in world.simulation.storages[storage].disks.items() if owner == uuid]
