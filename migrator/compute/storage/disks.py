"""Disk files: made, grown, checked and removed.

Every file appears complete or not at all (``atomic_files``), where ``instance_files`` says. What is there is looked at
before a hypervisor opens it (``disk_headers``, ``whole_disks``). Never talks to libvirt.
"""

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from migrator.compute.storage import base_images, config_drive, disk_headers, qemu_img, saved_memory
from migrator.compute.storage.atomic_files import publish, refuse_in_use, remove_folder
from migrator.compute.storage.base_images import BASE, BaseLocks, fetched
from migrator.compute.storage.instance_files import InstanceFiles
from migrator.compute.storage.pools import GIB
from migrator.compute.storage.whole_disks import WholeDisks
from migrator.errors import StorageError
from migrator.protocol import (
    KERNEL,
    RAMDISK,
    DiskFact,
    DiskSpec,
    GuestDescription,
    ImageRef,
    InstanceSpec,
)

_NAMED_BY_LIBVIRT = ("raw", "qcow2", "vmdk", "vdi", "vpc")


class Disks(InstanceFiles):
    """All methods are safe to call again."""

    def __init__(
        self, pools: Mapping[str, Path], default_pool: str, kept: Path | None = None, host: str = "host"
    ) -> None:
        super().__init__(pools, default_pool, kept, host)
        self._base_locks = BaseLocks()
        self._whole = WholeDisks()

    def facts(self, spec: InstanceSpec) -> list[DiskFact]:
        """One fact per disk of the spec, existing or not; and for a root disk on a volume, which has no directory that
        tells, one each for kernel and ramdisk."""
        disks = [disk_headers.fact(self.path(spec.uuid, disk), disk) for disk in spec.disks]
        files = self.boot_files(spec)
        named = ((KERNEL, files.kernel), (RAMDISK, files.ramdisk)) if spec.state_pool else ()
        return disks + [_boot_fact(name, path, spec.state_pool) for name, path in named if path is not None]

    def memory_fact(self, spec: InstanceSpec) -> DiskFact:
        """The saved memory as a disk, existing or not."""
        return saved_memory.fact(self.memory(spec), self._first_pool(spec))

    def unknown_disks(self, spec: InstanceSpec, found: Mapping[str, str]) -> list[str]:
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
            remove_folder(home)

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
    """What the spec says of an image; an image that it does not name is qcow2, with a content without a checksum."""
    nameless = ImageRef(id=image_id, size_bytes=0, checksum_sha256="", disk_format="qcow2")
    return known.get(image_id, nameless)


def _create(path: Path, disk_format: str, size: int) -> None:
    if size <= 0:
        raise StorageError(f"{path} has neither an image nor a size")
    publish(path, lambda part: qemu_img.create(part, disk_format, size))
