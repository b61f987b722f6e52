"""Connections to libvirt: opened, probed, and their errors translated.

Owns keepalive, libvirt's event loop, and what an error says about the connection. Never asks for a domain.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import libvirt

from migrator.compute.libvirt.bindings.connection_pool import OPEN_TIMEOUT_S, Reconnecting
from migrator.errors import DomainNotFound, DriverError, HypervisorUnavailable

Error = libvirt.libvirtError

# Seconds between two probes of a silent libvirtd, and how many it may leave unanswered.
KEEPALIVE = (5, 3)
_ADVICE = "start it (systemctl start libvirtd, or virtqemud where that one is installed), or correct libvirt_uri"


def connect(
    uri: str, *, keepalive: tuple[int, int] = KEEPALIVE, open_timeout_s: float = OPEN_TIMEOUT_S
) -> Reconnecting[Any]:
    """Connections to the libvirtd at ``uri``, none opened yet."""
    return Reconnecting(_Libvirt(uri, keepalive), f"libvirtd at {uri}", open_timeout_s, advice=_ADVICE)


def dedicated_connection(uri: str, act: Callable[[Any], None]) -> None:
    """``act`` on a connection of its own, for it may last; never twice, for it is not idempotent."""
    connection, transport = connect(uri), _Libvirt(uri, KEEPALIVE)
    try:
        with connection.lent() as opened:
            try:
                act(opened)
            except libvirt.libvirtError as error:
                if transport.broken(opened, error):
                    raise HypervisorUnavailable(f"libvirtd at {uri} went away: {error}") from error
                raise transport.translated(error) from error
    finally:
        connection.close()


def alive(connection: Any) -> bool:
    """Whether the libvirtd that it was opened to is still there, as far as is known."""
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False


class _Libvirt:
    """``connection_pool.Transport`` for libvirt, with keepalive so that a stopped libvirtd is noticed."""

    error = libvirt.libvirtError

    def __init__(self, uri: str, keepalive: tuple[int, int]) -> None:
        _run_events()
        self._uri, self._keepalive = uri, keepalive

    def open(self) -> Any:
        connection = libvirt.open(self._uri)
        with unless(libvirt.VIR_ERR_NO_SUPPORT):  # a driver without a wire needs none
            connection.setKeepAlive(*self._keepalive)
        return connection

    def close(self, connection: Any) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            connection.close()

    def broken(self, connection: Any, error: Any) -> bool:
        if error.get_error_domain() in (libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE):
            return True
        return not alive(connection)

    def translated(self, error: Any) -> DriverError:
        kind = DomainNotFound if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN else DriverError
        return kind(error.get_error_message() or str(error), details={"libvirt_code": error.get_error_code()})


_events_lock = threading.Lock()
_events_thread: threading.Thread | None = None


def _run_events() -> None:
    """libvirt's event loop, once a process and before the first connection; keepalive needs it."""
    global _events_thread
    with _events_lock:
        if _events_thread is not None:
            return
        libvirt.virEventRegisterDefaultImpl()
        libvirt.registerErrorHandler(lambda *_: None, None)  # errors are raised; no copy on stderr
        _events_thread = threading.Thread(target=_loop, name="libvirt-events", daemon=True)
        _events_thread.start()


def _loop() -> None:
    while True:
        with contextlib.suppress(libvirt.libvirtError):
            libvirt.virEventRunDefaultImpl()


@contextlib.contextmanager
def unless(*codes: int) -> Any:
    """Swallow libvirt's errors with these codes: the expected answers "there is none"."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() not in codes:
            raise


def ignore_missing_domain() -> Any:
    """Leave the block when there is no such domain, or not any more."""
    return unless(libvirt.VIR_ERR_NO_DOMAIN)
