"""Resources that clients ask for in passing: limits, extensions. Truthful and short."""

from migrator.api.routing import Answer, ApiRequest, Schema, Versioned
from migrator.api.v2_1.common import paging
from migrator.api.v2_1.servers.schemas import MOST_METADATA
from migrator.db import instance_list, server_groups

_UNLIMITED = -1
# (from which microversion they are gone, names)
_DROPPED = (
    ((2, 36), ("maxSecurityGroupRules", "maxSecurityGroups", "maxTotalFloatingIps")),
    ((2, 39), ("maxImageMeta",)),
    ((2, 57), ("maxPersonality", "maxPersonalitySize")),
)
_NETWORK_USED = ("totalFloatingIpsUsed", "totalSecurityGroupsUsed")  # gone from 2.36


def limits(request: ApiRequest) -> Answer:
    """No quotas here, so every limit but that of a server's metadata is -1; what is used is counted."""
    own = request.caller.project_id
    project_id = paging.first(request.query, "tenant_id") or own
    if project_id != own:
        request.require("os_compute_api:limits:other_project")
    with request.services.db.read() as connection:
        count, cores, memory_mb = instance_list.usage(connection, project_id)
        groups = server_groups.count(connection, project_id)
    names = ("maxTotalCores", "maxTotalInstances", "maxTotalKeypairs", "maxServerMeta", "maxTotalRAMSize")
    absolute: dict[str, int] = dict.fromkeys((*names, "maxServerGroups", "maxServerGroupMembers"), _UNLIMITED)
    absolute["maxServerMeta"] = MOST_METADATA
    absolute |= {"totalRAMUsed": memory_mb, "totalCoresUsed": cores, "totalInstancesUsed": count}
    absolute["totalServerGroupsUsed"] = groups
    for gone, dropped in _DROPPED:
        if request.version < gone:
            absolute |= dict.fromkeys(dropped, _UNLIMITED)
    if request.version < (2, 36):
        absolute |= dict.fromkeys(_NETWORK_USED, 0)
    return Answer(200, {"limits": {"rate": [], "absolute": absolute}})


def no_extensions(_request: ApiRequest) -> Answer:
    return Answer(200, {"extensions": []})


_STRICT = (2, 75)  # from here a name that is not known is refused
_TENANT: Schema = {"tenant_id": paging.TEXT}
LIMITS_QUERY: Versioned = (((2, 1), {"type": "object", "properties": _TENANT}), (_STRICT, paging.closed(_TENANT)))
