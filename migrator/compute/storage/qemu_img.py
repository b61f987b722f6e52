"""qemu-img: the one program that reads and makes disk images.

Owns its arguments, its limits and the reading of its answers. Formats are always said, never guessed: what a guest
wrote into a raw disk must not be taken for another format's header. Sizes are bytes. Everything raises StorageError.
"""

import json
from pathlib import Path
from typing import Any

from migrator.untrusted import image_inspection
from migrator.untrusted.process_limits import Limits, run

_REACH_S = 5.0  # in which a volume answers, or counts as out of reach
_MIB = 1024**2
_READING = Limits()
# A conversion may take as long as its output is large, at these rates (bytes/s) and no slower.
_BEGIN_S, _SLOWEST, _SLOWEST_CPU = 600, 5 * _MIB, 20 * _MIB


def info(path: Path, disk_format: str) -> dict[str, Any]:
    """Facts of a disk that a running guest may hold: reading the header needs no lock."""
    facts: dict[str, Any] = json.loads(
        _run("info", "--force-share", "--output=json", "-f", disk_format, str(path)),
    )
    return facts


def volume_bytes(source: str) -> int:
    """Size of a volume, by really connecting to it. Reads nothing, and writes nothing."""
    facts: dict[str, Any] = json.loads(
        _run("info", "--force-share", "--output=json", "-f", "raw", source, limits=Limits(wall_s=_REACH_S)),
    )
    return int(facts["virtual-size"])


def image_size(image: Path, image_format: str) -> int:
    """Virtual size of an image. Refuses one that names files of its own choosing, which the guest could read: a backing
    file, a data file, or extents."""
    return image_inspection.virtual_size(image, image_format)


def create(path: Path, disk_format: str, size: int) -> None:
    """An empty disk."""
    _run("create", "-q", "-f", disk_format, str(path), str(size))


def overlay(path: Path, backing: str, backing_format: str, size: int) -> None:
    """A copy-on-write disk over ``backing``, a path relative to it. Size 0: the backing file's own."""
    arguments = ["create", "-q", "-f", "qcow2", "-F", backing_format, "-b", backing, str(path)]
    _run(*arguments, *([str(size)] if size else []))


def convert_to_raw(image: Path, image_format: str, path: Path, size: int) -> None:
    """A raw copy of an image, ``size`` large (0: as large as the image)."""
    _run("convert", "-f", image_format, "-O", "raw", str(image), str(path), limits=_converting(image, image_format))
    if size:
        resize(path, "raw", size)


def resize(path: Path, disk_format: str, size: int) -> None:
    """Make a disk larger. qemu-img itself refuses one that a process holds."""
    _run("resize", "-q", "-f", disk_format, str(path), str(size))


def _converting(image: Path, image_format: str) -> Limits:
    size = image_size(image, image_format)
    return Limits(cpu_s=_BEGIN_S + size // _SLOWEST_CPU, wall_s=_BEGIN_S + size / _SLOWEST, file_mb=size // _MIB + 1)


def _run(*arguments: str, limits: Limits = _READING) -> str:
    return run("qemu-img", arguments, limits, package=image_inspection.QEMU_IMG)
