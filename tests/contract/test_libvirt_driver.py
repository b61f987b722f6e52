"""What only real libvirt can show: transfers, restarts of libvirtd, stamps, statistics, refusals in its own words."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from migrator.compute.libvirt_driver import LibvirtDriver
from migrator.errors import DomainNotFound, DriverError, HypervisorUnavailable, StorageError
from migrator.protocol import (
    DiskSpec,
    DomainState,
    GuestDescription,
    ImageRef,
    InstanceSpec,
    MigratingInputs,
    NicSpec,
)
from migrator.settings import AgentSettings
from tests.contract.libvirt_hosts import Host, Hosts

pytestmark = pytest.mark.lab

KERNEL, RAMDISK, DISK = (str(uuid4()) for _ in range(3))


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    """Two hosts. Without root there can be none; with root a missing package is a failure, not a reason to skip."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    missing = [tool for tool in ("libvirtd", "qemu-system-x86_64", "qemu-img", "busybox") if not shutil.which(tool)]
    assert not missing, f"not installed: {', '.join(missing)}"
    hosts = Hosts(Path(tempfile.mkdtemp(prefix="mgd-")))
    try:
        hosts.up()
        yield hosts
    finally:
        hosts.down()


@dataclass
class World:
    """Source and destination drivers over the two hosts, and the images' files."""

    hosts: Hosts
    source: LibvirtDriver
    destination: LibvirtDriver
    images: dict[str, Path]
    to: int = 1

    def spec(self, *disks: DiskSpec, memory_mb: int = 160) -> InstanceSpec:
        return InstanceSpec(
            uuid=str(uuid4()),
            name="a guest",
            vcpus=1,
            memory_mb=memory_mb,
            disks=disks,
            nics=(NicSpec(network="demo", mac="52:54:00:00:00:11"),),
            images=(ImageRef(id=DISK, size_bytes=0, checksum_sha256="", disk_format="qcow2"),),
            kernel_id=KERNEL,
            ramdisk_id=RAMDISK,
            kernel_args="console=ttyS0 quiet",
        )

    def boot(self, spec: InstanceSpec, operation: str = "op-build") -> None:
        self.source.make_disks(spec, self.images)
        self.source.define_and_start(spec, operation, 1)

    def boot_to_ticks(self, spec: InstanceSpec) -> None:
        self.boot(spec)
        wait_for(lambda: "tick 3\n" in self.console(spec), 60)

    def console(self, spec: InstanceSpec) -> str:
        path = self.hosts.state / f"consoles/{spec.uuid}.log"
        return path.read_text(errors="replace").replace("\r", "") if path.exists() else ""

    def prepare(self, spec: InstanceSpec, **inputs: int) -> MigratingInputs:
        guest = self.source.describe_guest(spec)
        self.destination.make_target_disks(spec, guest, self.images)
        host = self.hosts.both[self.to]
        return MigratingInputs(
            destination_host=host.name,
            destination_address=host.address,
            uri=f"qemu+tcp://{host.address}/system",
            copy_disks=tuple(disk.target for disk in spec.disks),
            destination_disks=tuple(self.destination.disks(spec)),
            **inputs,
        )

    def ended(self, spec: InstanceSpec) -> bool:
        return not self.source.migration_running(spec.uuid)

    def states(self, spec: InstanceSpec) -> tuple[DomainState, DomainState]:
        return self.source.domain(spec.uuid).state, self.destination.domain(spec.uuid).state


@pytest.fixture(scope="session")
def world(hosts: Hosts) -> Iterator[World]:
    base = hosts.root / "base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "16M"], check=True)
    source, destination = (LibvirtDriver(settings(hosts, host)) for host in hosts.both)
    yield World(hosts, source, destination, {KERNEL: hosts.kernel, RAMDISK: hosts.ramdisk, DISK: base})
    source.close()
    destination.close()


@pytest.fixture
def clean(world: World) -> Iterator[World]:
    """The world, with no domain left behind by the test."""
    yield world
    for driver in (world.source, world.destination):
        for copy in driver.list_copies():
            driver.abort_job(copy.uuid)
            driver.destroy(copy.uuid)
            driver.undefine(copy.uuid)


