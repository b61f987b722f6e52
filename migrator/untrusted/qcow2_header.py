"""The header of a qcow2 file, read in plain Python: what size it says, and which other files it names.

Owns the format's fields and what of them QEMU refuses to open (``qcow2_do_open`` in QEMU's block/qcow2.c, and
docs/interop/qcow2.txt). Opens nothing that a header names, never changes a file, and does not decide whether a name is
allowed: ``image_inspection`` does for images, ``compute/disk_headers`` for disks.
"""

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from migrator.errors import StorageError

MAGIC = b"QFI\xfb"
_V2_BYTES, _V3_BYTES = 72, 104
_CORRUPT, _DATA_FILE, _ZSTD, _EXTENDED_L2, _KNOWN = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 0b11111
_END, _BACKING_FORMAT, _DATA_FILE_NAME, _FEATURE_NAMES = 0, 0xE2792ACA, 0x44415441, 0x6803F857
_PLAIN = (_BACKING_FORMAT, _DATA_FILE_NAME, _FEATURE_NAMES)  # extensions that are understood here
_L1_MAX, _REFCOUNTS_MAX, _SNAPSHOTS_MAX = 32 * 1024**2, 8 * 1024**2, 65536  # QEMU's own limits; bytes, bytes, entries
_NAME_MAX, _FORMAT_MAX = 1023, 15


@dataclass(frozen=True, slots=True)
class Qcow2Header:
    """``size``: bytes that a guest sees. ``backing``, ``backing_format``: the name of the file below, and its format;
    None where the header has none. ``rare``: it has parts of which only QEMU can tell whether they are sound. Where its
    tables lie, ``qcow2_clusters`` asks."""

    size: int
    backing: str | None
    backing_format: str | None
    data_file: bool  # needs an external data file, or names one
    encrypted: bool
    corrupt: bool
    rare: bool
    cluster_bytes: int
    l1_at: int
    l1_entries: int
    refcounts_at: int
    refcount_clusters: int
    extended_l2: bool


@dataclass(frozen=True, slots=True)
class _Fields:
    version: int
    backing_at: int
    backing_bytes: int
    bits: int
    size: int
    crypt: int
    l1_entries: int
    l1_at: int
    refcounts_at: int
    refcount_clusters: int
    snapshots: int
    snapshots_at: int
    features: int = 0
    refcount_order: int = 4
    length: int = _V2_BYTES
    compression: int = 0


def read(file: BinaryIO) -> Qcow2Header:
    """Raises StorageError for a header that QEMU would not open; OSError."""
    length = file.seek(0, os.SEEK_END)
    fields = _fields(_at(file, 0, _V3_BYTES + 8))
    for refused, message in (*_refused_header(fields), *_refused_tables(fields, length)):
        if refused:
            raise StorageError(f"the image {message}")
    found = _extensions(file, fields, length)
    name = _at(file, fields.backing_at, fields.backing_bytes) if fields.backing_at else None
    backing_format = found.get(_BACKING_FORMAT)
    return Qcow2Header(
        size=fields.size,
        backing=None if name is None else name.decode(errors="backslashreplace"),
        backing_format=None if backing_format is None else backing_format.decode(errors="backslashreplace"),
        data_file=bool(fields.features & _DATA_FILE) or _DATA_FILE_NAME in found,
        encrypted=fields.crypt != 0,
        corrupt=bool(fields.features & _CORRUPT),
        rare=fields.snapshots > 0 or bool(found.keys() - set(_PLAIN)),
        cluster_bytes=1 << fields.bits,
        l1_at=fields.l1_at,
        l1_entries=fields.l1_entries,
        refcounts_at=fields.refcounts_at,
        refcount_clusters=fields.refcount_clusters,
        extended_l2=bool(fields.features & _EXTENDED_L2),
    )


def _fields(head: bytes) -> _Fields:
    if len(head) < _V2_BYTES or head[:4] != MAGIC:
        raise StorageError("the image is said to be qcow2, but ends within its header, or has none")
    old = _Fields(*struct.unpack(">IQIIQIIQQIIQ", head[4:_V2_BYTES]))
    if old.version == 2:
        return old
    new = struct.unpack(">QQQIIB", head[_V2_BYTES : _V3_BYTES + 1].ljust(_V3_BYTES + 1 - _V2_BYTES, b"\0"))
    features, _, _, order, length, compression = new
    values = {name: getattr(old, name) for name in tuple(_Fields.__dataclass_fields__)[:12]}
    compression = compression if length > _V3_BYTES else 0
    return _Fields(**values, features=features, refcount_order=order, length=length, compression=compression)


