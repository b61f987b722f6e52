"""What leaves a host without running: disks and memory that travel by libvirt's streams, and what may go wrong."""

import re
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from migrator.errors import DriverError, HypervisorUnavailable, StorageError
from migrator.lab.layout import LOCAL
from migrator.protocol import MEMORY, DiskSpec, DomainState
from tests.contract.cold_trip import CONFIG, GIB, VDA, VDB, VDC, Trip, disk_files, failed, known
from tests.contract.libvirt_hosts import DISK, Hosts, agent_settings
from tests.contract.remote_driver import remote
from tests.waiting import soon, wait_for

pytestmark = pytest.mark.lab


@pytest.fixture
def trip(clean: Hosts) -> Iterator[Callable[..., Trip]]:
    trips = []

    def make(*disks: DiskSpec) -> Trip:
        trips.append(Trip(clean, clean.spec(*disks)))
        return trips[-1]

    yield make
    for made in trips:
        clean.source.withdraw(made.uuid)
        for driver in (clean.source, clean.destination):
            driver.stop_copy(made.uuid)
            driver.destroy(made.uuid)
            driver.undefine(made.uuid)
            driver.remove_files(made.spec, ["local", "shared"])


def test_disks_of_every_kind_arrive_as_they_were(trip: Callable[..., Trip]) -> None:
    moved = trip(VDA, VDB, VDC, CONFIG)
    moved.boot()
    moved.source.destroy(moved.uuid)
    moved.fill("vdb", 40)
    assert {c.name for c in moved.source.check_source(moved.spec, live=False) if not c.ok} == set()
    inputs = moved.inputs()
    assert inputs.guest.cpu_xml is None or "model" in inputs.guest.cpu_xml
    assert failed(moved.destination, moved.spec, inputs.guest) == {}
    moved.start()
    moved.start()  # again and again: one copy
    moved.finish()
    assert moved.agree(moved.targets)
    there, here = moved.source.disks(moved.spec), moved.destination.disks(moved.spec)
    assert [(d.format, d.virtual_bytes, d.backing_image_id, d.readonly) for d in here] == [
        (d.format, d.virtual_bytes, d.backing_image_id, d.readonly) for d in there
    ]
    assert here[0].backing_image_id == DISK
    assert here[3].readonly
    for target in moved.targets:
        one, other = moved.inside(0, target).stat(), moved.inside(1, target).stat()
        assert other.st_blocks <= one.st_blocks + 256, f"{target} lost its holes"
    assert disk_files(moved.home(1)) == disk_files(moved.home(0))
    job = moved.destination.copy_job(moved.uuid)
    assert job is not None
    assert job.disk_total_bytes == job.disk_processed_bytes >= 40 << 20
    moved.source.withdraw(moved.uuid)
    moved.source.withdraw(moved.uuid)
    assert "leftover" in failed(moved.destination, moved.spec, inputs.guest)
    seen = len(moved.ticks())
    moved.destination.define_and_start(moved.spec, "op-move", 2, inputs.guest.machine)
    wait_for(lambda: len(moved.ticks()) > seen + 3, 40)
    assert moved.destination.describe_guest(moved.spec).machine == inputs.guest.machine
    assert moved.source.domain(moved.uuid).state is DomainState.SHUT_OFF


def test_a_disk_grows_and_never_shrinks(trip: Callable[..., Trip]) -> None:
    grown = trip(VDA, VDB, CONFIG).made()
    larger = grown.spec.model_copy(
        update={"disks": tuple(d.model_copy(update={"size_gb": d.size_gb * 2}) for d in grown.spec.disks)}
    )
    grown.source.grow_disks(larger)
    grown.source.grow_disks(larger)
    sizes = [disk.virtual_bytes for disk in grown.source.disks(grown.spec)]
    assert sizes[:2] == [2 * GIB, 2 * GIB]
    grown.source.grow_disks(grown.spec)
    assert [disk.virtual_bytes for disk in grown.source.disks(grown.spec)] == sizes
    grown.source.define_and_start(larger, "op-resize", 2)
    assert grown.source.domain(grown.uuid).state is DomainState.RUNNING
    with pytest.raises(StorageError):  # a process holds them
        grown.source.grow_disks(larger.model_copy(update={"disks": (VDA.model_copy(update={"size_gb": 3}),)}))


