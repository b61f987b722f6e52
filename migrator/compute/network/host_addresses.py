"""Every IP address of this host (of its network namespace), as the kernel lists them."""

import ipaddress
from pathlib import Path

_IPV4 = Path("/proc/net/fib_trie")
_IPV6 = Path("/proc/net/if_inet6")


def host_addresses() -> tuple[str, ...]:
    """In order, loopback left out. Empty where the kernel does not tell."""
    found = {*ipv4(_read(_IPV4)), *ipv6(_read(_IPV6))}
    return tuple(sorted(address for address in found if not ipaddress.ip_address(address).is_loopback))


def ipv4(fib_trie: str) -> set[str]:
    """A leaf is an address; what the next lines say of it tells whether it is this host's."""
    found, leaf = set(), ""
    for line in fib_trie.splitlines():
        fields = line.split()
        if fields[:1] == ["|--"]:
            leaf = fields[1]
        elif fields[:3] == ["/32", "host", "LOCAL"]:
            found.add(leaf)
    return found


def ipv6(if_inet6: str) -> set[str]:
    """The first word of a line is the address in 32 hexadecimal digits."""
    return {str(ipaddress.IPv6Address(int(line.split()[0], 16))) for line in if_inet6.splitlines() if line.strip()}


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
