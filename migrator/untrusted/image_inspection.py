"""What an image's bytes are, whatever a client said of them: checks the declared format, finds the virtual size.

Owns the reading of headers of the formats that most images have, in plain Python: no program opens what a header
names. Formats and parts of them that few use are read by qemu-img, under limits. Refuses every image that refers to
another file: a backing file, an external data file, extents. Never changes a file.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from migrator.errors import StorageError
from migrator.untrusted import qcow2_header
from migrator.untrusted.process_limits import Limits, run

# disk_format of the Images API -> QEMU's name. A CD-ROM's content is written to the disk as it is.
QEMU_FORMATS: Mapping[str, str] = {
    "qcow2": "qcow2",
    "raw": "raw",
    "iso": "raw",
    "vmdk": "vmdk",
    "vdi": "vdi",
    "vhd": "vpc",
    "vhdx": "vhdx",
}
BOOT_FILES = ("aki", "ari")  # kernels and ramdisks: opaque, and never a disk
QEMU_IMG = "qemu-utils"  # its package

_ISO_AT, _ISO = 0x8001, b"CD001"
# Beginnings by which another format is known: (offset, bytes, format)
_MAGIC = (
    (0, qcow2_header.MAGIC, "qcow2"),
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vhd"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"QED\0", "qed"),
    (0, b"OOOM", "cow"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
)
_VHD_FOOTER = 512  # from the end


def virtual_size(image: Path, disk_format: str) -> int:
    """The size (bytes) of the disk that a guest sees, of an image in the ``disk_format`` of the Images API, or in
    QEMU's. Raises StorageError for content in another format and for a reference to another file."""
    try:
        with image.open("rb") as file:
            found = _recognize(file)
            wanted = _expected(disk_format)
            if found - wanted or (disk_format in ("qcow2", "iso") and wanted - found):
                named = " and ".join(sorted(found)) or "none of the formats that are known"
                raise StorageError(f"the image is said to be {disk_format}, but its content is {named}")
            return _READERS.get(disk_format, _by_qemu_img)(file, image, disk_format)
    except OSError as error:
        raise StorageError(f"cannot read the image {image}: {error}") from error


def _expected(disk_format: str) -> set[str]:
    """An ISO may be called raw: it often is, for it is written to a disk byte by byte."""
    if disk_format == "raw":
        return {"iso"}
    return {{"vpc": "vhd"}.get(disk_format, disk_format)}


def _recognize(file: BinaryIO) -> set[str]:
    head = file.read(_ISO_AT + len(_ISO))
    found = {name for at, magic, name in _MAGIC if head[at : at + len(magic)] == magic}
    if head[_ISO_AT:] == _ISO:
        found.add("iso")
    if file.seek(0, os.SEEK_END) >= _VHD_FOOTER:
        file.seek(-_VHD_FOOTER, os.SEEK_END)
        if file.read(8) == b"conectix":
            found.add("vhd")
    file.seek(0)
    return found


def _raw(file: BinaryIO, _image: Path, _format: str) -> int:
    return file.seek(0, os.SEEK_END)


def _qcow2(file: BinaryIO, image: Path, disk_format: str) -> int:
    header = qcow2_header.read(file)
    refusals = (
        (header.backing is not None, "refers to another file (a backing file); flatten it with qemu-img convert"),
        (header.data_file, "refers to another file (an external data file); flatten it with qemu-img convert"),
        (header.corrupt, "is marked as corrupt; repair it with qemu-img check"),
        (header.encrypted, "is encrypted, and no host has its key"),
    )
    for refused, message in refusals:
        if refused:
            raise StorageError(f"the image {message}")
    return _by_qemu_img(file, image, disk_format) if header.rare else header.size


def _by_qemu_img(file: BinaryIO, image: Path, disk_format: str) -> int:
    """A vmdk may be a list of files, on its own or behind a header with a capacity of 0; qemu-img opens extents for a
    mere look, so these are refused before: a fifo would hold it up."""
    head = file.read(20)
    if disk_format == "vmdk" and (head[:4] != b"KDMV" or not any(head[12:20])):
        raise StorageError(f"the image {image.name} refers to another file")
    name = QEMU_FORMATS.get(disk_format, disk_format)
    answer = run("qemu-img", ["info", "--output=json", "-f", name, str(image)], Limits(), package=QEMU_IMG)
    facts: dict[str, Any] = json.loads(answer)
    extents = [extent.get("filename") for extent in _inside(facts).get("extents", ())]
    others = [name for name in (facts.get("backing-filename"), *extents) if name and name != str(image)]
    if others:
        raise StorageError(f"the image {image.name} refers to another file ({', '.join(others)})")
    return int(facts["virtual-size"])


def _inside(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    data: Mapping[str, Any] = facts.get("format-specific", {}).get("data", {})
    return data


_READERS: Mapping[str, Callable[[BinaryIO, Path, str], int]] = {"qcow2": _qcow2, "raw": _raw, "iso": _raw}