def settings(hosts: Hosts, host: Host, **changes: object) -> AgentSettings:
    values: dict[str, object] = {
        "host": host.name,
        "state_path": hosts.state,
        "storage": {"local": host.pool},
        "libvirt_uri": host.uri,
        "virt_type": "qemu",
        "cpu_mode": "none",
        "live_migration_inbound_addr": host.address,
        "networks": {"demo": "brdemo"},
    }
    return AgentSettings(**(values | changes))  # type: ignore[arg-type]


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


VDA = DiskSpec(target="vda", pool="local", size_gb=1, image_id=DISK)
VDB = DiskSpec(target="vdb", pool="local", size_gb=1, format="raw")


def test_host_report_describes_the_host(world: World) -> None:
    report = world.source.host_report()
    assert report.vcpus == os.cpu_count()
    total_kib = int(Path("/proc/meminfo").read_text().split()[1])
    assert report.memory_mb == total_kib // 1024
    assert {"pc", "pc-i440fx-7.2"} <= set(report.machine_types)
    assert report.live_migration_uri == f"qemu+tcp://{world.hosts.both[0].address}/system"
    assert report.storage["local"].identity != world.destination.host_report().storage["local"].identity
    assert report.storage == world.source.host_report().storage


def test_a_domain_is_defined_stamped_and_run_once(clean: World) -> None:
    spec = clean.spec(VDA, VDB)
    assert clean.source.domain(spec.uuid).state is DomainState.ABSENT
    clean.boot_to_ticks(spec)
    clean.source.define_and_start(spec, "op-other", 9)
    fact = clean.source.domain(spec.uuid)
    assert (fact.state, fact.reason, fact.stamp_operation, fact.stamp_epoch) == ("running", "booted", "op-build", 1)
    assert [copy.uuid for copy in clean.source.list_copies()] == [spec.uuid]
    assert clean.console(spec).count("tick 1\n") == 1


def test_a_domain_left_defined_by_a_crash_is_started(clean: World) -> None:
    spec = clean.spec(VDA)
    clean.boot(spec)
    clean.source.destroy(spec.uuid)
    assert clean.source.domain(spec.uuid).reason == "destroyed"
    clean.source.define_and_start(spec, "op-again", 2)
    fact = clean.source.domain(spec.uuid)
    assert (fact.state, fact.stamp_operation, fact.stamp_epoch) == (DomainState.RUNNING, "op-again", 2)


def test_the_guest_is_asked_to_stop(clean: World) -> None:
    spec = clean.spec(VDA)
    clean.boot_to_ticks(spec)
    clean.source.shut_down(spec.uuid)
    wait_for(lambda: clean.source.domain(spec.uuid).state is DomainState.SHUT_OFF, 20)
    assert clean.source.domain(spec.uuid).reason == "shutdown"
    clean.source.shut_down(spec.uuid)
    clean.source.destroy(spec.uuid)
    clean.source.undefine(spec.uuid)
    clean.source.undefine(spec.uuid)
    assert clean.source.domain(spec.uuid).state is DomainState.ABSENT


def test_a_living_domain_cannot_be_forgotten(clean: World) -> None:
    spec = clean.spec()
    clean.boot(spec)
    with pytest.raises(DriverError, match="alive"):
        clean.source.undefine(spec.uuid)
    assert clean.source.domain(spec.uuid).state is DomainState.RUNNING


def test_a_stamp_needs_a_domain_and_replaces_the_last(clean: World) -> None:
    spec = clean.spec()
    with pytest.raises(DomainNotFound):
        clean.source.stamp(spec.uuid, "op", 1)
    clean.boot(spec)
    clean.source.stamp(spec.uuid, "op-2", 4)
    fact = clean.source.domain(spec.uuid)
    assert (fact.stamp_operation, fact.stamp_epoch) == ("op-2", 4)
    clean.source.destroy(spec.uuid)
    assert clean.source.domain(spec.uuid).stamp_epoch == 4  # the persistent definition has it too