def refuse_to_restore(trip: Trip) -> None:
    """What libvirt cannot restore stays saved."""
    disk = trip.inside(0, "vda")
    disk.rename(disk.with_name("away"))
    with pytest.raises(DriverError):
        trip.source.restore_memory(trip.spec, "op-resume", 2)
    disk.with_name("away").rename(disk)
    assert trip.source.domain(trip.uuid).state is DomainState.SAVED


def test_a_suspended_guest_goes_on_where_it_arrives(trip: Callable[..., Trip]) -> None:
    moved = trip(VDA, CONFIG)
    moved.boot()
    moved.source.save_memory(moved.spec)
    moved.source.save_memory(moved.spec)  # it is saved already
    before = moved.ticks()[-1]
    assert moved.source.domain(moved.uuid).state is DomainState.SAVED
    refuse_to_restore(moved)
    assert DomainState.SAVED in [copy.state for copy in moved.source.list_copies() if copy.uuid == moved.uuid]
    inputs = moved.inputs((*moved.targets, MEMORY))
    assert inputs.guest.disks[-1].target == MEMORY
    assert inputs.guest.disks[-1].virtual_bytes > 1 << 20
    assert {c.name for c in moved.source.check_source(moved.spec, live=False) if not c.ok} == set()
    assert failed(moved.destination, moved.spec, inputs.guest) == {}
    moved.start((*moved.targets, MEMORY))
    moved.finish()
    assert moved.agree((*moved.targets, MEMORY))
    moved.destination.define(moved.spec, "op-move", 2, inputs.guest.machine)
    assert moved.destination.domain(moved.uuid).state is DomainState.SAVED
    moved.destination.restore_memory(moved.spec, "op-resume", 3)
    moved.destination.restore_memory(moved.spec, "op-resume", 3)  # it runs already
    wait_for(lambda: moved.ticks()[-1][0] > before[0] + 5, 30)
    ticks = moved.ticks()
    assert [number for number, _ in ticks] == list(range(len(ticks)))
    assert ticks[-1][1] - before[1] < 20, "its clock of uptime did not run on"
    fact = moved.destination.domain(moved.uuid)
    assert (fact.state, fact.stamp_operation, fact.stamp_epoch) == (DomainState.RUNNING, "op-resume", 3)
    assert not [path for path in moved.home(1).iterdir() if path.name.startswith("memory")]
    # A second life from the same memory is for the host to refuse that has it still, once it lives elsewhere.
    moved.source.delete_saved_memory(moved.uuid)
    moved.source.delete_saved_memory(moved.uuid)
    assert moved.source.domain(moved.uuid).state is DomainState.SHUT_OFF
    moved.destination.destroy(moved.uuid)
    with pytest.raises(StorageError, match="no saved memory"):
        moved.destination.restore_memory(moved.spec, "op-resume", 4)


def test_a_source_that_dies_ends_the_copy_and_a_second_one_arrives(trip: Callable[..., Trip]) -> None:
    moved = trip(VDB).made()
    moved.fill("vdb", 256)
    moved.start()
    wait_for(moved.underway, 20)
    host = moved.hosts.both[0]
    host.kill_libvirtd()
    try:
        wait_for(moved.over, 20)
        assert isinstance(moved.destination.copy_error(moved.uuid), HypervisorUnavailable)
        assert disk_files(moved.home(1)) == []
    finally:
        host.start_libvirtd()
    moved.start()
    moved.finish()
    assert moved.agree(["vdb"])


def test_a_source_that_falls_silent_ends_the_copy_within_seconds(trip: Callable[..., Trip]) -> None:
    moved = trip(VDB).made()
    moved.fill("vdb", 256)
    moved.start()
    wait_for(moved.underway, 20)
    host, began = moved.hosts.both[0], time.monotonic()
    host.kill_libvirtd(signal.SIGSTOP)
    try:
        wait_for(moved.over, 25)
    finally:
        host.kill_libvirtd(signal.SIGCONT)
    assert soon(began, 15)
    assert isinstance(moved.destination.copy_error(moved.uuid), HypervisorUnavailable)


