"""Files that libvirt offers to other hosts: storage pools, and what is read through them."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libvirt

from migrator.compute.libvirt.bindings.connections import unless
from migrator.compute.libvirt.xml import pool as pool_xml

# Rather small: larger buffers are mapped and unmapped by the C library for each call, and seldom filled.
CHUNK_BYTES = 128 * 1024
_AT_HOLE = -3  # in place of data: a hole is next


def open_pool(connection: Any, name: str, directory: Path) -> None:
    """Make the files of a directory readable through this libvirtd; no-op where they are."""
    with unless(libvirt.VIR_ERR_NO_STORAGE_POOL):
        if connection.storagePoolLookupByTargetPath(str(directory)).isActive():
            return
    connection.storagePoolCreateXML(pool_xml.pool(name, directory))


def close_pools(connection: Any, prefix: str) -> None:
    """Forget the pools whose names begin so. No file is touched."""
    for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        if pool.name().startswith(prefix):
            with unless(libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_OPERATION_INVALID):
                pool.destroy()


def file_size(connection: Any, path: str) -> int | None:
    """Bytes of a file in a pool (not of the disk in it); None for a file that is in none."""
    volume = _volume(connection, path)
    return None if volume is None else int(volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2])


def download(connection: Any, path: str, offset: int, length: int, sink: Callable[[int, bytes], None]) -> int | None:
    """Hand the runs of data in a file to ``sink``, holes left out. Where it ended; None for a file in no pool."""
    volume, stream = _volume(connection, path), connection.newStream()
    if volume is None:
        return None
    volume.download(stream, offset, length, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
    try:
        end = _receive(stream, offset, sink)
        stream.finish()
    except BaseException:
        with contextlib.suppress(libvirt.libvirtError):
            stream.abort()
        raise
    return end


def _receive(stream: Any, at: int, sink: Callable[[int, bytes], None]) -> int:
    """Everything that the stream has, holes left out; where it ended."""
    while True:
        data = stream.recvFlags(CHUNK_BYTES, libvirt.VIR_STREAM_RECV_STOP_AT_HOLE)
        if data == _AT_HOLE:
            at += stream.recvHole()
        elif data:
            sink(at, data)
            at += len(data)
        else:
            return at


def _volume(connection: Any, path: str) -> Any | None:
    with unless(libvirt.VIR_ERR_NO_STORAGE_VOL):
        return connection.storageVolLookupByPath(path)
    # libvirt knows the files that were there when the pool was opened.
    with unless(libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_NO_STORAGE_VOL):
        connection.storagePoolLookupByTargetPath(os.path.dirname(path)).refresh()
        return connection.storageVolLookupByPath(path)
    return None
