"""The kernel's watchdog device: resets the host unless it hears from us in time.

Owns the open device and its protocol. Never decides when to be silent (``self_fencing.py`` does).
"""

import fcntl
import logging
import os
import struct
from pathlib import Path

from migrator.errors import SettingInvalid

log = logging.getLogger("migrator.agent")

# A host that cannot stop its guests is reset within the margin that the server adds to a lease (30 s).
TIMEOUT_S = 20
_SETTIMEOUT = 0xC0045706  # WDIOC_SETTIMEOUT
_MAGIC = b"V"  # the one byte that lets it be closed without a reset


class Watchdog:
    """Armed from the moment it is made. Raises SettingInvalid when the device cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._device = os.open(path, os.O_WRONLY)
        except OSError as error:
            raise SettingInvalid(f"watchdog_device = {path}: {error.strerror}") from error
        try:
            fcntl.ioctl(self._device, _SETTIMEOUT, struct.pack("i", TIMEOUT_S))
        except OSError:
            log.warning("%s keeps its own timeout; see that it is at most %d s", path, TIMEOUT_S)
        self.keepalive()

    def keepalive(self) -> None:
        """All is well until TIMEOUT_S from now."""
        try:
            os.write(self._device, b"\0")
        except OSError as error:
            log.error("%s does not listen: %s", self._path, error)

    def close(self, *, disarm: bool) -> None:
        """``disarm``: no reset. Without it the host resets itself unless the device is opened again in time."""
        if disarm:
            os.write(self._device, _MAGIC)
        os.close(self._device)
