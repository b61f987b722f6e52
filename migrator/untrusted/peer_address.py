"""Where a host is reached by its peers: an address, and the libvirt URI ``qemu+tcp://HOST[:PORT]/system``.

Owns what such text may be. A peer says it of itself, and other hosts open it as root: it is refused unless it names a
place and nothing else, for libvirt runs programs for other schemes and for some queries. Never opens anything.
"""

import ipaddress
import re
from dataclasses import dataclass

_FORM = re.compile(
    r"qemu\+(?:tcp|tls)://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::(?P<port>[0-9]{1,5}))?/system"
)
_SIMULATED = re.compile(r"simulated://[A-Za-z0-9][A-Za-z0-9._-]{0,254}")  # libvirt has no such driver
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
EXPECTED = "expected qemu+tcp://HOST[:PORT]/system or qemu+tls://HOST[:PORT]/system, without user and query"


@dataclass(frozen=True)
class Peer:
    host: str  # in brackets if it is an IPv6 address
    port: int | None

    def __str__(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"


def parse(uri: str) -> Peer:
    """Raises ValueError."""
    found = _FORM.fullmatch(uri)
    host = found["host"].strip("[]") if found else ""
    if found is None or not is_host(host) or (":" in host) != found["host"].startswith("["):
        raise ValueError(f"{uri[:300]!r} is no address of a peer: {EXPECTED}")
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"{uri[:300]!r} has no port between 1 and 65535: {EXPECTED}")
    return Peer(found["host"], port)


def is_host(text: str) -> bool:
    """An IP address without a zone, or a host name as RFC 1123 has it; not what only looks like an IPv4 address."""
    try:
        return "%" not in str(ipaddress.ip_address(text))
    except ValueError:
        labels = text.split(".")
        return len(text) <= 253 and not labels[-1].isdigit() and all(_LABEL.fullmatch(label) for label in labels)


def checked_host(text: str) -> str:
    """``text``, or "" of a host that has not said it yet. Raises ValueError."""
    if text and not is_host(text):
        raise ValueError(f"{text[:300]!r} is no address: expected an IP address or a host name (RFC 1123)")
    return text


def checked_uri(text: str) -> str:
    """``text``, or "" of a host that has not said it yet. Raises ValueError."""
    if text and not _SIMULATED.fullmatch(text):
        parse(text)
    return text


def checked_template(text: str) -> str:
    """A host's own setting: as a peer's URI with %s for the host; a query is its operator's. Raises ValueError."""
    if text:
        if text.count("%s") != 1:
            raise ValueError(f"expected %s once, where the address goes: {EXPECTED}")
        parse(text.partition("?")[0].replace("%s", "host"))
    return text


def opened(uri: str, template: str) -> str:
    """The URI by which a host opens its peer: host and port of the peer, all else of its own template. Raises
    ValueError."""
    scheme, rest = template.split("://", 1)
    return f"{scheme}://{parse(uri)}/{rest.split('/', 1)[1]}"
