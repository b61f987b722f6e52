"""For how long this machine runs, how many are logged in, and how busy it is: what `uptime` prints, as numbers."""

import os
import struct
from pathlib import Path

from migrator.compute.boot import boot_clock
from migrator.protocol import Uptime

_SESSIONS = Path("/run/utmp")
_RECORD, _KIND, _LOGGED_IN = 384, struct.Struct("=h"), 7  # of utmp(5)


def read(sessions: Path = _SESSIONS) -> Uptime:
    return Uptime(seconds=boot_clock(), users=_users(sessions), load=os.getloadavg())


def _users(sessions: Path) -> int:
    """0 where no file tells, as the command has it."""
    try:
        content = sessions.read_bytes()
    except OSError:
        return 0
    whole = len(content) // _RECORD
    return sum(_KIND.unpack_from(content, place * _RECORD)[0] == _LOGGED_IN for place in range(whole))
