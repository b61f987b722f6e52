"""Disk files and the directories (storage pools) they live in.

Owns every path below a pool: ``<pool>/<uuid>/disk`` (vda), ``disk.vdb``, ``disk.config``, ``memory``, ``kernel``,
``ramdisk`` and the shared ``<pool>/_base/<image id>`` that overlays are backed by. Every file appears complete or not
at all (``atomic_files``), and none where the pool's storage is not mounted (``pool_identity``). Never talks to libvirt.
"""

import contextlib
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

from migrator.compute.storage import base_images, config_drive, disk_headers, qemu_img, saved_memory
from migrator.compute.storage.atomic_files import free_bytes, plain, publish, refuse_in_use
from migrator.compute.storage.base_images import BASE, BaseLocks, fetched
from migrator.compute.storage.pool_identity import Identities, StorageAway
from migrator.compute.storage.whole_disks import WholeDisks
from migrator.errors import StorageError
from migrator.protocol import (
    KERNEL,
    MEMORY,
    RAMDISK,
    DiskFact,
    DiskSpec,
    GuestDescription,
    ImageRef,
    InstanceSpec,
    StoragePool,
)

GIB = 1024**3
_NAMED_BY_LIBVIRT = ("raw", "qcow2", "vmdk", "vdi", "vpc")


@dataclass(frozen=True, slots=True)
class BootFiles:
    kernel: Path | None
    ramdisk: Path | None


