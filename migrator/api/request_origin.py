"""Whether a request was meant for this server: its ``Host`` is one of ours, and no page of somebody else sent it.

Pure. A browser tells both truthfully, and a page cannot change them: so a page that a browser on this machine opens
reaches nothing here, neither directly nor by a name of its own that it points at this address (DNS rebinding).
"""

import ipaddress
from collections.abc import Collection, Iterable

from migrator.errors import BadRequest, Forbidden

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OWN_SITES = frozenset({"same-origin", "none"})  # none: an address that somebody typed
_PORTS = {"http": "80", "https": "443"}
Headers = Iterable[tuple[bytes, bytes]]


def check_host(headers: Headers, server: str, allowed: Collection[str]) -> None:
    """``server``: the address that the connection reached, which a stranger's name is not. Raises BadRequest."""
    given = _values(headers, b"host")
    name = _name(given[0]) if len(given) == 1 else ""
    if name in LOOPBACK or name in allowed or (_is_address(name) and name == server.lower()):
        return
    raise BadRequest(
        f"Host is {given[0][:255]!r}, which is none of this server's names; the setting allowed_hosts lists them."
        if given
        else "Host is missing; expected one of this server's names, which the setting allowed_hosts lists."
    )


def check_origin(headers: Headers, scheme: str) -> None:
    """Raises Forbidden, whatever the method."""
    headers = list(headers)
    for site in _values(headers, b"sec-fetch-site"):
        if site.strip().lower() not in _OWN_SITES:
            raise Forbidden(f"Sec-Fetch-Site is {site[:40]!r}: pages of other origins may not call this server.")
    host = "".join(_values(headers, b"host"))
    for origin in _values(headers, b"origin"):
        of, _, where = origin.strip().lower().partition("://")
        if not where or _with_port(where, of) != _with_port(host.lower(), scheme):
            raise Forbidden(f"Origin is {origin[:255]!r}: pages of other origins may not call this server.")


def _values(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _name(host: str) -> str:
    """Without its port, and an IPv6 address without its brackets."""
    host = host.strip().lower()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _with_port(place: str, scheme: str) -> str:
    return place if place.rpartition(":")[2].isdigit() else f"{place}:{_PORTS.get(scheme, '')}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
