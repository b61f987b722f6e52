"""What an instance's files name, looked at before a hypervisor opens them.

A host that a disk was copied from, or that shares the storage, can write any header into it; QEMU and libvirt open what
a header names, and the guest reads it. So a disk names nothing, or the image that the record says,
``../_base/<image id>``, in the record's format; that image names nothing; and every file is a plain one, in a directory
that is one. Read in plain Python, which opens nothing that is named. Never changes a file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from migrator.compute.storage.atomic_files import plain
from migrator.compute.storage.base_images import BASE
from migrator.errors import StorageError, UnsafeDisk
from migrator.protocol import DiskFact, DiskSpec, ImageRef
from migrator.untrusted import image_inspection, qcow2_header

_SECTOR = 512
_SHOWN = 200  # characters of a name that another host chose
_ADVICE = "find out who wrote it: the host that it came from, or one that shares the storage, may be broken into"


def checked_chain(file: Path, disk: DiskSpec, pool: Path, image: ImageRef | None) -> tuple[tuple[Path, str], ...]:
    """What lies under ``file``, with formats. Raises UnsafeDisk unless it is what the record says of the disk in this
    pool: ``image`` or nothing; a StorageError for a header that QEMU does not open."""
    with _plain_file(file) as opened:
        if disk.format != "qcow2":
            return ()  # a guest's own bytes: they are always opened as raw
        header = _header(opened, file)
    if header.data_file:
        raise UnsafeDisk(f"{file} keeps its data in another file, which its header names", advice=_ADVICE)
    if header.encrypted:
        raise UnsafeDisk(f"{file} is encrypted, and no host has its key", advice=_ADVICE)
    return () if header.backing is None else _checked_base(file, header, pool, image)


def refuse_link(file: Path) -> None:
    """Raises UnsafeDisk for what is no plain file: a link or a fifo leads elsewhere."""
    with _plain_file(file):
        pass


def refuse_described(disk: DiskSpec, said: DiskFact) -> None:
    """Raises UnsafeDisk where the source describes a disk in another way than the record: what is made here by its word
    would lie over another image."""
    if said.format != disk.format or said.backing_image_id not in (None, disk.image_id):
        over = f" over the image {said.backing_image_id}" if said.backing_image_id else ""
        wanted = f" over the image {disk.image_id}" if disk.image_id else ""
        raise UnsafeDisk(
            f"the source says that the disk {disk.target} is {said.format}{over}; the record has {disk.format}{wanted}",
            advice=_ADVICE,
        )


def fact(path: Path, disk: DiskSpec) -> DiskFact:
    """What is there, existing or not, safe or not. Raises StorageError for a header that QEMU does not open."""
    known = {"target": disk.target, "path": str(path), "pool": disk.pool, "readonly": disk.config_drive}
    try:
        found = path.stat()
        if not S_ISREG(found.st_mode):
            raise UnsafeDisk(f"{path} is no plain file", advice=_ADVICE)
        size, backing = -(-found.st_size // _SECTOR) * _SECTOR, ""
        if disk.format == "qcow2":
            with path.open("rb") as file:
                header = _header(file, path)
            size, backing = header.size, header.backing or ""
    except FileNotFoundError:
        return DiskFact(**known, exists=False, format=disk.format)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    name = Path(backing)
    return DiskFact(
        **known,
        exists=True,
        format=disk.format,
        virtual_bytes=size,
        allocated_bytes=found.st_blocks * _SECTOR,
        backing_image_id=name.name if name.parent.name == BASE and name.name.isprintable() else None,
    )


def _header(opened: BinaryIO, file: Path) -> qcow2_header.Qcow2Header:
    try:
        return qcow2_header.read(opened)
    except StorageError as error:
        raise type(error)(f"{file}: {error.message}", advice=error.advice) from error


def _checked_base(
    file: Path, header: qcow2_header.Qcow2Header, pool: Path, image: ImageRef | None
) -> tuple[tuple[Path, str]]:
    name = (header.backing or "")[:_SHOWN]
    wanted = None if image is None else f"../{BASE}/{plain(image.id)}"
    if image is None or header.backing != wanted:
        raise UnsafeDisk(f"{file} names the file {name!r} under it; the record has {wanted or 'none'}", advice=_ADVICE)
    if header.backing_format != image.disk_format:
        raise UnsafeDisk(
            f"{file} says that the image under it is {header.backing_format or 'to be guessed'}; "
            f"the record has {image.disk_format}",
            advice=_ADVICE,
        )
    base = pool / BASE / image.id
    try:
        if not os.path.lexists(base):
            return ((base, image.disk_format),)  # QEMU says so, too
        if base.is_symlink() or not base.is_file():
            raise StorageError("it is no plain file")
        image_inspection.virtual_size(base, image.disk_format)
    except StorageError as error:
        raise UnsafeDisk(f"{base}, which {file} lies over: {error.message}", advice=_ADVICE) from error
    return ((base, image.disk_format),)


@contextmanager
def _plain_file(file: Path) -> Iterator[BinaryIO]:
    """Open, if it is one."""
    try:
        if file.parent.is_symlink():
            raise UnsafeDisk(f"{file.parent} is a link to another directory", advice=_ADVICE)
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            if not S_ISREG(os.fstat(descriptor).st_mode):
                raise UnsafeDisk(f"{file} is no plain file", advice=_ADVICE)
            yield opened
    except OSError as error:
        if file.is_symlink():
            raise UnsafeDisk(f"{file} is a link to another file", advice=_ADVICE) from error
        raise StorageError(f"cannot read {file}: {error}") from error
