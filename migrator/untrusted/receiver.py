"""Where a webhook may send: the form of its URL, and the addresses that the server connects to for it.

Owns the policy: an address of the public internet, by https; and whatever the operator's ``webhook_networks`` name, by
https or http. An API's administrator is not root on the server's machine: loopback, the machine's own networks and a
cloud's metadata service are out of reach unless the configuration says otherwise. Never resolves and never connects.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import NamedTuple

from migrator.untrusted.peer_address import is_host

EXPECTED = "expected https://HOST[:PORT][/PATH], without user and fragment"
_FORM = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)"
)
_MOST = 2000
_PORTS = {"https": 443, "http": 80}


class Receiver(NamedTuple):
    scheme: str
    host: str  # without brackets
    port: int
    target: str  # path and query

    @property
    def authority(self) -> str:
        """As a ``Host`` header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse(url: str) -> Receiver:
    """Raises ValueError with what is expected."""
    found = _FORM.fullmatch(url) if len(url) <= _MOST else None
    host = found["host"].strip("[]") if found else ""
    if found is None or not is_host(host) or (":" in host) != found["host"].startswith("["):
        raise ValueError(f"{url[:200]!r} is no address of a receiver: {EXPECTED}")
    port = int(found["port"]) if found["port"] else _PORTS[found["scheme"]]
    if not 1 <= port <= 65535:
        raise ValueError(f"{url[:200]!r} has no port between 1 and 65535: {EXPECTED}")
    return Receiver(found["scheme"], host, port, found["target"] or "/")


def refusal(receiver: Receiver, address: str, networks: Sequence[str]) -> str:
    """Why nothing is sent to this address; "": it may be."""
    parsed = ipaddress.ip_address(address)
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if any(parsed in ipaddress.ip_network(network) for network in networks):
        return ""
    if not parsed.is_global or parsed.is_multicast:
        return f"{address} is not of the public internet, and not in webhook_networks"
    if receiver.scheme != "https":
        return f"{address} is not in webhook_networks, and outside of them webhooks are sent by https alone"
    return ""


def refusal_of_literal(receiver: Receiver, networks: Sequence[str]) -> str:
    """The same of an address that stands in the URL; "" for a name, which is looked up at each attempt."""
    try:
        ipaddress.ip_address(receiver.host)
    except ValueError:
        return ""
    return refusal(receiver, receiver.host, networks)
