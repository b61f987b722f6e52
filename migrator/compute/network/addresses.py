"""This host's address, and how an address stands in a URI."""

import contextlib
import ipaddress
import socket
from urllib.parse import urlsplit

from migrator.errors import DriverError


def bracketed(address: str) -> str:
    """An IPv6 address in brackets, anything else as it is."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(address).version == 6:
            return f"[{address}]"
    return address


def address_towards(url: str) -> str:
    """This host's address on the way to ``url`` (no packet is sent). Raises DriverError."""
    parts = urlsplit(url)
    target = (parts.hostname or "127.0.0.1", parts.port or 80)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(*target, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise DriverError(
            f"cannot tell which address of this host reaches {url}: {error}",
            advice="set live_migration_inbound_addr",
        ) from error
