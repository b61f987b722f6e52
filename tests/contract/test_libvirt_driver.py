"""What only real libvirt can show: transfers, restarts of libvirtd, stamps, statistics, refusals in its own words."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from migrator.compute.driver import Driver
from migrator.errors import DomainNotFound, DriverError, HypervisorUnavailable, StorageError
from migrator.lab.layout import LOCAL
from migrator.protocol import (
    CopiedInputs,
    DiskSpec,
    DomainState,
    GuestDescription,
    InstanceSpec,
    MigratingInputs,
    NicSpec,
)
from tests.contract.conftest import DISK, Hosts, agent_settings
from tests.contract.remote_driver import remote
from tests.waiting import soon, wait_for

pytestmark = pytest.mark.lab


@dataclass
class World:
    """The hosts, and which of them is the destination (``to``)."""

    hosts: Hosts
    to: int = 1

    @property
    def source(self) -> Driver:
        return self.hosts.source if self.to else self.hosts.destination

    @property
    def destination(self) -> Driver:
        return self.hosts.destination if self.to else self.hosts.source

    @property
    def images(self) -> dict[str, Path]:
        return self.hosts.images

    def spec(self, *disks: DiskSpec, memory_mb: int = 160) -> InstanceSpec:
        return self.hosts.spec(*disks, memory_mb=memory_mb)

    def boot(self, spec: InstanceSpec, operation: str = "op-build") -> None:
        self.source.make_disks(spec, self.images)
        self.source.define_and_start(spec, operation, 1)

    def boot_to_ticks(self, spec: InstanceSpec) -> None:
        self.boot(spec)
        wait_for(lambda: len(self.ticks(spec)) >= 3, 30)

    def ticks(self, spec: InstanceSpec) -> list[int]:
        """The whole lines only: the last one may be half written."""
        lines = self.hosts.console(spec).split("\n")[:-1]
        return [int(line.split()[1]) for line in lines if line.startswith("tick ")]

    def prepare(self, spec: InstanceSpec, **inputs: int) -> MigratingInputs:
        guest = self.source.describe_guest(spec)
        self.copy_drives(spec, guest)
        self.destination.make_target_disks(spec, guest, self.images)
        host = self.hosts.both[self.to]
        return MigratingInputs(
            destination_host=host.name,
            destination_address=host.address,
            uri=f"qemu+tcp://{host.address}/system",
            copy_disks=tuple(disk.target for disk in spec.disks if not disk.config_drive),
            destination_disks=tuple(self.destination.disks(spec)),
            **inputs,
        )

    def copy_drives(self, spec: InstanceSpec, guest: GuestDescription) -> None:
        if not (targets := tuple(disk.target for disk in spec.disks if disk.config_drive)):
            return
        places = self.source.lend(spec, targets)
        disks = tuple(d.model_copy(update={"path": places.get(d.target, d.path)}) for d in guest.disks)
        uri = f"qemu+tcp://{self.hosts.both[1 - self.to].address}/system"
        lent = guest.model_copy(update={"disks": disks})
        inputs = CopiedInputs(guest=lent, source_uri=uri, copy_disks=targets)
        self.destination.start_copy(spec, inputs, self.images)
        wait_for(lambda: (job := self.destination.copy_job(spec.uuid)) is not None and not job.active, 30)
        assert self.destination.copy_error(spec.uuid) is None
        self.source.withdraw(spec.uuid)

    def ended(self, spec: InstanceSpec) -> bool:
        return not self.source.migration_running(spec.uuid)

    def states(self, spec: InstanceSpec) -> tuple[DomainState, DomainState]:
        return self.source.domain(spec.uuid).state, self.destination.domain(spec.uuid).state


@pytest.fixture
def world(clean: Hosts) -> World:
    return World(clean)


VDA = DiskSpec(target="vda", pool="local", size_gb=1, image_id=DISK)
CONFIG = DiskSpec(target="sda", pool="local", size_gb=0, format="raw", config_drive=True)
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


def test_a_cpu_that_the_destination_lacks_is_refused_with_the_features(world: World) -> None:
    spec = world.spec()
    world.boot(spec)
    guest = world.source.describe_guest(spec)
    model = "<cpu mode='custom' match='exact'><model fallback='forbid'>Skylake-Server</model></cpu>"
    checks = world.destination.check_destination(spec, guest.model_copy(update={"cpu_xml": model}), None)
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


def test_every_failed_check_is_named(world: World) -> None:
    spec = world.spec(VDA, memory_mb=160)
    world.boot(spec)
    guest = world.source.describe_guest(spec).model_copy(update={"machine": "pc-i440fx-99.0"})
    huge = spec.model_copy(update={"memory_mb": 1 << 30, "nics": (NicSpec(network="mars", mac="52:54:00:00:00:12"),)})
    checks = world.destination.check_destination(huge, guest, False)
    assert {c.name for c in checks if not c.ok} == {"memory", "machine_type", "network", "storage"}
    here = world.source.check_destination(spec, guest, None)
    assert "domain" in {c.name for c in here if not c.ok}


@pytest.mark.parametrize("mode", ["host-model", "custom"])
def test_other_cpu_modes_boot_and_pass_their_own_check(world: World, mode: str) -> None:
    changes: dict[str, Any] = {"cpu_mode": mode, "cpu_models": ("Westmere",) if mode == "custom" else ()}
    host = world.hosts.both[0]
    driver, end = remote(host.enter, agent_settings(host, **changes))
    spec = world.spec()
    driver.make_disks(spec, world.images)
    driver.define_and_start(spec, "op", 1)
    checks = world.destination.check_destination(spec, driver.describe_guest(spec), None)
    end()
    assert [check for check in checks if not check.ok] == []


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
