"""What leaves a host without running: disks and memory that travel by libvirt's streams, and what may go wrong there."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from migrator.compute.driver import Driver
from migrator.errors import DriverError, HypervisorUnavailable, StorageError
from migrator.lab.layout import LOCAL
from migrator.protocol import MEMORY, CopiedInputs, DiskSpec, DomainState, GuestDescription, InstanceSpec
from tests.contract.conftest import DISK, Hosts, agent_settings
from tests.contract.remote_driver import remote

pytestmark = pytest.mark.lab

GIB = 1 << 30
VDA = DiskSpec(target="vda", pool="local", size_gb=1, image_id=DISK)
VDB = DiskSpec(target="vdb", pool="local", size_gb=1, format="raw")
VDC = DiskSpec(target="vdc", pool="local", size_gb=1)
CONFIG = DiskSpec(target="sda", pool="local", size_gb=0, format="raw", config_drive=True)


@dataclass
class Trip:
    """One instance on its way from the first host to the second."""

    hosts: Hosts
    spec: InstanceSpec

    @property
    def source(self) -> Driver:
        return self.hosts.source

    @property
    def destination(self) -> Driver:
        return self.hosts.destination

    @property
    def uuid(self) -> str:
        return self.spec.uuid

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(disk.target for disk in self.spec.disks)

    def boot(self, ticks: int = 3) -> None:
        self.source.make_disks(self.spec, self.hosts.images, "s3cret")
        self.source.define_and_start(self.spec, "op-build", 1)
        wait_for(lambda: len(self.ticks()) >= ticks, 40)

    def made(self) -> "Trip":
        """Defined and never run: enough for what only looks at files."""
        self.source.make_disks(self.spec, self.hosts.images)
        self.source.define(self.spec, "op-build", 1)
        return self

    def ticks(self) -> list[tuple[int, float]]:
        """Number and uptime of each tick, of whole lines only."""
        lines = [line.split() for line in self.hosts.console(self.spec).split("\n")[:-1] if line.startswith("tick ")]
        return [(int(line[1]), float(line[2])) for line in lines]

    def inside(self, host: int, target: str) -> Path:
        """A file of the instance as this test sees it."""
        driver = (self.source, self.destination)[host]
        path = next(disk.path for disk in driver.disks(self.spec) if disk.target == target)
        return self.hosts.both[host].outside(Path(path))

    def home(self, host: int) -> Path:
        return self.hosts.both[host].outside(LOCAL / self.uuid)

    def fill(self, target: str, mib: int) -> None:
        """Every second MiB of the source's file gets content, so that there are holes to keep."""
        with self.inside(0, target).open("r+b") as file:
            for number in range(mib):
                file.seek(2 * number << 20)
                file.write(os.urandom(1 << 20))

    def inputs(self, targets: Sequence[str] | None = None) -> CopiedInputs:
        return CopiedInputs(
            guest=self.source.describe_guest(self.spec),
            source_uri=self.hosts.both[0].uri,
            copy_disks=self.targets if targets is None else tuple(targets),
        )

    def start(self, targets: Sequence[str] | None = None) -> None:
        inputs = self.inputs(targets)
        self.source.offer(self.spec, inputs.copy_disks)
        self.destination.start_copy(self.spec, inputs, self.hosts.images)

    def over(self) -> bool:
        job = self.destination.copy_job(self.uuid)
        return job is not None and not job.active

    def underway(self) -> bool:
        job = self.destination.copy_job(self.uuid)
        return job is not None and job.active and job.disk_processed_bytes > 0

    def finish(self) -> None:
        wait_for(self.over, 60)
        error = self.destination.copy_error(self.uuid)
        assert error is None, error

    def agree(self, targets: Sequence[str]) -> bool:
        one, other = (known(driver, self.spec, targets) for driver in (self.source, self.destination))
        return one == other and set(one) == set(targets)


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


def known(driver: Driver, spec: InstanceSpec, targets: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}

    def done() -> bool:
        sums = driver.checksums(spec, targets)
        found.update(sums or {})
        return sums is not None

    wait_for(done, 30)
    return found


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.03)


def failed(driver: Driver, spec: InstanceSpec, guest: GuestDescription) -> dict[str, str]:
    return {check.name: check.found for check in driver.check_destination(spec, guest, None) if not check.ok}


def parts(home: Path) -> list[str]:
    return sorted(path.name for path in home.glob(".*")) if home.exists() else []


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
    assert parts(moved.home(1)) == []
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
