"""Images under disks (``base_images``) that no disk lies over any more, and how one is taken out of use.

Owns how that is found out, on storage that other hosts use at the same moment: by what every disk in the pool says that
it lies over. Never deletes one; a base taken out of use has another name, and gets its own back if it is needed.
"""

import contextlib
import os
import re
import struct
from pathlib import Path

from migrator.compute.storage.atomic_files import entries, half_made
from migrator.compute.storage.base_images import BASE, OUT_OF_USE, forget_checksum

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_HOLDER = re.compile(rf"{_UUID}|\.(?:kept|dropped)\..+")  # directories whose files may lie over a base
_NAME = re.compile(rf"(?:{re.escape(OUT_OF_USE)})?{_UUID}")
# https://www.qemu.org/docs/master/interop/qcow2.html: magic, version, offset and length of the backing file's name
_QCOW2 = struct.Struct(">4sIQI")
_NAME_MAX = 1023


def every(pool: Path) -> list[Path]:
    """Raises OSError."""
    return [path for path in entries(pool / BASE) if _NAME.fullmatch(path.name)]


def find(pool: Path) -> list[Path] | None:
    """Bases that no disk in the pool lies over. None: that cannot be told, while a file is only half made or cannot be
    read. Raises OSError."""
    bases = every(pool)
    used = _used(pool) if bases else set()
    return None if used is None else [base for base in bases if is_out_of_use(base) or base.name not in used]


def is_out_of_use(base: Path) -> bool:
    return base.name.startswith(OUT_OF_USE)


def take_out_of_use(base: Path) -> None:
    """A disk that another host lays over it at this very moment is seen by the second look, and gets it back. Raises
    OSError."""
    os.replace(base, base.with_name(OUT_OF_USE + base.name))
    forget_checksum(base)
    put_used_back(base.parent.parent)


def put_used_back(pool: Path) -> None:
    """Give bases that were taken out of use, and are used, their names again. Raises OSError."""
    waiting = [base for base in every(pool) if is_out_of_use(base)]
    used = _used(pool) if waiting else set()
    for base in waiting:
        name = base.name.removeprefix(OUT_OF_USE)
        if used is None or name in used:
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                os.link(base, base.with_name(name))


def _used(pool: Path) -> set[str] | None:
    """Names of bases that files in the pool lie over; None: that of one is not known."""
    used = set()
    for home in (path for path in entries(pool) if _HOLDER.fullmatch(path.name) and path.is_dir()):
        for path in entries(home):
            if path.is_dir():  # links to config drives that are being lent: no disks
                continue
            if half_made(path):
                return None
            try:
                used.add(_backing(path))
            except OSError:
                return None
    return used


def _backing(path: Path) -> str:
    """The last part of the name of the file that a qcow2 lies over; "" for none. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(_QCOW2.size)
        if len(head) < _QCOW2.size:
            return ""
        magic, _, offset, length = _QCOW2.unpack(head)
        if magic != b"QFI\xfb" or not 0 < length <= _NAME_MAX:
            return ""
        file.seek(offset)
        return Path(os.fsdecode(file.read(length))).name
