"""Two real hosts, one of which is the destination, and an instance between them."""

from dataclasses import dataclass
from pathlib import Path

from migrator.compute.driver import Driver
from migrator.protocol import (
    CopiedInputs,
    DiskSpec,
    DomainState,
    GuestDescription,
    InstanceSpec,
    MigratingInputs,
)
from tests.contract.libvirt_hosts import DISK, Hosts
from tests.waiting import wait_for


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


VDA = DiskSpec(target="vda", pool="local", size_gb=1, image_id=DISK)


CONFIG = DiskSpec(target="sda", pool="local", size_gb=0, format="raw", config_drive=True)


VDB = DiskSpec(target="vdb", pool="local", size_gb=1, format="raw")
