"""What only real libvirt can show of one host: its report, domains and stamps, libvirtd's restarts, disks of images."""

import os
import signal
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest

from migrator.errors import DomainNotFound, DriverError, HypervisorUnavailable, StorageError
from migrator.lab.layout import LOCAL
from migrator.protocol import (
    DomainState,
    HostReport,
    NicSpec,
    StoragePool,
)
from tests.contract.libvirt_hosts import DISK
from tests.contract.libvirt_world import VDA, VDB, World
from tests.waiting import soon, wait_for

pytestmark = pytest.mark.lab


def test_host_report_describes_the_host(world: World) -> None:
    report = world.source.host_report()
    assert report.vcpus == os.cpu_count()
    total_kib = int(Path("/proc/meminfo").read_text().split()[1])
    assert report.memory_mb == total_kib // 1024
    assert {"pc", "pc-i440fx-7.2"} <= set(report.machine_types)
    assert report.live_migration_uri == f"qemu+tcp://{world.hosts.both[0].address}/system"
    assert report.storage["local"].identity != world.destination.host_report().storage["local"].identity
    assert storage(report) == storage(world.source.host_report())


def storage(report: HostReport) -> dict[str, StoragePool]:
    """Without the space that is free: whatever else runs on the machine takes of it between two looks."""
    return {name: pool.model_copy(update={"free_gb": 0}) for name, pool in report.storage.items()}


def test_a_domain_is_defined_stamped_and_run_once(world: World) -> None:
    spec = world.spec(VDA, VDB)
    assert world.source.domain(spec.uuid).state is DomainState.ABSENT
    world.boot_to_ticks(spec)
    world.source.define_and_start(spec, "op-other", 9)
    fact = world.source.domain(spec.uuid)
    assert (fact.state, fact.reason, fact.stamp_operation, fact.stamp_epoch) == ("running", "booted", "op-build", 1)
    assert [copy.uuid for copy in world.source.list_copies()] == [spec.uuid]
    assert world.ticks(spec).count(1) == 1


def test_a_domain_left_defined_by_a_crash_is_started(world: World) -> None:
    spec = world.spec(VDA)
    world.boot(spec)
    world.source.destroy(spec.uuid)
    assert world.source.domain(spec.uuid).reason == "destroyed"
    world.source.define_and_start(spec, "op-again", 2)
    fact = world.source.domain(spec.uuid)
    assert (fact.state, fact.stamp_operation, fact.stamp_epoch) == (DomainState.RUNNING, "op-again", 2)


def test_the_guest_is_asked_to_stop(world: World) -> None:
    spec = world.spec(VDA)
    world.boot_to_ticks(spec)
    world.source.shut_down(spec.uuid)
    wait_for(lambda: world.source.domain(spec.uuid).state is DomainState.SHUT_OFF, 20)
    assert world.source.domain(spec.uuid).reason == "shutdown"
    world.source.shut_down(spec.uuid)
    world.source.destroy(spec.uuid)
    world.source.undefine(spec.uuid)
    world.source.undefine(spec.uuid)
    assert world.source.domain(spec.uuid).state is DomainState.ABSENT


def test_a_guest_whose_process_dies_is_told_from_one_that_was_stopped(world: World) -> None:
    spec = world.spec()
    world.boot(spec)
    os.kill(qemu_of(spec.uuid), signal.SIGKILL)
    wait_for(lambda: world.source.domain(spec.uuid).state is DomainState.SHUT_OFF, 20)
    assert [copy.failed for copy in world.source.list_copies()] == [True]
    world.source.define_and_start(spec, "op-again", 2)
    assert [copy.failed for copy in world.source.list_copies()] == [False]
    world.source.destroy(spec.uuid)
    assert [copy.failed for copy in world.source.list_copies()] == [False]


