"""Where an instance's files are on this host.

Owns every path below a pool: ``<pool>/<uuid>/disk`` (vda), ``disk.vdb``, ``disk.config``, ``memory``, ``kernel``,
``ramdisk`` and the shared ``<pool>/_base/<image id>`` that overlays are backed by. Never makes or changes a file.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from migrator.compute.storage import base_images
from migrator.compute.storage.atomic_files import plain
from migrator.compute.storage.base_images import BASE
from migrator.compute.storage.pools import Pools
from migrator.errors import StorageError
from migrator.protocol import MEMORY, DiskSpec, InstanceSpec


@dataclass(frozen=True, slots=True)
class BootFiles:
    kernel: Path | None
    ramdisk: Path | None


class InstanceFiles(Pools):
    def __init__(
        self, pools: Mapping[str, Path], default_pool: str, kept: Path | None = None, host: str = "host"
    ) -> None:
        super().__init__(pools, kept, host)
        self._default = default_pool

    def path(self, uuid: str, disk: DiskSpec) -> Path:
        name = "disk" if disk.target == "vda" else f"disk.{plain(disk.target)}"
        return self.directory(uuid, disk.pool) / ("disk.config" if disk.config_drive else name)

    def memory(self, spec: InstanceSpec) -> Path:
        """Where the saved memory of a suspended guest lies: beside the first disk."""
        return self.directory(spec.uuid, self._first_pool(spec)) / MEMORY

    def file(self, spec: InstanceSpec, target: str) -> Path:
        """The path of a disk of the spec, or of its MEMORY. Raises StorageError for another target."""
        if target == MEMORY:
            return self.memory(spec)
        for disk in spec.disks:
            if disk.target == target:
                return self.path(spec.uuid, disk)
        raise StorageError(f"the instance {spec.uuid} has no disk {target}")

    def homes(self, spec: InstanceSpec, targets: Collection[str]) -> dict[str, Path]:
        """The instance's directories that hold these targets: pool -> directory."""
        pools = {disk.pool for disk in spec.disks if disk.target in targets}
        pools |= {self._first_pool(spec)} if MEMORY in targets else set()
        return {pool: self.directory(spec.uuid, pool) for pool in sorted(pools)}

    def config_drives(self, spec: InstanceSpec, targets: Collection[str]) -> dict[str, tuple[str, Path]]:
        """Target -> pool and path of these config drives. Raises StorageError for a target that is none."""
        found = {d.target: (d.pool, self.path(spec.uuid, d)) for d in spec.disks if d.config_drive}
        if others := [target for target in targets if target not in found]:
            raise StorageError(f"{', '.join(others)} of {spec.uuid} is no config drive, and is not lent")
        return {target: found[target] for target in targets}

    def lendable_images(self, spec: InstanceSpec, wanted: Collection[str]) -> dict[str, tuple[str, Path]]:
        """Image id -> pool and file, of what this host has as its image was: under the instance's disks, and beside
        them. Raises StorageError."""
        refs, boot, home = [i for i in spec.images if i.id in wanted], self.boot_files(spec), self._first_pool(spec)
        found: dict[str, tuple[str, Path]] = {}
        for ref in refs:
            for pool in dict.fromkeys(disk.pool for disk in spec.disks):
                base = base_images.lendable(self._pool(pool) / BASE / plain(ref.id), ref)
                found |= {ref.id: (pool, base)} if base is not None else {}
        for image_id, path in ((spec.kernel_id, boot.kernel), (spec.ramdisk_id, boot.ramdisk)):
            if image_id is not None and image_id in wanted and path is not None and path.exists():
                found[image_id] = (home, path)
        return found

    def boot_files(self, spec: InstanceSpec) -> BootFiles:
        """Where kernel and ramdisk of the spec lie: beside the first disk, in its home, or in the default pool."""
        home = self.directory(spec.uuid, self._first_pool(spec))
        return BootFiles(
            kernel=home / "kernel" if spec.kernel_id else None,
            ramdisk=home / "ramdisk" if spec.ramdisk_id else None,
        )

    def cache_mode(self, path: Path) -> str:
        """``none`` (past the page cache, as a migration needs it) unless the filesystem refuses O_DIRECT."""
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_DIRECT))
        except OSError:
            return "writeback"
        return "none"

    def _first_pool(self, spec: InstanceSpec) -> str:
        return spec.home_pool or self._default
