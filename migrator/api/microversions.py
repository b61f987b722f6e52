"""Which microversion a request is answered at. Pure.

Both header forms of the Compute API are understood; the newer one wins:
``OpenStack-API-Version: compute 2.79`` (may list other services) and ``X-OpenStack-Nova-API-Version: 2.79``.
"""

import re
from collections.abc import Mapping

from migrator.errors import BadRequest, MigratorError

Version = tuple[int, int]
MINIMUM: Version = (2, 1)
MAXIMUM: Version = (2, 104)
NEW_HEADER = "openstack-api-version"
OLD_HEADER = "x-openstack-nova-api-version"
_FORM = re.compile(r"([1-9][0-9]{0,8})\.([1-9][0-9]{0,8}|0)")


class VersionNotAcceptable(MigratorError):
    """The microversion is well formed but outside what this server offers; answered with 406."""

    code = "version_not_acceptable"


def text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def asked(headers: Mapping[str, str]) -> str | None:
    """The version string the request names for the compute service, or None."""
    for part in headers.get(NEW_HEADER, "").split(","):
        parts = part.split()
        if len(parts) == 2 and parts[0].lower() in ("compute", "nova"):
            return parts[1]
    return headers.get(OLD_HEADER)


def negotiate(headers: Mapping[str, str]) -> Version:
    """Raises BadRequest for a malformed version, VersionNotAcceptable outside the range."""
    wanted = asked(headers)
    if wanted is None:
        return MINIMUM
    if wanted == "latest":
        return MAXIMUM
    match = _FORM.fullmatch(wanted)
    if match is None:
        raise BadRequest(f"API Version String {wanted} is of invalid format. Must be of format MajorNum.MinorNum.")
    version = (int(match[1]), int(match[2]))
    if not MINIMUM <= version <= MAXIMUM:
        raise VersionNotAcceptable(
            f"Version {wanted} is not supported by the API. Minimum is {text(MINIMUM)} and maximum is {text(MAXIMUM)}."
        )
    return version


def headers_for(version: str) -> dict[str, str]:
    return {
        "OpenStack-API-Version": f"compute {version}",
        "X-OpenStack-Nova-API-Version": version,
        "Vary": "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
    }
