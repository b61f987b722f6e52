"""What proxies in front of the API say of a request: believed where the connection came from one of
``trusted_proxies``, and nowhere else. Pure."""

import ipaddress
from collections.abc import Iterable, Sequence

Headers = Iterable[tuple[bytes, bytes]]
_FORWARDED = (b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"forwarded")


class Proxies:
    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(one) for one in networks]

    def trusts(self, address: str) -> bool:
        try:
            known = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped is not None:
            known = known.ipv4_mapped
        return any(known in network for network in self._networks)

    def client(self, peer: str, headers: Headers) -> str:
        """The address that sent the request: the newest one that a proxy added and that is not a trusted proxy's.
        What stands before it was the sender's own to write."""
        found = peer
        said = ",".join(value.decode("latin-1") for name, value in headers if name.lower() == b"x-forwarded-for")
        for part in reversed(said.split(",")):
            if not self.trusts(found):
                break
            try:
                found = str(ipaddress.ip_address(part.strip().partition("%")[0]))
            except ValueError:
                break
        return found

    def believed(self, peer: str, headers: Headers) -> list[tuple[bytes, bytes]]:
        """The headers, without what only a trusted proxy may say if none has sent them."""
        if self.trusts(peer):
            return list(headers)
        return [(name, value) for name, value in headers if name.lower() not in _FORWARDED]
