"""The networks that the body of POST /servers asks for. Reads nothing but the body."""

from collections.abc import Mapping, Sequence
from typing import Any

from migrator import supported_requests
from migrator.api.v2_1.servers.view import Version
from migrator.errors import BadRequest
from migrator.scheduler.requests.interfaces import AUTO, WantedNic

_REQUIRED = (2, 37)  # below, a server that names no network is in the only one there is


def read(server: Mapping[str, Any], count: int, version: Version) -> Sequence[WantedNic]:
    """Of each of ``count`` servers. Raises BadRequest."""
    wanted = server.get("networks") or ()
    if not wanted and version < _REQUIRED:
        return (WantedNic(AUTO, optional=True),)
    if isinstance(wanted, str):
        return (WantedNic(AUTO),) if wanted == AUTO else ()
    found = []
    for network in wanted:
        if said := supported_requests.refused_values(network, supported_requests.NETWORK):
            raise BadRequest(f"Bad networks format: {'; '.join(said)}")
        if not network.get("uuid"):
            raise BadRequest("Bad networks format: network uuid is not in proper format (None)")
        if network.get("fixed_ip") and count > 1:
            raise BadRequest("max_count cannot be greater than 1 if an fixed_ip is specified.")
        found.append(WantedNic(network["uuid"], network.get("fixed_ip") or None, network.get("tag")))
    return found
