"""Live migrations that only real libvirt can show: moved, aborted, statistics, and a libvirtd that dies in one."""

import time

import pytest

from migrator.errors import DriverError
from migrator.protocol import (
    DomainState,
)
from tests.contract.libvirt_world import CONFIG, VDA, VDB, World
from tests.waiting import soon, wait_for

pytestmark = pytest.mark.lab


def test_a_guest_moves_with_its_local_disks(world: World) -> None:
    spec = world.spec(VDA, VDB, CONFIG)
    world.boot_to_ticks(spec)
    guest = world.source.describe_guest(spec)
    assert all(check.ok for check in world.source.check_source(spec))
    checks = world.destination.check_destination(spec, guest, None)
    assert [check.name for check in checks if not check.ok] == []
    inputs = world.prepare(spec)
    world.source.start_migration(spec, "op-move", 3, inputs)
    seen = set()

    def watch() -> bool:
        seen.add(world.states(spec))
        return world.ended(spec)

    wait_for(watch, 60)
    assert world.source.migration_error(spec.uuid) is None
    assert world.states(spec) == (DomainState.ABSENT, DomainState.RUNNING)
    assert (DomainState.RUNNING, DomainState.INCOMING) in seen
    assert (DomainState.RUNNING, DomainState.RUNNING) not in seen
    fact = world.destination.domain(spec.uuid)
    assert (fact.reason, fact.stamp_operation, fact.stamp_epoch) == ("migrated", "op-move", 3)
    job = world.destination.job(spec.uuid)
    assert job is not None
    assert not job.active
    assert job.downtime_ms is not None
    assert 0 < job.downtime_ms < 5000
    assert job.elapsed_ms >= job.downtime_ms
    ticks = world.ticks(spec)
    assert ticks == sorted(set(ticks))  # never backwards, never twice
    # What arrived survives a power cycle.
    world.destination.destroy(spec.uuid)
    world.destination.define_and_start(spec, "op-start", 4)
    assert world.destination.domain(spec.uuid).state is DomainState.RUNNING


def test_a_new_operation_does_not_inherit_statistics(world: World) -> None:
    spec = world.spec()
    world.boot_to_ticks(spec)
    world.source.start_migration(spec, "op-move", 3, world.prepare(spec))
    wait_for(lambda: world.ended(spec), 60)
    first = world.destination.job(spec.uuid)
    assert first is not None
    assert first.downtime_ms is not None
    assert world.destination.job(spec.uuid) == first  # asking does not use them up
    world.destination.stamp(spec.uuid, "op-move", 3)
    assert world.destination.job(spec.uuid) == first
    world.destination.stamp(spec.uuid, "op-back", 4)
    assert world.destination.job(spec.uuid) is None


def test_there_and_back_again(world: World) -> None:
    spec = world.spec(VDB)
    world.boot_to_ticks(spec)
    world.source.start_migration(spec, "op-there", 3, world.prepare(spec))
    wait_for(lambda: world.ended(spec), 60)
    assert world.states(spec) == (DomainState.ABSENT, DomainState.RUNNING)
    world.source.remove_files(spec, ["local"])
    back = World(world.hosts, to=0)
    back.source.start_migration(spec, "op-back", 5, back.prepare(spec))
    wait_for(lambda: back.ended(spec), 60)
    assert back.source.migration_error(spec.uuid) is None
    assert world.states(spec) == (DomainState.RUNNING, DomainState.ABSENT)
    assert world.source.domain(spec.uuid).stamp_operation == "op-back"
    assert world.source.migration_error(spec.uuid) is None


def test_an_aborted_transfer_leaves_the_guest_where_it_was(world: World) -> None:
    spec = world.spec(VDA)
    world.boot_to_ticks(spec)
    world.source.start_migration(spec, "op-move", 3, world.prepare(spec, bandwidth_mib_s=1))

    def transferring() -> bool:
        job = world.source.job(spec.uuid)
        return bool(job and job.active and job.memory_remaining_bytes)

    wait_for(transferring, 60)
    assert world.states(spec) == (DomainState.RUNNING, DomainState.INCOMING)
    assert [c.name for c in world.source.check_source(spec) if not c.ok] == ["job"]
    with pytest.raises(DriverError, match="under way"):
        world.source.start_migration(spec, "op-move", 3, world.prepare(spec))
    began = time.monotonic()
    world.source.abort_job(spec.uuid)
    world.source.abort_job(spec.uuid)
    assert soon(began, 5)
    wait_for(lambda: world.ended(spec), 20)
    assert "canceled by client" in (world.source.migration_error(spec.uuid) or "")
    wait_for(lambda: world.states(spec) == (DomainState.RUNNING, DomainState.ABSENT), 20)
    job = world.source.job(spec.uuid)
    assert job is None or not job.active


def test_the_sources_libvirtd_dies_in_the_middle(world: World) -> None:
    spec = world.spec()
    world.boot_to_ticks(spec)
    world.source.start_migration(spec, "op-move", 3, world.prepare(spec, bandwidth_mib_s=1))
    wait_for(lambda: world.states(spec) == (DomainState.RUNNING, DomainState.INCOMING), 30)
    host = world.hosts.both[0]
    host.kill_libvirtd()
    wait_for(lambda: world.ended(spec), 30)
    assert world.source.migration_error(spec.uuid)
    host.start_libvirtd()
    wait_for(lambda: world.states(spec) == (DomainState.RUNNING, DomainState.ABSENT), 60)
    assert world.source.domain(spec.uuid).stamp_epoch == 3


def test_the_destinations_libvirtd_dies_in_the_middle(world: World) -> None:
    spec = world.spec()
    world.boot_to_ticks(spec)
    world.source.start_migration(spec, "op-move", 3, world.prepare(spec, bandwidth_mib_s=1))
    wait_for(lambda: world.states(spec) == (DomainState.RUNNING, DomainState.INCOMING), 30)
    host = world.hosts.both[1]
    host.kill_libvirtd()
    wait_for(lambda: world.ended(spec), 60)
    assert world.source.migration_error(spec.uuid)
    host.start_libvirtd()
    wait_for(lambda: world.states(spec) == (DomainState.RUNNING, DomainState.ABSENT), 60)
