"""The lasting content of a guest's disk as its host reads it, while the guest does not run.

Owns the layout that ``guest/counter.c`` writes, as seen from outside: the same sum over the same bytes.
"""

import struct
from pathlib import Path

from migrator.errors import LabError
from migrator.lab.host import LabHost

_MIB = 1 << 20
_HEADER_AT = 4 * _MIB
_CONTENT_AT = _HEADER_AT + _MIB
_HEADER = struct.Struct("<4Q")  # magic, MiB, seed, sum
_MAGIC = 0x6C617374696E6721
_OFFSET, _PRIME, _MASK = 14695981039346656037, 1099511628211, (1 << 64) - 1


def content_sum(host: LabHost, disk: Path) -> str | None:
    """16 hex digits: what the guest prints as ``sum=``; None when nothing was ever written.

    ``disk``: its path on the host, of any format. Raises LabError when it is missing or in use (its lock is held).
    """
    draft = host.directory / f"content-{disk.parent.name}.raw"
    try:
        # Without --force-share: a disk that a guest writes to has no content to speak of.
        host.run(["qemu-img", "convert", "-O", "raw", str(disk), str(draft)])
        return _sum(draft)
    finally:
        draft.unlink(missing_ok=True)


def _sum(raw: Path) -> str | None:
    with raw.open("rb") as file:
        file.seek(_HEADER_AT)
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return None
        magic, mib, _, _ = _HEADER.unpack(header)
        if magic != _MAGIC:
            return None
        file.seek(_CONTENT_AT)
        found = _OFFSET
        for _ in range(mib):
            block = file.read(_MIB)
            if len(block) < _MIB:
                raise LabError(f"{raw.name} ends before its content does")
            for word in memoryview(block).cast("Q"):
                found = ((found ^ word) * _PRIME) & _MASK
    return f"{found:016x}"
