"""What an image's bytes are, whatever somebody said of them: checks the declared format, finds the virtual size.

Owns the reading of headers of the formats that most images have, in plain Python: no program opens what a header
names. Formats that few use are read by qemu-img, under limits. Refuses every image that refers to another file: a
backing file, an external data file, extents. Never changes a file.
"""

import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from migrator.errors import StorageError
from migrator.process_limits import Limits, run

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
    (0, b"QFI\xfb", "qcow2"),
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
_HEADER = 104  # bytes of a qcow2 of version 3
_DATA_FILE, _CORRUPT, _KNOWN = 1 << 2, 1 << 1, 0b11111  # of qcow2's incompatible features
_DATA_FILE_NAME = 0x44415441  # a header extension
_L1_MAX = 32 * 1024**2  # QEMU's own limit


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


def _qcow2(file: BinaryIO, _image: Path, _format: str) -> int:
    header, length = file.read(_HEADER), file.seek(0, os.SEEK_END)
    if len(header) < 72:
        raise StorageError("the image is said to be qcow2, but ends within its header")
    version, backing, _, bits, size, crypt, l1_entries, l1_at, table_at = struct.unpack(">IQIIQIIQQ", header[4:56])
    features = struct.unpack(">Q", header[72:80])[0] if version == 3 and len(header) >= 80 else 0
    refusals = (
        (version not in (2, 3), f"is qcow2 of version {version}; 2 and 3 can be read"),
        (backing != 0, "refers to another file (a backing file); flatten it with qemu-img convert"),
        (
            bool(features & _DATA_FILE),
            "refers to another file (an external data file); flatten it with qemu-img convert",
        ),
        (bool(features & ~_KNOWN), f"needs features of qcow2 that are not known ({features & ~_KNOWN:#x})"),
        (bool(features & _CORRUPT), "is marked as corrupt; repair it with qemu-img check"),
        (crypt != 0, "is encrypted, and no host has its key"),
        (not 9 <= bits <= 21, f"has clusters of 2^{bits} bytes; 2^9 to 2^21 are possible"),
        (l1_entries * 8 > _L1_MAX, f"has {l1_entries} entries in its first table, more than QEMU reads"),
        (size >= 1 << 63, f"says that its disk has {size} bytes"),
        (table_at >= length or l1_at + 8 * l1_entries > length, "is cut off: its tables lie behind its end"),
    )
    for refused, words in refusals:
        if refused:
            raise StorageError(f"the image {words}")
    if version == 3:
        _refuse_data_file_name(file, header, min(1 << bits, length))
    return int(size)


def _refuse_data_file_name(file: BinaryIO, header: bytes, end: int) -> None:
    """The name of a data file without the feature that uses it has no honest purpose."""
    at = struct.unpack(">I", header[100:104])[0] if len(header) >= _HEADER else 72
    while at + 8 <= end:
        file.seek(at)
        kind, size = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
        if kind == 0:
            return
        if kind == _DATA_FILE_NAME:
            raise StorageError("the image names another file (an external data file)")
        at += 8 + (size + 7) // 8 * 8


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
