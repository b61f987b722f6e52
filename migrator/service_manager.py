"""Tells the service manager that this process has started, still turns, and ends: what sd_notify(3) of systemd sends.

Owns the socket that ``NOTIFY_SOCKET`` names. Nothing is sent where no service manager asked. Never fails its process.
"""

import contextlib
import faulthandler
import logging
import os
import socket
from collections.abc import MutableMapping

log = logging.getLogger(__name__)

_SEND_S = 1.0  # a manager that takes nothing must not hold an event loop up
_TURNS = 3  # in each period of the watchdog, so that one may be late


class ServiceManager:
    """``address``: a path, or @ and a name of the kernel's own; "": there is none. ``watchdog_s``: the longest silence
    after which the manager ends this process; 0: it waits for ever."""

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watched = watchdog_s > 0
        self._ready = False
        self.turn_s = min(watchdog_s / _TURNS, 60.0) if self._watched else 60.0

    def turn(self) -> None:
        """To be called in each turn of the loop that this process is for: the first one says that it has started."""
        if not self._ready:
            self._ready = True
            self._send("READY=1")
        if self._watched:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_SEND_S)
                sender.sendto(state.encode(), self._address)
        except OSError as error:
            log.warning("the service manager does not hear %s: %s", state, error)


def of_process(environment: MutableMapping[str, str] = os.environ) -> ServiceManager:
    """The manager that started this process. Its variables are taken out, so that no command that is run from here
    speaks in this process's name."""
    address, period, pid = (environment.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
    watchdog_s = int(period) / 1e6 if period.isdecimal() and pid in ("", str(os.getpid())) else 0.0
    if watchdog_s:
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # no stderr to write to
            faulthandler.enable()  # the watchdog's SIGABRT leaves in the log where each thread stood
    return ServiceManager(address if address.startswith(("/", "@")) else "", watchdog_s)
