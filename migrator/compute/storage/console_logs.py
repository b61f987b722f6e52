"""The files into which the guests' serial ports are written, as they are read to be told of.

Owns that nothing but a plain file of that folder is read. Who removes them is ``leftovers.py``.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from migrator.compute.storage.atomic_files import entries
from migrator.compute.storage_driver import ConsoleLog
from migrator.errors import StorageError

_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.log")
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def found(folder: Path) -> Mapping[str, ConsoleLog]:
    """By instance. Raises StorageError."""
    logs = {}
    try:
        for path in entries(folder):
            if (name := _NAME.fullmatch(path.name)) is not None and stat.S_ISREG((state := path.lstat()).st_mode):
                logs[name[1]] = ConsoleLog(state.st_ino, state.st_size)
    except OSError as error:
        raise StorageError(f"cannot look for consoles' logs: {error}") from error
    return logs


def read(folder: Path, uuid: str, start: int, most: int) -> bytes:
    """Raises StorageError."""
    try:
        descriptor = os.open(folder / f"{uuid}.log", _FLAGS)
        try:
            return os.pread(descriptor, most, start) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"cannot read the console's log of {uuid}: {error}") from error
