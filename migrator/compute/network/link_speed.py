"""What the network towards an address is made for, as the kernel tells it. Nothing is sent."""

import ipaddress
import socket
import struct
from pathlib import Path

_ROUTES = Path("/proc/net/route")
_SPEED = "/sys/class/net/{}/speed"
_MBIT_A_MIB = 8 * 2**20 / 10**6


def link_mib_s(address: str) -> int | None:
    """MiB/s of the link that leads to the (IPv4) address; None where the kernel does not know it."""
    try:
        interface = towards(_ROUTES.read_text(), address)
        mbit_s = int(Path(_SPEED.format(interface)).read_text()) if interface else 0
    except (OSError, ValueError):
        return None
    return int(mbit_s / _MBIT_A_MIB) if mbit_s > 0 else None  # -1: the link has no speed


def towards(routes: str, address: str) -> str | None:
    """The interface of the narrowest route that holds the address. ``routes``: /proc/net/route, whose addresses are the
    machine's own words of network order. Raises ValueError."""
    wanted = int(ipaddress.IPv4Address(address))
    found: list[tuple[int, str]] = []
    for line in routes.splitlines()[1:]:
        interface, network, *_, mask, _mtu, _window, _irtt = line.split()
        if wanted & _number(mask) == _number(network):
            found.append((_number(mask), interface))
    return max(found)[1] if found else None


def _number(word: str) -> int:
    return socket.ntohl(struct.unpack("=I", struct.pack("=I", int(word, 16)))[0])
