"""Which text is an address of a guest's network, and which addresses no guest of a network can have. Pure.

One way to read addresses for the API and for the requests: Python's takes an IPv6 zone id as part of an address, so
that ``fd00::2%a`` and ``fd00::2`` were two addresses to everything but the guests.
"""

import ipaddress
from collections.abc import Mapping, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Cidr = ipaddress.IPv4Network | ipaddress.IPv6Network


def address(text: str) -> Address:
    """Raises ValueError."""
    _refuse_zone(text)
    return ipaddress.ip_address(text)


def cidr(text: str) -> Cidr:
    """Raises ValueError."""
    _refuse_zone(text)
    return ipaddress.ip_network(text)


def _refuse_zone(text: str) -> None:
    if "%" in text:
        raise ValueError(f"{text!r} has a zone id: leave out what is after %, which means something on one host alone")


def others(gateway: str | None, dns: Sequence[str]) -> Mapping[str, str]:
    """Addresses in the network that are no guest's -> whose they are."""
    return dict.fromkeys(dns, "a DNS server's") | ({gateway: "the gateway's"} if gateway is not None else {})


def unusable(wanted: Address, network: Cidr, taken: Mapping[str, str]) -> str | None:
    """Why no guest can have the address; None: one can. ``taken``: what ``others`` says."""
    if wanted not in network:
        return f"it is not in {network}"
    if network.num_addresses > 2 and wanted == network.network_address:
        return f"it is the address of {network} itself"
    if wanted.version == 4 and network.num_addresses > 2 and wanted == network.broadcast_address:
        return f"it is the broadcast address of {network}"
    if (owner := taken.get(str(wanted))) is not None:
        return f"it is {owner}"
    return None


def within(wanted: Address, ranges: Sequence[Sequence[str]]) -> bool:
    """Whether one of the ranges (first, last) has it."""
    for first, last in (map(ipaddress.ip_address, one) for one in ranges):
        if wanted.version == first.version and int(first) <= int(wanted) <= int(last):
            return True
    return False


def overlapping(one: str | None, other: str | None) -> bool:
    """Whether two CIDRs have an address in common."""
    return one is not None and other is not None and ipaddress.ip_network(one).overlaps(ipaddress.ip_network(other))