def _refused_header(f: _Fields) -> tuple[tuple[bool, str], ...]:
    """The first that holds is told; a later one may rely on the earlier ones."""
    cluster, unknown = 1 << min(f.bits, 21), f.features & ~_KNOWN
    return (
        (f.version not in (2, 3), f"is qcow2 of version {f.version}; 2 and 3 can be read"),
        (not 9 <= f.bits <= 21, f"has clusters of 2^{f.bits} bytes; 2^9 to 2^21 are possible"),
        (
            f.version == 3 and not _V3_BYTES <= f.length <= cluster,
            f"says that its header has {f.length} bytes; {_V3_BYTES} to {cluster} are possible",
        ),
        (bool(unknown), f"needs features of qcow2 that are not known ({unknown:#x})"),
        (f.compression > 1, f"is compressed in a way that is not known ({f.compression})"),
        (
            bool(f.features & _ZSTD) != (f.compression == 1),
            "contradicts itself about its compression: the feature and the type do not fit",
        ),
        (f.refcount_order > 6, f"counts references with 2^{f.refcount_order} bits; 2^6 are the most"),
        (f.backing_at > cluster, "names a backing file behind its first cluster"),
        (
            bool(f.backing_at) and f.backing_bytes > min(_NAME_MAX, cluster - f.backing_at),
            f"names a backing file with {f.backing_bytes} bytes, more than QEMU reads",
        ),
    )


def _refused_tables(f: _Fields, length: int) -> tuple[tuple[bool, str], ...]:
    """Of a header that is sound on its own."""
    cluster, needed = 1 << min(f.bits, 21), -(-f.size // _covered(f))
    unaligned = any(at % cluster for at in (f.l1_at, f.refcounts_at, f.snapshots_at))
    return (
        (f.l1_entries * 8 > _L1_MAX, f"has {f.l1_entries} entries in its first table, more than QEMU reads"),
        (f.size >= 1 << 63, f"says that its disk has {f.size} bytes"),
        (f.l1_entries < needed, f"has {f.l1_entries} entries in its first table, and its size needs {needed}"),
        (f.refcount_clusters == 0, "has no table of reference counts"),
        (
            f.refcount_clusters * cluster > _REFCOUNTS_MAX,
            f"has {f.refcount_clusters} clusters of reference counts, more than QEMU reads",
        ),
        (f.snapshots > _SNAPSHOTS_MAX, f"has {f.snapshots} snapshots, more than QEMU reads"),
        (
            max(f.refcounts_at, f.l1_at + 8 * f.l1_entries - 1, f.snapshots_at if f.snapshots else 0) >= length
            or f.snapshots_at >= 1 << 63,
            "is cut off: its tables lie behind its end",
        ),
        (unaligned, "has tables that do not begin where a cluster does"),
    )


def _covered(f: _Fields) -> int:
    """Bytes of the disk that one entry of the first table stands for."""
    bits = min(max(f.bits, 9), 21)
    return int(1 << (bits + bits - (4 if f.features & _EXTENDED_L2 else 3)))


def _extensions(file: BinaryIO, f: _Fields, length: int) -> dict[int, bytes]:
    """Kind -> the beginning of its content, of every extension of the header."""
    at, end = f.length, min(f.backing_at or 1 << f.bits, length)
    found: dict[int, bytes] = {}
    while at + 8 <= end:
        kind, size = struct.unpack(">II", _at(file, at, 8).ljust(8, b"\0"))
        if kind == _END:
            break
        if size > end - at - 8:
            raise StorageError("the image has an extension of its header that does not end within its first cluster")
        if kind == _BACKING_FORMAT and size > _FORMAT_MAX:
            raise StorageError(f"the image names the format of its backing file with {size} bytes")
        found[kind] = _at(file, at + 8, min(size, _NAME_MAX))
        at += 8 + (size + 7) // 8 * 8
    return found


def _at(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)
