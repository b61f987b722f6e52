"""Disk files and the directories (storage pools) they live in.

Owns every path below a pool: ``<pool>/<uuid>/disk`` (vda), ``disk.vdb``, ``kernel``, ``ramdisk``, the shared
``<pool>/_base/<image id>`` that overlays are backed by, and the marker ``.migrator-storage-id``. A file appears under
its name only when it is complete and on the disk: made under another name, synced, then linked, and whoever links
second keeps the first one's file, so that two hosts may race on a shared filesystem. Never talks to libvirt.
"""

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from migrator.errors import StorageError
from migrator.protocol import DiskFact, DiskSpec, GuestDescription, InstanceSpec, StoragePool

MARKER = ".migrator-storage-id"
BASE = "_base"
PART = ".part"
STALE_S = 24 * 3600
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class BootFiles:
    kernel: Path | None
    ramdisk: Path | None


class Disks:
    """The pools of one host (``pools``: name -> directory). All methods are safe to call again."""

    def __init__(self, pools: Mapping[str, Path], default_pool: str) -> None:
        self._pools = dict(pools)
        self._default = default_pool
        # Builds that need the same new base wait for one copy instead of making one each.
        self._making = threading.Lock()

    # where things are
    def directory(self, uuid: str, pool: str) -> Path:
        """The instance's directory in a pool. Raises StorageError for a pool this host does not have."""
        return self._pool(pool) / str(UUID(uuid))

    def path(self, uuid: str, disk: DiskSpec) -> Path:
        name = "disk" if disk.target == "vda" else f"disk.{_plain(disk.target)}"
        return self.directory(uuid, disk.pool) / name

    def boot_files(self, spec: InstanceSpec) -> BootFiles:
        """Where kernel and ramdisk of the spec lie: beside the first disk, or in the default pool."""
        home = self.directory(spec.uuid, self._boot_pool(spec))
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
        """Pool name -> storage identity; pools with equal ones, on whatever host, are the same storage."""
        return {name: self._identity(self._pool(name)) for name in self._pools}

    def free_bytes(self) -> dict[str, int]:
        return {name: _free_bytes(self._pool(name)) for name in self._pools}

    # disks
    def facts(self, spec: InstanceSpec) -> list[DiskFact]:
        """One fact per disk of the spec, existing or not."""
        return [self._fact(spec.uuid, disk) for disk in spec.disks]

    def make(self, spec: InstanceSpec, images: Mapping[str, Path]) -> None:
        """Make what is missing of the spec's disks, kernel and ramdisk. Raises StorageError."""
        formats = {image.id: image.disk_format for image in spec.images}
        with self._making:
            for disk in spec.disks:
                self._make_one(spec.uuid, disk, images, formats)
            self._make_boot_files(spec, images)

    def make_targets(self, spec: InstanceSpec, guest: GuestDescription, images: Mapping[str, Path]) -> None:
        """Empty disks of the source's size, over the same backing image, in the pools not shared with the source."""
        own, facts = self.identities(), {fact.target: fact for fact in guest.disks}
        formats = {image.id: image.disk_format for image in spec.images}
        with self._making:
            for disk in spec.disks:
                if own.get(disk.pool) == guest.storage.get(disk.pool, ""):
                    continue
                if disk.target not in facts:
                    raise StorageError(f"the source does not describe the disk {disk.target}")
                self._make_target(self.path(spec.uuid, disk), disk.pool, facts[disk.target], images, formats)
            self._make_boot_files(spec, images)

    def remove(self, uuid: str, pools: Sequence[str]) -> None:
        """Delete the instance's directory in these pools. A pool that this host does not have holds nothing."""
        for pool in pools:
            if pool not in self._pools:
                continue
            try:
                shutil.rmtree(self.directory(uuid, pool))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError(f"cannot remove {self.directory(uuid, pool)}: {error}") from error

    # parts
    def _pool(self, name: str) -> Path:
        if name not in self._pools:
            known = ", ".join(sorted(self._pools))
            raise StorageError(
                f"this host has no storage pool {name} (it has: {known})",
                advice="name the same pools in every agent's setting storage",
            )
        return self._pools[name]

    def _boot_pool(self, spec: InstanceSpec) -> str:
        return spec.disks[0].pool if spec.disks else self._default

    def _pool_report(self, name: str) -> StoragePool:
        pool = self._pool(name)
        identity = self._identity(pool)
        usage = os.statvfs(pool)
        total, free = (count * usage.f_frsize // GIB for count in (usage.f_blocks, usage.f_bavail))
        return StoragePool(identity=identity, path=str(pool), total_gb=total, free_gb=free)

    def _identity(self, pool: Path) -> str:
        marker = pool / MARKER
        try:
            pool.mkdir(parents=True, exist_ok=True)
            if not marker.exists():
                identity = str(uuid4())
                _publish(marker, lambda part: part.write_text(identity + "\n"))
            return str(UUID(marker.read_text().strip()))
        except (OSError, ValueError) as error:
            raise StorageError(f"cannot read the storage identity {marker}: {error}") from error

    def _fact(self, uuid: str, disk: DiskSpec) -> DiskFact:
        path = self.path(uuid, disk)
        if not path.exists():
            return DiskFact(target=disk.target, path=str(path), pool=disk.pool, exists=False, format=disk.format)
        info = _info(path)
        backing = Path(info.get("backing-filename", ""))
        return DiskFact(
            target=disk.target,
            path=str(path),
            pool=disk.pool,
            exists=True,
            format=info["format"],
            virtual_bytes=info["virtual-size"],
            allocated_bytes=info.get("actual-size", 0),
            backing_image_id=backing.name if backing.parent.name == BASE else None,
        )

    def _make_one(self, uuid: str, disk: DiskSpec, images: Mapping[str, Path], formats: Mapping[str, str]) -> None:
        path = self.path(uuid, disk)
        if path.exists():
            return
        size = disk.size_gb * GIB
        if disk.image_id is None:
            _create(path, disk.format, size)
            return
        image, image_format = _image(disk.image_id, images), formats.get(disk.image_id, "qcow2")
        if size and (needed := _checked_info(image, image_format)["virtual-size"]) > size:
            raise StorageError(f"the image {disk.image_id} needs {needed} bytes, its disk has only {size}")
        if disk.format == "raw":
            _publish(path, lambda part: _convert_to_raw(image, image_format, part, size))
        else:
            self._overlay(path, disk.pool, disk.image_id, image, image_format, size)

    def _make_target(
        self,
        path: Path,
        pool: str,
        source: DiskFact,
        images: Mapping[str, Path],
        formats: Mapping[str, str],
    ) -> None:
        if path.exists():
            return
        if (base := source.backing_image_id) is None:
            _create(path, source.format, source.virtual_bytes)
        else:
            image_format = formats.get(base, "qcow2")
            self._overlay(path, pool, base, _image(base, images), image_format, source.virtual_bytes)

    def _overlay(self, path: Path, pool: str, image_id: str, image: Path, image_format: str, size: int) -> None:
        base = self._pool(pool) / BASE / _plain(image_id)
        if not base.exists():
            _checked_info(image, image_format)
            _publish(base, partial(shutil.copyfile, image))
        # A relative name stays true where another host mounts the same pool elsewhere.
        backing = f"../{BASE}/{base.name}"
        arguments = ["create", "-q", "-f", "qcow2", "-F", image_format, "-b", backing]
        _publish(path, lambda part: _qemu_img(*arguments, str(part), *([str(size)] if size else [])))

    def _make_boot_files(self, spec: InstanceSpec, images: Mapping[str, Path]) -> None:
        files = self.boot_files(spec)
        for path, image_id in ((files.kernel, spec.kernel_id), (files.ramdisk, spec.ramdisk_id)):
            if path is not None and image_id is not None and not path.exists():
                _publish(path, partial(shutil.copyfile, _image(image_id, images)))


def _plain(name: str) -> str:
    """``name``, if it cannot lead out of its directory."""
    if not name or "/" in name or name.startswith("."):
        raise StorageError(f"{name!r} cannot be the name of a file")
    return name


def _image(image_id: str, images: Mapping[str, Path]) -> Path:
    if image_id not in images:
        raise StorageError(f"the file of the image {image_id} was not fetched")
    return images[image_id]


def _publish(path: Path, make: Callable[[Path], Any]) -> None:
    """Make ``path`` appear complete or not at all; an existing one wins. Raises StorageError."""
    part = path.parent / f".{path.name}.{uuid4().hex}{PART}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop_stale_parts(path)
        make(part)
        _sync(part)
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
        _sync(path.parent)
    except OSError as error:
        raise StorageError(f"cannot make {path}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _drop_stale_parts(path: Path) -> None:
    """What a killed process left half made. Another host's work in progress is younger than that."""
    for part in path.parent.glob(f".{path.name}.*{PART}"):
        with contextlib.suppress(FileNotFoundError):
            if part.stat().st_mtime < time.time() - STALE_S:
                part.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(path: Path, disk_format: str, size: int) -> None:
    if size <= 0:
        raise StorageError(f"{path} has neither an image nor a size")
    _publish(path, lambda part: _qemu_img("create", "-q", "-f", disk_format, str(part), str(size)))


def _convert_to_raw(image: Path, image_format: str, part: Path, size: int) -> None:
    _qemu_img("convert", "-f", image_format, "-O", "raw", str(image), str(part))
    if size:
        _qemu_img("resize", "-q", "-f", "raw", str(part), str(size))


def _info(path: Path) -> dict[str, Any]:
    # --force-share: a running guest holds the lock, and reading the header needs none.
    facts: dict[str, Any] = json.loads(_qemu_img("info", "--force-share", "--output=json", str(path)))
    return facts


def _checked_info(image: Path, image_format: str) -> dict[str, Any]:
    """An image's facts. Refuses one that names files of its own choosing as its backing or data file."""
    facts: dict[str, Any] = json.loads(
        _qemu_img("info", "--force-share", "--output=json", "-f", image_format, str(image))
    )
    extra = facts.get("format-specific", {}).get("data", {}).get("data-file")
    if facts.get("backing-filename") or extra:
        raise StorageError(f"the image {image.name} refers to another file ({facts.get('backing-filename', extra)})")
    return facts


def _qemu_img(*arguments: str) -> str:
    try:
        done = subprocess.run(["qemu-img", *arguments], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise StorageError("qemu-img is not installed", advice="install the package qemu-utils") from error
    except subprocess.CalledProcessError as error:
        raise StorageError(f"qemu-img {arguments[0]} failed: {error.stderr.strip()}") from error
    return done.stdout


def _free_bytes(pool: Path) -> int:
    try:
        pool.mkdir(parents=True, exist_ok=True)
        usage = os.statvfs(pool)
    except OSError as error:
        raise StorageError(f"cannot look at the storage pool {pool}: {error}") from error
    return usage.f_bavail * usage.f_frsize