def test_an_unknown_network_is_named(clean: World) -> None:
    spec = clean.spec().model_copy(update={"nics": (NicSpec(network="mars", mac="52:54:00:00:00:12"),)})
    with pytest.raises(DriverError, match="mars"):
        clean.boot(spec)
    assert clean.source.domain(spec.uuid).state is DomainState.ABSENT


def test_a_guest_moves_with_its_local_disks(clean: World) -> None:
    spec = clean.spec(VDA, VDB)
    clean.boot_to_ticks(spec)
    guest = clean.source.describe_guest(spec)
    assert all(check.ok for check in clean.source.check_source(spec))
    checks = clean.destination.check_destination(spec, guest, None)
    assert [check.name for check in checks if not check.ok] == []
    inputs = clean.prepare(spec)
    clean.source.start_migration(spec, "op-move", 3, inputs)
    seen = set()

    def watch() -> bool:
        seen.add(clean.states(spec))
        return clean.ended(spec)

    wait_for(watch, 60)
    assert clean.source.migration_error(spec.uuid) is None
    assert clean.states(spec) == (DomainState.ABSENT, DomainState.RUNNING)
    assert (DomainState.RUNNING, DomainState.INCOMING) in seen
    assert (DomainState.RUNNING, DomainState.RUNNING) not in seen
    fact = clean.destination.domain(spec.uuid)
    assert (fact.reason, fact.stamp_operation, fact.stamp_epoch) == ("migrated", "op-move", 3)
    job = clean.destination.job(spec.uuid)
    assert job is not None
    assert not job.active
    assert job.downtime_ms is not None
    assert 0 < job.downtime_ms < 5000
    assert job.elapsed_ms >= job.downtime_ms
    ticks = [int(line[5:]) for line in clean.console(spec).splitlines() if line.startswith("tick ")]
    assert ticks == list(range(1, len(ticks) + 1))
    # What arrived survives a power cycle: its definition names this host's files.
    clean.destination.destroy(spec.uuid)
    clean.destination.define_and_start(spec, "op-start", 4)
    assert str(clean.hosts.both[1].pool) in clean.destination.disks(spec)[0].path


def test_a_new_operation_does_not_inherit_statistics(clean: World) -> None:
    spec = clean.spec()
    clean.boot_to_ticks(spec)
    clean.source.start_migration(spec, "op-move", 3, clean.prepare(spec))
    wait_for(lambda: clean.ended(spec), 60)
    first = clean.destination.job(spec.uuid)
    assert first is not None
    assert first.downtime_ms is not None
    assert clean.destination.job(spec.uuid) == first  # asking does not use them up
    clean.destination.stamp(spec.uuid, "op-move", 3)
    assert clean.destination.job(spec.uuid) == first
    clean.destination.stamp(spec.uuid, "op-back", 4)
    assert clean.destination.job(spec.uuid) is None


def test_there_and_back_again(clean: World) -> None:
    spec = clean.spec(VDB)
    clean.boot_to_ticks(spec)
    clean.source.start_migration(spec, "op-there", 3, clean.prepare(spec))
    wait_for(lambda: clean.ended(spec), 60)
    assert clean.states(spec) == (DomainState.ABSENT, DomainState.RUNNING)
    clean.source.remove_files(spec, ["local"])
    back = World(clean.hosts, clean.destination, clean.source, clean.images, to=0)
    back.source.start_migration(spec, "op-back", 5, back.prepare(spec))
    wait_for(lambda: back.ended(spec), 60)
    assert back.source.migration_error(spec.uuid) is None
    assert clean.states(spec) == (DomainState.RUNNING, DomainState.ABSENT)
    assert clean.source.domain(spec.uuid).stamp_operation == "op-back"
    assert clean.source.migration_error(spec.uuid) is None


