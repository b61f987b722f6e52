"""One instance that moves from one real host to another without running, and the files that travel."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from migrator.compute.driver import Driver
from migrator.lab.layout import LOCAL
from migrator.protocol import CopiedInputs, DiskSpec, GuestDescription, InstanceSpec
from tests.contract.libvirt_hosts import DISK, Hosts
from tests.waiting import wait_for

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


def known(driver: Driver, spec: InstanceSpec, targets: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}

    def done() -> bool:
        sums = driver.checksums(spec, targets)
        found.update(sums or {})
        return sums is not None

    wait_for(done, 30)
    return found


def failed(driver: Driver, spec: InstanceSpec, guest: GuestDescription) -> dict[str, str]:
    return {check.name: check.found for check in driver.check_destination(spec, guest, None) if not check.ok}


def disk_files(home: Path) -> list[str]:
    """Names of the disks' files, half made or complete."""
    names = {path.name for path in home.iterdir()} if home.exists() else set()
    return sorted(names - {"kernel", "ramdisk"})
