"""How long a qcow2 file must be: the end of what its tables refer to, read in plain Python.

Owns the reading of the reference counts' table, and of the tables that say where a disk's clusters lie (QEMU's
docs/interop/qcow2.txt). A file that was cut refers to clusters behind its end. Opens nothing, changes nothing, and
reads the tables within a time, a part after the other. Never says whether the content is right.
"""

import os
import time
from array import array
from collections.abc import Callable, Iterator
from typing import BinaryIO

from migrator.errors import StorageError
from migrator.untrusted.qcow2_header import Qcow2Header

READ_S = 60.0  # in which every table has been read; 64 KiB of them stand for 512 MiB of a disk
_OFFSET = (1 << 56) - (1 << 9)
_COMPRESSED = 0x40  # in the highest byte of an entry
_SECTOR = 512
_ENTRIES = 8192  # of a table, read at once


def refuse_cut(file: BinaryIO, header: Qcow2Header, clock: Callable[[], float] = time.monotonic) -> None:
    """Raises StorageError for a file that ends before the last cluster that it refers to; OSError. QEMU writes a
    cluster before the table that names it, so this holds for a disk whose guest runs, too. Of its last cluster a file
    may lack a part, as QEMU itself allows."""
    wanted = _end(file, header, clock() + READ_S, clock)
    length = file.seek(0, os.SEEK_END)  # now, for a guest that runs may have made it longer by now
    if wanted - length >= header.cluster_bytes:
        raise StorageError(f"it was cut off: it has {length} bytes, and refers to {wanted}")


def _end(file: BinaryIO, header: Qcow2Header, until: float, clock: Callable[[], float]) -> int:
    end, cluster = 0, header.cluster_bytes
    for blocks in _offsets(file, header.refcounts_at, header.refcount_clusters * cluster // 8):
        end = max(end, *(at + cluster for at in blocks), 0)
    for tables in _offsets(file, header.l1_at, header.l1_entries):
        for at in tables:
            if clock() > until:
                raise StorageError(f"its tables could not be read within {READ_S:g} s")
            file.seek(at)
            end = max(end, at + cluster, _end_of_clusters(file.read(cluster), header))
    return end


def _offsets(file: BinaryIO, at: int, entries: int) -> Iterator[list[int]]:
    """Where the clusters lie that this table names, a part of it after the other: it may be very long. What a part
    names many times is read once."""
    for first in range(0, entries, _ENTRIES):
        file.seek(at + 8 * first)
        found = array("Q", _whole_entries(file.read(8 * min(_ENTRIES, entries - first))))
        found.byteswap()
        yield sorted({entry & _OFFSET for entry in found} - {0})


def _end_of_clusters(table: bytes, header: Qcow2Header) -> int:
    """The end of what one table of clusters refers to."""
    table = _whole_entries(table)
    step = 2 if header.extended_l2 else 1  # every second word says which parts of a cluster there are
    flags = set(table[:: 8 * step])
    if any(flag & _COMPRESSED for flag in flags):
        return max((_end_of_cluster(entry, header) for entry in _entries(table, step)), default=0)
    plain = bytearray(table)
    plain[::8] = bytes(len(plain) // 8)  # without flags, so that the largest entry is the farthest cluster
    farthest = max(_entries(plain, step), default=0) & _OFFSET
    return farthest + header.cluster_bytes if farthest else 0


def _end_of_cluster(entry: int, header: Qcow2Header) -> int:
    if not entry >> 56 & _COMPRESSED:
        at = entry & _OFFSET
        return at + header.cluster_bytes if at else 0
    bits = 62 - (header.cluster_bytes.bit_length() - 1 - 8)
    at, sectors = entry & ((1 << bits) - 1), (entry & ((1 << 62) - 1)) >> bits
    return at // _SECTOR * _SECTOR + (sectors + 1) * _SECTOR


def _entries(table: bytes | bytearray, step: int) -> Iterator[int]:
    found = array("Q", bytes(table))
    found.byteswap()
    return iter(found[::step])


def _whole_entries(table: bytes) -> bytes:
    return table[: len(table) // 8 * 8]
