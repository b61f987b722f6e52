"""Whether a request was meant for this server: its ``Host`` is one of ours, and no page of another site sent it.

Pure. A browser tells both truthfully, and a page cannot change them: so a page that a browser on this machine opens
reaches nothing here, neither directly nor by a name of its own that it points at this address (DNS rebinding).
"""

import ipaddress
import re
from collections.abc import Collection, Iterable

from migrator.errors import BadRequest, Forbidden

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OWN_SITES = frozenset({"same-origin", "none"})  # none: an address that a user typed
_PORTS = {"http": "80", "https": "443"}
# A host's name or IPv4 address, or an IPv6 address in brackets; then perhaps a port. Nothing else is part of a place.
_PLACE = re.compile(r"(?:(?P<name>[a-z0-9._-]{1,253})|\[(?P<v6>[0-9a-f:.]{2,45})\])(?::(?P<port>[0-9]{1,5}))?")
_LAST_PORT = 65535
Headers = Iterable[tuple[bytes, bytes]]


def check_host(headers: Headers, server: str, allowed: Collection[str]) -> None:
    """``server``: the address that the connection reached, which a stranger's name is not. Raises BadRequest."""
    given = _values(headers, b"host")
    if len(given) == 1 and _is_ours(given[0], server, allowed):
        return
    raise BadRequest(
        f"Host is {given[0][:255]!r}, which is none of this server's names; the setting allowed_hosts lists them."
        if given
        else "Host is missing; expected one of this server's names, which the setting allowed_hosts lists."
    )


def root(headers: Headers, scheme: str, server: str, allowed: Collection[str]) -> str:
    """ "scheme://host:port" as the client sees it, for links and ``Location``: what a proxy in front says, where that
    is one of ours by http or https, or else the request's own. It begins a link, so nothing else may be part of it."""
    headers = list(headers)
    own, *_ = _values(headers, b"host") or [server]
    said_host, said_scheme = _first(headers, b"x-forwarded-host"), _first(headers, b"x-forwarded-proto").lower()
    host, by = said_host or own, said_scheme or scheme
    if by in _PORTS and _is_ours(host, server, allowed):
        return f"{by}://{host.strip().lower()}"
    return f"{scheme}://{own.strip().lower()}"


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


def _first(headers: Headers, name: bytes) -> str:
    """Of a header to which every proxy on the way adds its word, the one next to the client."""
    return next(iter(_values(headers, name)), "").partition(",")[0].strip()


def _is_ours(host: str, server: str, allowed: Collection[str]) -> bool:
    found = _PLACE.fullmatch(host.strip().lower())
    if found is None or int(found["port"] or 0) > _LAST_PORT:
        return False
    name = found["name"] or found["v6"]
    if found["v6"] and not _is_address(name):
        return False
    return name in LOOPBACK or name in allowed or (_is_address(name) and name == server.lower())


def _with_port(place: str, scheme: str) -> str:
    return place if place.rpartition(":")[2].isdigit() else f"{place}:{_PORTS.get(scheme, '')}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
