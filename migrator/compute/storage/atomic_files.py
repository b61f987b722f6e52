"""Files that appear complete or not at all.

Owns how a file is made: under another name, synced, then linked under its own, and the second to link keeps the
first one's file, so that two hosts may race on a shared filesystem. Never knows what a file is for.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from migrator import private_files
from migrator.errors import StorageError
from migrator.private_files import PASSAGE, make_folder, sync

PART = ".part"
STALE_S = 24 * 3600
_LOCKLESS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_FLOCK = "hhqqi0q"  # struct flock: type, whence, start, length, pid


def publish(path: Path, make: Callable[[Path], Any], mode: int = private_files.FILE) -> None:
    """Make ``path`` appear complete or not at all; an existing one wins. Raises StorageError."""
    part = path.parent / f".{path.name}.{uuid4().hex}{PART}"
    try:
        make_folder(path.parent, PASSAGE)
        _drop_stale_parts(path)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, private_files.FILE))
        make(part)
        part.chmod(mode)
        appear(part, path)
    except OSError as error:
        raise StorageError(f"cannot make {path}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def appear(part: Path, path: Path) -> None:
    """Give what is complete its name, once it is on the disk. The part stays. Raises OSError."""
    sync(part)
    with contextlib.suppress(FileExistsError):
        os.link(part, path)
    sync(path.parent)


def remove_folder(path: Path) -> None:
    """With all that is in it, and on the disk when it returns: what is there again after a power cut would be taken for
    an instance's disks that are older than it. One that is not there is removed. Raises StorageError."""
    try:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
        with contextlib.suppress(FileNotFoundError):
            sync(path.parent)  # also of what a killed agent has removed
    except OSError as error:
        raise StorageError(f"cannot remove {path}: {error}") from error


def locked(path: Path) -> bool:
    """Whether a process, here or on another host that has the filesystem, holds a lock on any byte of a file, as QEMU
    does on the disks of its guest. A filesystem without locks has none to tell of. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, wanted)
        return bool(struct.unpack(_FLOCK, found)[0] != fcntl.F_UNLCK)
    except OSError as error:
        if error.errno in _LOCKLESS:
            return False
        raise
    finally:
        os.close(descriptor)


def refuse_in_use(home: Path) -> None:
    """The last guard of a guest that runs where no record has it. Raises StorageError for a directory with a file
    that is locked."""
    try:
        held = [path for path in home.iterdir() if path.is_file() and not path.is_symlink() and locked(path)]
    except OSError as error:
        raise StorageError(f"cannot look at {home}: {error}") from error
    for path in held:
        raise StorageError(
            f"{path} is in use, and is not taken away: a guest runs from it, here or on another host",
            advice="find out where the instance runs",
        )


def plain(name: str) -> str:
    """``name``, if it cannot lead out of its directory. Raises StorageError."""
    if not name or "/" in name or name.startswith("."):
        raise StorageError(f"{name!r} cannot be the name of a file")
    return name


def half_made(path: Path) -> bool:
    """Whether the file is, or was, about to be published."""
    return path.name.startswith(".") and path.name.endswith(PART)


def entries(directory: Path) -> list[Path]:
    """What is in a directory, by name; nothing in one that is not there. Raises OSError."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(directory.iterdir())
    return []


def free_bytes(directory: Path) -> int:
    """What may still be written there. Raises StorageError."""
    try:
        make_folder(directory, PASSAGE)
        usage = os.statvfs(directory)
    except OSError as error:
        raise StorageError(f"cannot look at the directory {directory}: {error}") from error
    return usage.f_bavail * usage.f_frsize


def _drop_stale_parts(path: Path) -> None:
    """What a killed process left half made. Another host's work in progress is younger than that."""
    for part in path.parent.glob(f".{path.name}.*{PART}"):
        with contextlib.suppress(FileNotFoundError):
            if part.stat().st_mtime < time.time() - STALE_S:
                part.unlink()
