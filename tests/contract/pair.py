"""Two hosts for the drivers' contract, and what its tests do with them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from migrator.compute.driver import Driver
from migrator.protocol import (
    CheckResult,
    CopiedInputs,
    DomainState,
    GuestDescription,
    InstanceSpec,
    MigratingInputs,
)

OPERATION = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0001"
MOVE = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0002"
POOLS = ("local", "shared")
GIB = 1024**3


@dataclass
class Pair:
    """Two hosts that reach each other, with a pool "local" each and one pool "shared".

    ``spec(pool)`` makes a new instance with one disk "vda" in that pool, from the image in ``images`` where it names
    one, that boots within a moment and stops when it is asked. ``settle`` waits until a predicate holds, or fails the
    test. ``volume()`` makes a volume of 1 GiB or more, ``hide`` sees to it that a source is reached by neither host.
    ``slow_mib_s`` is a bandwidth at which that guest's transfer lasts for seconds.
    """

    source: Driver
    destination: Driver
    destination_name: str
    spec: Callable[[str], InstanceSpec]
    settle: Callable[[Callable[[], bool]], None]
    volume: Callable[[], str]
    hide: Callable[[str], None]
    images: dict[str, Path] = field(default_factory=dict)
    slow_mib_s: int = 10

    def content(self, image: str) -> bytes:
        """Of the image's file; an image that is simulated holds its id."""
        file = self.images[image]
        return file.read_bytes() if file.is_file() else image.encode()

    def boot(self, pool: str) -> InstanceSpec:
        spec = self.spec(pool)
        self.source.make_disks(spec, self.images)
        self.source.define_and_start(spec, OPERATION, 1)
        self.settle(lambda: self.source.domain(spec.uuid).state is DomainState.RUNNING)
        return spec

    def prepare(self, spec: InstanceSpec) -> GuestDescription:
        guest = self.source.describe_guest(spec)
        self.destination.make_target_disks(spec, guest, self.images)
        return guest

    def begin(self, spec: InstanceSpec, pool: str, bandwidth_mib_s: int = 0, *, post_copy: bool = False) -> None:
        report = self.destination.host_report()
        inputs = MigratingInputs(
            destination_host=self.destination_name,
            destination_address=report.address,
            uri=report.live_migration_uri,
            copy_disks=("vda",) if pool == "local" else (),
            destination_disks=tuple(self.destination.disks(spec)),
            bandwidth_mib_s=bandwidth_mib_s,
            post_copy=post_copy,
            destination_seal="seal-there",
        )
        self.source.stamp(spec.uuid, MOVE, 2, "seal-here")
        self.source.start_migration(spec, MOVE, 2, inputs, "seal-here")

    def borrow(self, spec: InstanceSpec, *targets: str) -> None:
        """Lend these config drives of a guest that runs, and copy them."""
        self.read_lent(spec, self.source.lend(spec, targets))

    def read_lent(self, spec: InstanceSpec, places: Mapping[str, str]) -> None:
        guest, targets = self.source.describe_guest(spec), tuple(places)
        disks = [disk.model_copy(update={"path": places.get(disk.target, disk.path)}) for disk in guest.disks]
        inputs = CopiedInputs(
            guest=guest.model_copy(update={"disks": tuple(disks)}),
            source_uri=self.source.host_report().live_migration_uri,
            copy_disks=targets,
        )
        self.destination.start_copy(spec, inputs, self.images)
        self.settle(lambda: not self.copying(spec))

    def fetch(self, spec: InstanceSpec, *targets: str) -> None:
        """Offer these files of a guest that does not run, and begin to copy them."""
        guest = self.source.describe_guest(spec)
        self.source.offer(spec, targets)
        uri = self.source.host_report().live_migration_uri
        inputs = CopiedInputs(guest=guest, source_uri=uri, copy_disks=targets)
        self.destination.start_copy(spec, inputs, self.images)
        self.destination.start_copy(spec, inputs, self.images)

    def copying(self, spec: InstanceSpec) -> bool:
        job = self.destination.copy_job(spec.uuid)
        return job is not None and job.active

    def sums(self, driver: Driver, spec: InstanceSpec, *targets: str) -> Mapping[str, str]:
        known: list[Mapping[str, str]] = []

        def done() -> bool:
            found = driver.checksums(spec, targets)
            known.extend([found] if found is not None else [])
            return bool(known)

        self.settle(done)
        return known[0]

    def active(self, spec: InstanceSpec) -> bool:
        job = self.source.job(spec.uuid)
        return job is not None and job.active

    def counted(self, spec: InstanceSpec) -> bool:
        """Whether some of it has been sent."""
        job = self.source.job(spec.uuid)
        return job is not None and job.active and job.memory_processed_bytes + job.disk_processed_bytes > 0

    def over(self, spec: InstanceSpec) -> bool:
        return not self.source.migration_running(spec.uuid) and not self.active(spec)


def failed(checks: Sequence[CheckResult]) -> dict[str, str]:
    return {check.name: check.found for check in checks if not check.ok}
