"""qemu-img: the one program that reads and makes disk images.

Owns its arguments and the reading of its answers. Formats are always said, never guessed: what a guest wrote into a
raw disk must not be taken for another format's header. Sizes are bytes. Everything raises StorageError.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from migrator.errors import StorageError

_REACH_S = 5.0  # in which a volume answers, or counts as out of reach


def info(path: Path, disk_format: str) -> dict[str, Any]:
    """Facts of a disk that a running guest may hold: reading the header needs no lock."""
    facts: dict[str, Any] = json.loads(
        _run("info", "--force-share", "--output=json", "-f", disk_format, str(path)),
    )
    return facts


def volume_bytes(source: str) -> int:
    """Size of a volume, by really connecting to it. Reads nothing, and writes nothing."""
    facts: dict[str, Any] = json.loads(
        _run("info", "--force-share", "--output=json", "-f", "raw", source, timeout_s=_REACH_S),
    )
    return int(facts["virtual-size"])


def image_size(image: Path, image_format: str) -> int:
    """Virtual size of an image. Refuses one that names files of its own choosing: a backing file, a data file, or
    extents (vmdk). The guest could read them, and qemu-img opens extents for a mere look: a fifo would hang us."""
    if image_format == "vmdk" and _list_of_extents(image):
        raise StorageError(f"the image {image.name} refers to another file")
    facts = info(image, image_format)
    inside = facts.get("format-specific", {}).get("data", {})
    extents = [extent.get("filename") for extent in inside.get("extents", ())]
    named = [facts.get("backing-filename"), inside.get("data-file"), *extents]
    others = [name for name in named if name and name != str(image)]
    if others:
        raise StorageError(f"the image {image.name} refers to another file ({', '.join(others)})")
    return int(facts["virtual-size"])


def _list_of_extents(image: Path) -> bool:
    """Whether a vmdk is a list of files, on its own or behind a header with a capacity of 0."""
    try:
        with image.open("rb") as file:
            head = file.read(20)
    except OSError as error:
        raise StorageError(f"cannot read the image {image}: {error}") from error
    return head[:4] != b"KDMV" or not any(head[12:20])


def create(path: Path, disk_format: str, size: int) -> None:
    """An empty disk."""
    _run("create", "-q", "-f", disk_format, str(path), str(size))


def overlay(path: Path, backing: str, backing_format: str, size: int) -> None:
    """A copy-on-write disk over ``backing``, a path relative to it. Size 0: the backing file's own."""
    arguments = ["create", "-q", "-f", "qcow2", "-F", backing_format, "-b", backing, str(path)]
    _run(*arguments, *([str(size)] if size else []))


def convert_to_raw(image: Path, image_format: str, path: Path, size: int) -> None:
    """A raw copy of an image, ``size`` large (0: as large as the image)."""
    _run("convert", "-f", image_format, "-O", "raw", str(image), str(path))
    if size:
        resize(path, "raw", size)


def resize(path: Path, disk_format: str, size: int) -> None:
    """Make a disk larger. qemu-img itself refuses one that a process holds."""
    _run("resize", "-q", "-f", disk_format, str(path), str(size))


def _run(*arguments: str, timeout_s: float | None = None) -> str:
    try:
        done = subprocess.run(["qemu-img", *arguments], capture_output=True, text=True, check=True, timeout=timeout_s)
    except FileNotFoundError as error:
        raise StorageError("qemu-img is not installed", advice="install the package qemu-utils") from error
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"qemu-img {arguments[0]} had no answer within {error.timeout:g} s") from error
    except subprocess.CalledProcessError as error:
        raise StorageError(f"qemu-img {arguments[0]} failed: {error.stderr.strip()}") from error
    return done.stdout