def qemu_of(uuid: str) -> int:
    """The process that runs the guest."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended since
        if b"qemu-system" in arguments[0] and any(uuid.encode() in word for word in arguments):
            return int(process.name)
    raise AssertionError(f"nothing runs {uuid}")


def test_a_living_domain_cannot_be_forgotten(world: World) -> None:
    spec = world.spec()
    world.boot(spec)
    with pytest.raises(DriverError, match="alive"):
        world.source.undefine(spec.uuid)
    assert world.source.domain(spec.uuid).state is DomainState.RUNNING


def test_a_stamp_needs_a_domain_and_replaces_the_last(world: World) -> None:
    spec = world.spec()
    with pytest.raises(DomainNotFound):
        world.source.stamp(spec.uuid, "op", 1)
    world.boot(spec)
    world.source.stamp(spec.uuid, "op-2", 4)
    fact = world.source.domain(spec.uuid)
    assert (fact.stamp_operation, fact.stamp_epoch) == ("op-2", 4)
    world.source.destroy(spec.uuid)
    assert world.source.domain(spec.uuid).stamp_epoch == 4  # the persistent definition has it too


def test_an_unknown_network_is_named(world: World) -> None:
    spec = world.spec().model_copy(update={"nics": (NicSpec(network="mars", mac="52:54:00:00:00:12"),)})
    with pytest.raises(DriverError, match="mars"):
        world.boot(spec)
    assert world.source.domain(spec.uuid).state is DomainState.ABSENT


def test_libvirtd_may_die_between_calls(world: World) -> None:
    spec = world.spec()
    world.boot(spec)
    host = world.hosts.both[0]
    host.kill_libvirtd()
    with pytest.raises(HypervisorUnavailable):
        world.source.domain(spec.uuid)
    host.start_libvirtd()
    assert world.source.domain(spec.uuid).state is DomainState.RUNNING


def test_a_restarted_libvirtd_is_found_again_without_an_error(world: World) -> None:
    spec = world.spec()
    world.boot(spec)
    host = world.hosts.both[0]
    host.kill_libvirtd()
    host.start_libvirtd()
    assert world.source.domain(spec.uuid).stamp_operation == "op-build"


def test_a_stopped_libvirtd_does_not_hold_a_call_for_ever(world: World) -> None:
    world.source.domain(str(uuid4()))
    host = world.hosts.both[0]
    host.kill_libvirtd(signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(HypervisorUnavailable):
            world.source.domain(str(uuid4()))
    finally:
        host.kill_libvirtd(signal.SIGCONT)
    assert soon(began, 60)
    assert world.source.domain(str(uuid4())).state is DomainState.ABSENT


def test_disks_are_made_once_and_removed(world: World) -> None:
    spec = world.spec(VDA, VDB)
    assert not any(fact.exists for fact in world.source.disks(spec))
    world.source.make_disks(spec, world.images)
    facts = world.source.disks(spec)
    assert [(f.exists, f.format, f.virtual_bytes, f.backing_image_id) for f in facts] == [
        (True, "qcow2", 1 << 30, DISK),
        (True, "raw", 1 << 30, None),
    ]
    home = world.hosts.both[0].outside(Path(facts[0].path))
    inode = home.stat().st_ino
    world.source.make_disks(spec, {})  # nothing is missing, so no image is needed
    assert home.stat().st_ino == inode
    world.source.remove_files(spec, ["local", "elsewhere"])
    world.source.remove_files(spec, ["local"])
    assert not any(fact.exists for fact in world.source.disks(spec))
    assert (world.hosts.both[0].outside(LOCAL) / "_base" / DISK).exists()


def test_a_disk_smaller_than_its_image_is_refused(world: World, tmp_path: Path) -> None:
    big = tmp_path / "big.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", big, "2G"], check=True)
    spec = world.spec(VDA)
    with pytest.raises(StorageError, match="needs"):
        world.source.make_disks(spec, world.images | {DISK: big})
    assert not world.source.disks(spec)[0].exists


def test_an_image_that_names_another_file_is_refused(world: World, tmp_path: Path) -> None:
    sly = tmp_path / "sly.qcow2"
    base = world.images[DISK]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, sly], check=True)
    disk = VDA.model_copy(update={"image_id": "sly"})
    spec = world.spec(disk)
    with pytest.raises(StorageError, match="refers to another file"):
        world.source.make_disks(spec, world.images | {"sly": sly})
    assert not (world.hosts.both[0].outside(LOCAL) / "_base/sly").exists()