def test_an_aborted_transfer_leaves_the_guest_where_it_was(clean: World) -> None:
    spec = clean.spec(VDA)
    clean.boot_to_ticks(spec)
    clean.source.start_migration(spec, "op-move", 3, clean.prepare(spec, bandwidth_mib_s=1))

    def transferring() -> bool:
        job = clean.source.job(spec.uuid)
        return bool(job and job.active and job.memory_remaining_bytes)

    wait_for(transferring, 60)
    assert clean.states(spec) == (DomainState.RUNNING, DomainState.INCOMING)
    assert [c.name for c in clean.source.check_source(spec) if not c.ok] == ["job"]
    with pytest.raises(DriverError, match="under way"):
        clean.source.start_migration(spec, "op-move", 3, clean.prepare(spec))
    began = time.monotonic()
    clean.source.abort_job(spec.uuid)
    clean.source.abort_job(spec.uuid)
    assert time.monotonic() - began < 5
    wait_for(lambda: clean.ended(spec), 20)
    assert "canceled by client" in (clean.source.migration_error(spec.uuid) or "")
    wait_for(lambda: clean.states(spec) == (DomainState.RUNNING, DomainState.ABSENT), 20)
    job = clean.source.job(spec.uuid)
    assert job is None or not job.active


def test_libvirtd_may_die_between_calls(clean: World) -> None:
    spec = clean.spec()
    clean.boot(spec)
    host = clean.hosts.both[0]
    host.kill_libvirtd()
    with pytest.raises(HypervisorUnavailable):
        clean.source.domain(spec.uuid)
    host.start_libvirtd()
    assert clean.source.domain(spec.uuid).state is DomainState.RUNNING


def test_a_restarted_libvirtd_is_found_again_without_an_error(clean: World) -> None:
    spec = clean.spec()
    clean.boot(spec)
    host = clean.hosts.both[0]
    host.kill_libvirtd()
    host.start_libvirtd()
    assert clean.source.domain(spec.uuid).stamp_operation == "op-build"


def test_the_sources_libvirtd_dies_in_the_middle(clean: World) -> None:
    spec = clean.spec()
    clean.boot_to_ticks(spec)
    clean.source.start_migration(spec, "op-move", 3, clean.prepare(spec, bandwidth_mib_s=1))
    wait_for(lambda: clean.states(spec) == (DomainState.RUNNING, DomainState.INCOMING), 30)
    host = clean.hosts.both[0]
    host.kill_libvirtd()
    wait_for(lambda: clean.ended(spec), 30)
    assert clean.source.migration_error(spec.uuid)
    host.start_libvirtd()
    wait_for(lambda: clean.states(spec) == (DomainState.RUNNING, DomainState.ABSENT), 60)
    assert clean.source.domain(spec.uuid).stamp_epoch == 3


def test_the_destinations_libvirtd_dies_in_the_middle(clean: World) -> None:
    spec = clean.spec()
    clean.boot_to_ticks(spec)
    clean.source.start_migration(spec, "op-move", 3, clean.prepare(spec, bandwidth_mib_s=1))
    wait_for(lambda: clean.states(spec) == (DomainState.RUNNING, DomainState.INCOMING), 30)
    host = clean.hosts.both[1]
    host.kill_libvirtd()
    wait_for(lambda: clean.ended(spec), 60)
    assert clean.source.migration_error(spec.uuid)
    host.start_libvirtd()
    wait_for(lambda: clean.states(spec) == (DomainState.RUNNING, DomainState.ABSENT), 60)


