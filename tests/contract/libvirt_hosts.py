"""Two real hosts for the driver's contract, with a driver inside each, and the guest's image files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from migrator.compute.driver import Driver
from migrator.lab.host import LabHost
from migrator.lab.image import KERNEL_ARGS
from migrator.lab.lab import Lab
from migrator.lab.layout import AGENT, BRIDGE_INSIDE, LOCAL, SHARED
from migrator.protocol import DiskSpec, ImageRef, InstanceSpec, NicSpec

KERNEL, RAMDISK, DISK = (str(uuid4()) for _ in range(3))


@dataclass
class Hosts:
    """Source, destination, and the guest's image files."""

    lab: Lab
    source: Driver
    destination: Driver
    images: dict[str, Path]

    @property
    def both(self) -> list[LabHost]:
        return self.lab.hosts

    def spec(self, *disks: DiskSpec, memory_mb: int = 160) -> InstanceSpec:
        return InstanceSpec(
            uuid=str(uuid4()),
            name="a guest",
            vcpus=1,
            memory_mb=memory_mb,
            disks=disks,
            nics=(NicSpec(network="lab", mac="52:54:00:00:00:11"),),
            images=(ImageRef(id=DISK, size_bytes=0, checksum_sha256="", disk_format="qcow2"),),
            kernel_id=KERNEL,
            ramdisk_id=RAMDISK,
            kernel_args=KERNEL_ARGS,
        )

    def console(self, spec: InstanceSpec) -> str:
        """What the guest said, on the source and then on the destination."""
        logs = [host.console_log(spec.uuid) for host in self.both]
        return "".join(log.read_text(errors="replace").replace("\r", "") for log in logs if log.exists())


def agent_settings(host: LabHost, **changes: Any) -> dict[str, Any]:
    return {
        "host": host.name,
        "state_path": AGENT,
        "storage": {"local": LOCAL, "shared": SHARED},
        "virt_type": "qemu",
        "cpu_mode": "none",
        "live_migration_inbound_addr": host.address,
        "networks": {"lab": BRIDGE_INSIDE},
    } | changes