def test_a_disk_that_fills_up_says_how_much_was_missing(trip: Callable[..., Trip]) -> None:
    moved = trip(VDB).made()
    moved.fill("vdb", 64)
    inside, host = str(LOCAL / moved.uuid), moved.hosts.both[1]
    host.run(["mkdir", "-p", inside])
    host.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", inside])
    try:
        moved.start()
        wait_for(moved.over, 30)
        error = moved.destination.copy_error(moved.uuid)
        assert isinstance(error, StorageError)
        missing = re.search(r"is full: (\d+) MiB more are needed", error.message)
        assert missing is not None, error.message
        assert 40 <= int(missing[1]) <= 64  # kernel and ramdisk have their share of the 24
        assert ".part" not in host.run(["ls", "-A", inside])
    finally:
        host.run(["umount", inside])


def test_an_agent_killed_in_the_middle_leaves_nothing_that_counts(trip: Callable[..., Trip]) -> None:
    moved = trip(VDB).made()
    moved.fill("vdb", 256)
    inputs = moved.inputs()
    moved.source.offer(moved.spec, inputs.copy_disks)
    host = moved.hosts.both[1]
    agent, end = remote(host.enter, agent_settings(host))
    agent.start_copy(moved.spec, inputs, moved.hosts.images)

    def underway() -> bool:
        job = agent.copy_job(moved.uuid)
        return job is not None and job.active and job.disk_processed_bytes > 0

    wait_for(underway, 20)
    end()
    assert disk_files(moved.home(1)) == [".disk.vdb.copying.part"]
    assert not moved.destination.disks(moved.spec)[0].exists
    moved.destination.start_copy(moved.spec, inputs, moved.hosts.images)
    moved.finish()
    assert moved.agree(["vdb"])
    assert disk_files(moved.home(1)) == ["disk.vdb"]


def test_a_copy_is_ended_and_its_half_made_files_are_dropped(trip: Callable[..., Trip]) -> None:
    moved = trip(VDB).made()
    assert moved.destination.copy_job(moved.uuid) is None
    assert moved.destination.stop_copy(moved.uuid)
    moved.fill("vdb", 256)
    moved.start()
    wait_for(moved.underway, 20)
    began = time.monotonic()
    assert moved.destination.stop_copy(moved.uuid)
    assert soon(began, 5)
    assert moved.over()
    assert moved.destination.copy_error(moved.uuid) is not None
    assert disk_files(moved.home(1)) == []


def test_what_is_not_offered_is_not_given(trip: Callable[..., Trip]) -> None:
    moved = trip(VDB).made()
    moved.start()
    moved.finish()
    moved.source.withdraw(moved.uuid)
    moved.destination.remove_files(moved.spec, ["local"])
    moved.destination.start_copy(moved.spec, moved.inputs(), moved.hosts.images)
    wait_for(moved.over, 20)
    error = moved.destination.copy_error(moved.uuid)
    assert isinstance(error, HypervisorUnavailable)
    assert "does not offer" in error.message


def test_a_shared_pool_where_the_instance_lives_on_is_kept(trip: Callable[..., Trip]) -> None:
    kept = trip(VDB, VDC.model_copy(update={"pool": "shared"})).made()
    hosts, spec = kept.hosts, kept.spec
    identity = hosts.source.host_report().storage["shared"].identity
    hosts.source.remove_files(spec, ["local", "shared"], [identity])
    assert [disk.exists for disk in hosts.source.disks(spec)] == [False, True]
    assert [disk.exists for disk in hosts.destination.disks(spec)] == [False, True]


def test_a_changed_file_is_summed_anew(trip: Callable[..., Trip]) -> None:
    changed = trip(VDB).made()
    first = known(changed.source, changed.spec, ["vdb"])
    changed.fill("vdb", 1)
    assert known(changed.source, changed.spec, ["vdb"]) != first
    with pytest.raises(StorageError, match="cannot read"):
        changed.source.checksums(changed.spec, [MEMORY])
