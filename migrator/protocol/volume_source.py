"""Where a volume is: ``nbd://HOST[:PORT]/EXPORT``, read and written in one canonical form.

Two sources are the same disk if, and only if, their canonical forms are equal as far as can be told from names. Pure.
"""

import ipaddress
import re
from dataclasses import dataclass

from migrator.errors import BadRequest

NBD_PORT = 10809
_FORM = re.compile(r"nbd://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,255})(?::(?P<port>[0-9]{1,5}))?/(?P<export>.*)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_EXPORT = re.compile(r"[A-Za-z0-9._-][A-Za-z0-9._/-]{0,254}")


@dataclass(frozen=True, slots=True)
class VolumeSource:
    """``host`` without brackets."""

    host: str
    port: int
    export: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"nbd://{host}:{self.port}/{self.export}"


def parse(text: str) -> VolumeSource:
    """Raises BadRequest for what is no such address, or one that means another disk on each host."""
    found = _FORM.fullmatch(text)
    port = int(found["port"] or NBD_PORT) if found else 0
    if not found or not 0 < port < 65536 or not _EXPORT.fullmatch(found["export"]):
        raise BadRequest(f"{text!r} is no volume's source", advice="write it as nbd://HOST:PORT/EXPORT")
    host, everywhere = _host(found["host"].strip("[]").lower(), bracketed=found["host"].startswith("["))
    if not everywhere:
        raise BadRequest(
            f"{host} is another machine for each host", advice="name an address that every host reaches the volume at"
        )
    return VolumeSource(host, port, found["export"])


def _host(host: str, *, bracketed: bool) -> tuple[str, bool]:
    """(host, whether it is the same machine for every host). Addresses in the one form that each of them has."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if bracketed:
            raise BadRequest(f"[{host}] is no address") from None
        name = host.rstrip(".")
        if not name or _NUMBER.fullmatch(name.rpartition(".")[2]):  # 10.1 and 0x0a000001 would be resolved, as 10.0.0.1
            raise BadRequest(f"{host} is no address", advice="write all four numbers of it in decimal") from None
        return name, name != "localhost" and not name.endswith(".localhost")
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return str(address), not (address.is_loopback or address.is_unspecified)
