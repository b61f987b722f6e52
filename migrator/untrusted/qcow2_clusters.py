"""How long a qcow2 file must be: the end of what its tables refer to, read in plain Python.

Owns the reading of the reference counts' table, and of the tables that say where a disk's clusters lie (QEMU's
docs/interop/qcow2.txt). A file that was cut refers to clusters behind its end. Opens nothing, changes nothing, and
reads the tables one after the other, so that a caller may stop and go on. Never says whether the content is right.
"""

import os
from array import array
from collections.abc import Callable, Iterator
from typing import BinaryIO

from migrator.untrusted.qcow2_header import Qcow2Header

_OFFSET = (1 << 56) - (1 << 9)
_COMPRESSED = 0x40  # in the highest byte of an entry
_SECTOR = 512
_ENTRIES = 8192  # of a table, read at once


class TableReading:
    """The tables of one file, read once. Keeps where it is, and at most one part of a table.

    QEMU writes a cluster before the table that names it, so a file that a guest writes to may be read then, and
    with pauses: what is added later lies before the file's end, too."""

    def __init__(self, header: Qcow2Header) -> None:
        self.header = header
        self.read_share = 0.0  # of the tables, 0 to 1
        self._end = 0
        self._done = False
        self._file: BinaryIO
        self._steps = self._read()

    def advance(self, file: BinaryIO, enough: Callable[[], bool]) -> bool:
        """Read on, from ``file`` as it is opened now, until ``enough``: at least one table. Whether every table was
        read. Raises OSError, after which this reading cannot go on."""
        self._file = file
        for _ in self._steps:
            if enough():
                break
        return self._done

    def problem(self, file: BinaryIO) -> str:
        """When every table was read: what is wrong with a file that ends before the last cluster that it refers to; ""
        for a whole one. Of its last cluster a file may lack a part, as QEMU itself allows. Raises OSError."""
        length = file.seek(0, os.SEEK_END)  # now, for a guest that runs may have made it longer by now
        if self._end - length >= self.header.cluster_bytes:
            return f"it was cut off: it has {length} bytes, and refers to {self._end}"
        return ""

    def _read(self) -> Iterator[None]:
        cluster, header = self.header.cluster_bytes, self.header
        for blocks in self._offsets(header.refcounts_at, header.refcount_clusters * cluster // 8):
            self._end = max(self._end, *(at + cluster for at in blocks), 0)
            yield
        for first, tables in enumerate(self._offsets(header.l1_at, header.l1_entries)):
            for number, at in enumerate(tables):
                self._file.seek(at)
                self._end = max(self._end, at + cluster, _end_of_clusters(self._file.read(cluster), header))
                self.read_share = min(1.0, (first * _ENTRIES + number) / header.l1_entries)
                yield
        self._done = True

    def _offsets(self, at: int, entries: int) -> Iterator[list[int]]:
        """Where the clusters lie that this table names, a part of it after the other: it may be very long. What a part
        names many times is read once."""
        for first in range(0, entries, _ENTRIES):
            self._file.seek(at + 8 * first)
            found = array("Q", _whole_entries(self._file.read(8 * min(_ENTRIES, entries - first))))
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
