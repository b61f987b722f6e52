"""What Nova passes on to other services below 2.36, and what it has no more: the answer to a request for one of these.

Owns their names, and what says why each is not served here. Pure. A path of theirs that is served stands in the table
of URLs.
"""

from collections.abc import Mapping

from migrator.api.microversions import Version
from migrator.errors import ActionNotImplemented, Gone, MigratorError, NotFound

_UNTIL: Version = (2, 35)
_NETWORKS = "operators name networks, with `migrator network-create`"
_FLOATING = "there are no floating addresses"
_GROUPS = "there are no security groups"
_VOLUMES = "operators register volumes, with `migrator volume-create`"
PROXIES: Mapping[str, str] = {
    "images": "images are made, changed and deleted over the image API",
    "os-networks": _NETWORKS,
    "os-tenant-networks": _NETWORKS,
    "os-floating-ips": _FLOATING,
    "os-floating-ip-pools": _FLOATING,
    "os-security-groups": _GROUPS,
    "os-security-group-rules": _GROUPS,
    "os-volumes": _VOLUMES,
    "os-snapshots": "there are no snapshots of volumes",
    "os-baremetal-nodes": "os-hypervisors lists the hosts",
}
GONE = frozenset(
    {
        "os-agents",
        "os-cells",
        "os-certificates",
        "os-cloudpipe",
        "os-fixed-ips",
        "os-floating-ip-dns",
        "os-floating-ips-bulk",
        "os-fping",
        "os-security-group-default-rules",
    }
)


def named_by(path: str, project_id: str) -> str | None:
    """Which of them a path below ``/v2.1`` is of, with the caller's project in it or without."""
    parts = path.split("/")[2:]
    name = next(iter(parts[1:] if parts[:1] == [project_id] else parts), "")
    return name if name in GONE or name in PROXIES else None


def refusal(name: str, version: Version) -> MigratorError:
    if name in GONE:
        return Gone("This resource is no longer available. No forwarding address is given.")
    if version > _UNTIL:
        return NotFound("The resource could not be found.")
    return ActionNotImplemented(f"{name} is not served: {PROXIES[name]}")