class Disks:
    """The pools of one host (``pools``: name -> directory; ``kept``: see ``Identities``). All methods are safe to call
    again."""

    def __init__(
        self, pools: Mapping[str, Path], default_pool: str, kept: Path | None = None, host: str = "host"
    ) -> None:
        self._pools = dict(pools)
        self._identities = Identities(pools, kept, host)
        self._default = default_pool
        self._base_locks = BaseLocks()
        self._whole = WholeDisks()

    # where things are
    def directory(self, uuid: str, pool: str) -> Path:
        """The instance's directory in a pool. Raises StorageError for a pool this host does not have, or whose storage
        is not mounted."""
        return self._pool(pool) / str(UUID(uuid))

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

    def all_homes(self, uuid: str) -> list[Path]:
        """The instance's directory in every pool, whether it is there or not."""
        return [directory / str(UUID(uuid)) for directory in self._pools.values()]

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

    # pools
    def pool_reports(self) -> dict[str, StoragePool]:
        """Identity and space (GiB) of every pool."""
        return {name: self._pool_report(name) for name in self._pools}

    def identities(self) -> dict[str, str]:
        """Pool name -> storage identity; pools with equal ones, on whatever host, are the same storage. Those that are
        not mounted now are left out."""
        found = {}
        for name in self._pools:
            with contextlib.suppress(StorageAway):
                found[name] = self._identities.of(name)
        return found

    def prove(self, pools: Sequence[str]) -> dict[str, str]:
        """Something new in each of these pools, for another host to find there. Raises StorageError."""
        for name in pools:
            self._pool(name)
        return {name: self._identities.prove(name) for name in pools}

    def compare_storage(
        self, storage: Mapping[str, str], proofs: Mapping[str, str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """See ``Driver``."""
        own = self.identities()
        same = {name for name, identity in storage.items() if own.get(name) == identity}
        found = frozenset(name for name in same if self._identities.proven(name, proofs.get(name, "")))
        return found, frozenset(same - found)

    def present(self) -> dict[str, Path]:
        """Pool name -> directory, of every pool whose storage is there now."""
        return {name: self._pools[name] for name in self.identities()}

    def free_bytes(self) -> dict[str, int]:
        return {name: free_bytes(self._pool(name)) for name in self.identities()}

    # disks
    def facts(self, spec: InstanceSpec) -> list[DiskFact]:
        """One fact per disk of the spec, existing or not; and for a root disk on a volume, which has no directory that
        tells, one each for kernel and ramdisk."""
        disks = [disk_headers.fact(self.path(spec.uuid, disk), disk) for disk in spec.disks]
        files = self.boot_files(spec)
        named = ((KERNEL, files.kernel), (RAMDISK, files.ramdisk)) if spec.home else ()
        return disks + [_boot_fact(name, path, spec.home) for name, path in named if path is not None]

    def memory_fact(self, spec: InstanceSpec) -> DiskFact:
        """The saved memory as a disk, existing or not."""
        return saved_memory.fact(self.memory(spec), self._first_pool(spec))

    def strays(self, spec: InstanceSpec, found: Mapping[str, str]) -> list[str]:
        """What a domain's disks (target -> path, or a volume's source) have that the spec's have not. A file that is
        not there is none: its pool was moved. Raises StorageError."""
        own = {disk.target: self.path(spec.uuid, disk) for disk in spec.disks}
        volumes = {(volume.target, volume.source) for volume in spec.volumes}
        rest = [(target, where) for target, where in found.items() if (target, where) not in volumes]
        return [f"{target} is {where}" for target, where in rest if _strange(Path(where), own.get(target))]

    def make(self, spec: InstanceSpec, images: Mapping[str, Path], admin_pass: str | None = None) -> None:
        """Make what is missing of the spec's disks, kernel and ramdisk. Raises StorageError."""
        known = {image.id: image for image in spec.images}
        for disk in spec.disks:
            if disk.config_drive:
                self._make_config_drive(spec, disk, admin_pass)
            else:
                self._make_one(spec.uuid, disk, images, known)
        self._make_boot_files(spec, images)
        self.refuse_foreign(spec)

    def refuse_foreign(self, spec: InstanceSpec) -> None:
        """Raises UnsafeDisk unless what is there of the instance's files is its own and names nothing but its image."""
        known = {image.id: image for image in spec.images}
        for disk in spec.disks:
            if os.path.lexists(path := self.path(spec.uuid, disk)):
                self._chain(path, disk, known)
        boot = self.boot_files(spec)
        for file in (boot.kernel, boot.ramdisk, self.memory(spec)):
            if file is not None and os.path.lexists(file):
                disk_headers.refuse_link(file)

    def refuse_damaged(self, spec: InstanceSpec) -> None:
        """Raises StorageError unless every disk is whole, with the image that it lies over."""
        known = {image.id: image for image in spec.images}
        for disk in spec.disks:
            self._refuse_damaged(self.path(spec.uuid, disk), disk, known)

    def chain(self, spec: InstanceSpec, disk: DiskSpec) -> tuple[tuple[Path, str], ...] | None:
        """What lies under the disk, nearest first, with formats. None for one that is not there or not the instance's
        own: a guest is not started from it (``refuse_foreign``), and may be defined all the same. None also where
        libvirt has no name for a format."""
        try:
            found = self._chain(self.path(spec.uuid, disk), disk, {image.id: image for image in spec.images})
        except StorageError:
            return None
        return found if all(disk_format in _NAMED_BY_LIBVIRT for _, disk_format in found) else None

    def refuse_foreign_copy(self, spec: InstanceSpec, path: Path, part: Path) -> None:
        """The same of one file that has come from another host as ``part``, and is about to be ``path``."""
        known = {image.id: image for image in spec.images}
        for disk in spec.disks:
            if self.path(spec.uuid, disk) == path:
                self._chain(part, disk, known)

    def grow(self, spec: InstanceSpec) -> None:
        """Make disks that are smaller than the spec says as large as it says. Raises StorageError."""
        for disk, fact in zip(spec.disks, self.facts(spec), strict=False):  # kernel and ramdisk follow the disks
            if not fact.exists:
                raise StorageError(f"disk missing: {fact.path}", advice="bring the file back, then start again")
            if not disk.config_drive and fact.virtual_bytes < disk.size_gb * GIB:
                self.refuse_foreign(spec)
                qemu_img.resize(Path(fact.path), disk.format, disk.size_gb * GIB)

    def make_targets(self, spec: InstanceSpec, guest: GuestDescription, images: Mapping[str, Path]) -> None:
        """Empty disks of the source's size, over the same backing image, in the pools not shared with the source. A
        config drive was copied before, for a running guest goes on with the one that it has. Raises StorageError."""
        own, facts = self.identities(), {fact.target: fact for fact in guest.disks}
        known = {image.id: image for image in spec.images}
        for disk in spec.disks:
            if own.get(disk.pool) == guest.storage.get(disk.pool, ""):
                continue
            if disk.config_drive:
                _refuse_missing(self.path(spec.uuid, disk))
            elif disk.target in facts:
                disk_headers.refuse_described(disk, facts[disk.target])
                self._make_target(self.path(spec.uuid, disk), disk.pool, facts[disk.target], images, known)
            else:
                raise StorageError(f"the source does not describe the disk {disk.target}")
        self._make_boot_files(spec, images)
        self.refuse_foreign(spec)

    def prepare_copy(
        self, spec: InstanceSpec, guest: GuestDescription, targets: Collection[str], images: Mapping[str, Path]
    ) -> None:
        """What must lie under and beside the files that are about to be copied: the images that the source's disks
        are backed by, kernel and ramdisk. Raises StorageError."""
        facts = {fact.target: fact for fact in guest.disks if fact.target in targets}
        known = {image.id: image for image in spec.images}
        for disk in spec.disks:
            if (fact := facts.get(disk.target)) is None:
                continue
            disk_headers.refuse_described(disk, fact)
            if (base := fact.backing_image_id) is not None:
                base_images.make(self._pool(disk.pool), _ref(base, known), images, self._base_locks)
        self._make_boot_files(spec, images)

    def check_complete(self, spec: InstanceSpec, places: Mapping[str, Path]) -> None:
        """Whether these directories (pool -> directory) hold every disk that the spec has in those pools, whole and not
        larger than the spec says. Raises StorageError."""
        known = {image.id: image for image in spec.images}
        for disk in spec.disks:
            if disk.pool not in places:
                continue
            path = places[disk.pool] / self.path(spec.uuid, disk).name
            if not path.exists():
                raise StorageError(f"{path} is missing: the instance has had other disks then")
            self._refuse_damaged(path, disk, known)
            size = qemu_img.info(path, disk.format)["virtual-size"] if disk.size_gb and not disk.config_drive else 0
            if size > disk.size_gb * GIB:
                raise StorageError(
                    f"{path} has {size} bytes, and the instance's flavor allows {disk.size_gb} GiB",
                    advice="give the instance a flavor with a disk as large, and restore then",
                )

    def remove(self, uuid: str, pools: Sequence[str], keep: Collection[str] = ()) -> None:
        """Delete what ``clearable`` names. Raises StorageError."""
        for home in self.clearable(uuid, pools, keep):
            try:
                shutil.rmtree(home)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError(f"cannot remove {home}: {error}") from error

    def clearable(self, uuid: str, pools: Sequence[str], keep: Collection[str]) -> list[Path]:
        """The instance's directories in these pools that may be taken away: not one in a pool whose identity, read now,
        is in ``keep``, nor while a process holds one of its files. A pool that this host does not have holds nothing.
        Raises StorageError."""
        own = [p for p in pools if p in self._pools and not (keep and self._identities.of(p) in keep)]
        homes = [home for home in (self.directory(uuid, pool) for pool in own) if home.is_dir()]
        for home in homes:
            refuse_in_use(home)
        return homes

    # parts
    def _pool(self, name: str) -> Path:
        if name not in self._pools:
            known = ", ".join(sorted(self._pools))
            raise StorageError(
                f"this host has no storage pool {name} (it has: {known})",
                advice="name the same pools in every agent's setting storage",
            )
        self._identities.check(name)
        return self._pools[name]

    def _first_pool(self, spec: InstanceSpec) -> str:
        return spec.home_pool or self._default

    def _pool_report(self, name: str) -> StoragePool:
        identity, pool = self._identities.of(name), self._pool(name)
        usage = os.statvfs(pool)
        total, free = (count * usage.f_frsize // GIB for count in (usage.f_blocks, usage.f_bavail))
        return StoragePool(
            identity=identity, path=str(pool), total_gb=total, free_gb=free, proof=self._identities.last_proof(name)
        )

    def _chain(self, file: Path, disk: DiskSpec, known: Mapping[str, ImageRef]) -> tuple[tuple[Path, str], ...]:
        image = None if disk.image_id is None else _ref(disk.image_id, known)
        return disk_headers.checked_chain(file, disk, self._pool(disk.pool), image)

    def _refuse_damaged(self, file: Path, disk: DiskSpec, known: Mapping[str, ImageRef]) -> None:
        image = None if disk.image_id is None else _ref(disk.image_id, known)
        self._whole.refuse_damaged(file, disk, self._pool(disk.pool), image)

    def _make_config_drive(self, spec: InstanceSpec, disk: DiskSpec, admin_pass: str | None) -> None:
        path = self.path(spec.uuid, disk)
        if not path.exists():
            publish(path, lambda part: config_drive.make(part, spec, admin_pass))

    def _make_one(self, uuid: str, disk: DiskSpec, images: Mapping[str, Path], known: Mapping[str, ImageRef]) -> None:
        path = self.path(uuid, disk)
        if path.exists():
            return
        size = disk.size_gb * GIB
        if disk.image_id is None:
            _create(path, disk.format, size)
            return
        ref, image = _ref(disk.image_id, known), fetched(disk.image_id, images)
        if (needed := qemu_img.image_size(image, ref.disk_format)) > size > 0:
            raise StorageError(f"the image {disk.image_id} needs {needed} bytes, its disk has only {size}")
        if disk.format == "raw":
            publish(path, lambda part: qemu_img.convert_to_raw(image, ref.disk_format, part, size))
        else:
            self._overlay(path, disk.pool, ref, images, size)

    def _make_target(
        self,
        path: Path,
        pool: str,
        source: DiskFact,
        images: Mapping[str, Path],
        known: Mapping[str, ImageRef],
    ) -> None:
        if path.exists():
            return
        if (base := source.backing_image_id) is None:
            _create(path, source.format, source.virtual_bytes)
        else:
            self._overlay(path, pool, _ref(base, known), images, source.virtual_bytes)

    def _overlay(self, path: Path, pool: str, image: ImageRef, images: Mapping[str, Path], size: int) -> None:
        base = base_images.make(self._pool(pool), image, images, self._base_locks)
        # A relative name stays true where another host mounts the same pool elsewhere.
        backing = f"../{BASE}/{base.name}"
        publish(path, lambda part: qemu_img.overlay(part, backing, image.disk_format, size))

    def _make_boot_files(self, spec: InstanceSpec, images: Mapping[str, Path]) -> None:
        files = self.boot_files(spec)
        for path, image_id in ((files.kernel, spec.kernel_id), (files.ramdisk, spec.ramdisk_id)):
            if path is not None and image_id is not None and not path.exists():
                publish(path, partial(shutil.copyfile, fetched(image_id, images)))


def _boot_fact(name: str, path: Path, pool: str) -> DiskFact:
    return DiskFact(target=name, path=str(path), pool=pool, exists=path.exists(), format="raw", readonly=True)


def _strange(found: Path, own: Path | None) -> bool:
    if own is None or not found.exists():
        return own is None
    return not (own.exists() and own.samefile(found))


def _refuse_missing(drive: Path) -> None:
    if not drive.exists():
        raise StorageError(
            f"the config drive {drive} has not come here from the source, and another one is not made in its stead",
            advice="see that the server is not older than this agent, and move the instance again",
        )


def _ref(image_id: str, known: Mapping[str, ImageRef]) -> ImageRef:
    """What the spec says of an image; one that it does not name is qcow2, with a content that nobody vouches for."""
    nameless = ImageRef(id=image_id, size_bytes=0, checksum_sha256="", disk_format="qcow2")
    return known.get(image_id, nameless)


def _create(path: Path, disk_format: str, size: int) -> None:
    if size <= 0:
        raise StorageError(f"{path} has neither an image nor a size")
    publish(path, lambda part: qemu_img.create(part, disk_format, size))