def test_a_stopped_libvirtd_does_not_hold_a_call_for_ever(clean: World) -> None:
    clean.source.domain(str(uuid4()))
    host = clean.hosts.both[0]
    host.kill_libvirtd(signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(HypervisorUnavailable):
            clean.source.domain(str(uuid4()))
    finally:
        host.kill_libvirtd(signal.SIGCONT)
    assert time.monotonic() - began < 60
    assert clean.source.domain(str(uuid4())).state is DomainState.ABSENT


def test_a_cpu_that_the_destination_lacks_is_refused_with_the_features(clean: World) -> None:
    spec = clean.spec()
    clean.boot(spec)
    guest = clean.source.describe_guest(spec)
    model = "<cpu mode='custom' match='exact'><model fallback='forbid'>Skylake-Server</model></cpu>"
    checks = clean.destination.check_destination(spec, guest.model_copy(update={"cpu_xml": model}), None)
    refused = {check.name: check for check in checks if not check.ok}
    assert set(refused) == {"cpu"}
    assert "avx512f" in refused["cpu"].found


@pytest.mark.parametrize(
    "cpu",
    [
        "<cpu mode='custom' match='exact'><model fallback='forbid'>Unheard-Of</model></cpu>",
        "<cpu><arch>x86_64</arch><model>Broadwell</model><feature name='avx512f'/></cpu>",
    ],
)
def test_unknown_models_and_whole_host_cpus_are_compared_too(world: World, cpu: str) -> None:
    guest = GuestDescription(cpu_xml=cpu, machine="pc")
    checks = world.destination.check_destination(world.spec(), guest, None)
    refused = {check.name: check.found for check in checks if not check.ok}
    assert set(refused) == {"cpu"}
    assert "Unheard-Of" in refused["cpu"] or "avx512f" in refused["cpu"]


def test_every_failed_check_is_named(clean: World) -> None:
    spec = clean.spec(VDA, memory_mb=160)
    clean.boot(spec)
    guest = clean.source.describe_guest(spec).model_copy(update={"machine": "pc-i440fx-99.0"})
    huge = spec.model_copy(update={"memory_mb": 1 << 30, "nics": (NicSpec(network="mars", mac="52:54:00:00:00:12"),)})
    checks = clean.destination.check_destination(huge, guest, False)
    assert {c.name for c in checks if not c.ok} == {"memory", "machine_type", "network", "storage"}
    here = clean.source.check_destination(spec, guest, None)
    assert "domain" in {c.name for c in here if not c.ok}


@pytest.mark.parametrize("mode", ["host-model", "custom"])
def test_other_cpu_modes_boot_and_pass_their_own_check(clean: World, mode: str) -> None:
    changes: dict[str, object] = {"cpu_mode": mode, "cpu_models": ("Westmere",) if mode == "custom" else ()}
    driver = LibvirtDriver(settings(clean.hosts, clean.hosts.both[0], **changes))
    spec = clean.spec()
    driver.make_disks(spec, clean.images)
    driver.define_and_start(spec, "op", 1)
    checks = clean.destination.check_destination(spec, driver.describe_guest(spec), None)
    driver.close()
    assert [check for check in checks if not check.ok] == []


def test_disks_are_made_once_and_removed(clean: World) -> None:
    spec = clean.spec(VDA, VDB)
    assert not any(fact.exists for fact in clean.source.disks(spec))
    clean.source.make_disks(spec, clean.images)
    facts = clean.source.disks(spec)
    assert [(f.exists, f.format, f.virtual_bytes, f.backing_image_id) for f in facts] == [
        (True, "qcow2", 1 << 30, DISK),
        (True, "raw", 1 << 30, None),
    ]
    inode = os.stat(facts[0].path).st_ino
    clean.source.make_disks(spec, {})  # nothing is missing, so no image is needed
    assert os.stat(facts[0].path).st_ino == inode
    clean.source.remove_files(spec, ["local", "elsewhere"])
    clean.source.remove_files(spec, ["local"])
    assert not any(fact.exists for fact in clean.source.disks(spec))
    assert (clean.hosts.both[0].pool / "_base" / DISK).exists()


def test_a_disk_smaller_than_its_image_is_refused(clean: World, tmp_path: Path) -> None:
    big = tmp_path / "big.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", big, "2G"], check=True)
    spec = clean.spec(VDA)
    with pytest.raises(StorageError, match="needs"):
        clean.source.make_disks(spec, clean.images | {DISK: big})
    assert not clean.source.disks(spec)[0].exists


def test_an_image_that_names_another_file_is_refused(clean: World, tmp_path: Path) -> None:
    sly = tmp_path / "sly.qcow2"
    base = clean.images[DISK]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, sly], check=True)
    disk = VDA.model_copy(update={"image_id": "sly"})
    spec = clean.spec(disk)
    with pytest.raises(StorageError, match="refers to another file"):
        clean.source.make_disks(spec, clean.images | {"sly": sly})
    assert not (clean.hosts.both[0].pool / "_base/sly").exists()
