"""A suspended guest's memory: one file beside its first disk, and the names it has in its life.

``memory`` is whole and may be restored from; ``memory.used`` was given to a guest that may have run since, so nothing
is ever restored from it again. The hypervisor writes the file; here it is only looked at, renamed and removed.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from migrator.errors import StorageError
from migrator.private_files import sync
from migrator.protocol import MEMORY, DiskFact

USED = "memory.used"
# libvirt writes the last of these 16 bytes anew when all else is written; before that they end in "Part".
_WHOLE = b"LibvirtQemudSave"


class SavedMemory:
    """The saved memories of one host (``pools``: name -> directory)."""

    def __init__(self, pools: Mapping[str, Path]) -> None:
        self._pools = dict(pools)

    def find(self, uuid: str) -> Path | None:
        """The instance's whole saved memory, if there is one."""
        return next((path for directory in self._homes(uuid) if _whole(path := directory / MEMORY)), None)

    def consume(self, path: Path) -> Path:
        """The same file under the name from which it is never restored a second time. Raises StorageError."""
        return _renamed(path, path.with_name(USED))

    def restore(self, path: Path) -> None:
        """Undo ``use_up``, for a guest that never ran. Raises StorageError."""
        _renamed(path, path.with_name(MEMORY))

    def delete(self, uuid: str) -> None:
        """Remove the instance's memory, used or not: durably, for after a power cut it would be there again, beside
        disks that were written to since. Raises StorageError."""
        for directory in self._homes(uuid):
            found = [path for name in (MEMORY, USED) if (path := directory / name).exists()]
            try:
                for path in found:
                    path.unlink(missing_ok=True)
                if found:
                    sync(directory)
            except OSError as error:
                raise StorageError(f"cannot remove {found[0]}: {error}") from error

    def _homes(self, uuid: str) -> list[Path]:
        return [pool / str(UUID(uuid)) for pool in self._pools.values()]


def fact(path: Path, pool: str) -> DiskFact:
    """The memory at ``path`` as if it were a disk. Sizes in bytes."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return DiskFact(target=MEMORY, path=str(path), pool=pool, exists=False, format="raw")
    return DiskFact(
        target=MEMORY,
        path=str(path),
        pool=pool,
        exists=True,
        format="raw",
        virtual_bytes=found.st_size,
        allocated_bytes=found.st_blocks * 512,
    )


def _whole(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(len(_WHOLE)) == _WHOLE
    return False


def _renamed(old: Path, new: Path) -> Path:
    try:
        os.replace(old, new)
        sync(new.parent)
    except OSError as error:
        raise StorageError(f"cannot rename {old}: {error}") from error
    return new
