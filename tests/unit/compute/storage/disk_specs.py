"""An instance with disks, and pools in directories, as the tests of its files use them."""

from pathlib import Path

from migrator.compute.storage.disks import Disks
from migrator.protocol import DiskSpec, ImageRef, InstanceSpec

INSTANCE = "3d4ee7a4-8c13-4d28-9f1a-0a4de1d0a2f5"


IMAGE = "11111111-2222-4333-8444-555555555555"


def spec(*disks: DiskSpec, kernel: str | None = None, image_format: str = "raw") -> InstanceSpec:
    images = (ImageRef(id=IMAGE, size_bytes=0, checksum_sha256="", disk_format=image_format),)
    return InstanceSpec(uuid=INSTANCE, name="i", vcpus=1, memory_mb=1, disks=disks, images=images, kernel_id=kernel)


def disks(*roots: Path, default: str = "a") -> Disks:
    return Disks({chr(ord("a") + index): root for index, root in enumerate(roots)}, default)


A = DiskSpec(target="vda", pool="a", size_gb=1, image_id=IMAGE)


CONFIG = DiskSpec(target="sda", pool="a", size_gb=0, format="raw", config_drive=True)
