"""For how long this machine runs, as the command `uptime` has it."""

import os
import struct
from pathlib import Path

from migrator.compute import uptime


def test_it_is_what_this_machine_says(tmp_path: Path) -> None:
    found = uptime.read(tmp_path / "absent")
    since_boot = float(Path("/proc/uptime").read_text().split()[0])
    assert abs(found.seconds - since_boot) < 60
    assert (found.users, len(found.load), found.load[0] >= 0) == (0, 3, True)


def test_who_is_logged_in_is_counted_and_a_record_that_is_cut_off_is_not(tmp_path: Path) -> None:
    records = [struct.pack("=h", kind).ljust(384, b"\0") for kind in (2, 7, 8, 7)]
    (tmp_path / "utmp").write_bytes(b"".join(records) + records[1][:100])
    assert uptime.read(tmp_path / "utmp").users == 2
    os.truncate(tmp_path / "utmp", 1)
    assert uptime.read(tmp_path / "utmp").users == 0
