"""This machine's boot: its id and its clock. Owns where they are read; keeps nothing."""

import time
from pathlib import Path


def boot_clock() -> float:
    """Seconds since boot, those in which the host slept among them: guests that wake up must find a lapsed lease."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
