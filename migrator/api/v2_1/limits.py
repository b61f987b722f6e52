"""/limits: what a project may have, and what it has."""

from migrator.api.routing import Answer, ApiRequest, Schema, Versioned
from migrator.api.v2_1.common import paging
from migrator.db import quotas, server_groups
from migrator.db.quotas import UNLIMITED

_NAMES = {
    "maxTotalCores": "cores",
    "maxTotalInstances": "instances",
    "maxTotalKeypairs": "key_pairs",
    "maxServerMeta": "metadata_items",
    "maxTotalRAMSize": "ram",
    "maxServerGroups": "server_groups",
    "maxServerGroupMembers": "server_group_members",
}
# (from which microversion they are gone, names)
_DROPPED = (
    ((2, 36), dict.fromkeys(("maxSecurityGroupRules", "maxSecurityGroups", "maxTotalFloatingIps"), "")),
    ((2, 39), {"maxImageMeta": "metadata_items"}),
    ((2, 57), {"maxPersonality": "injected_files", "maxPersonalitySize": "injected_file_content_bytes"}),
)
_NETWORK_USED = ("totalFloatingIpsUsed", "totalSecurityGroupsUsed")  # gone from 2.36


def limits(request: ApiRequest) -> Answer:
    own = request.caller.project_id
    project_id = paging.first(request.query, "tenant_id") or own
    if project_id != own:
        request.require("os_compute_api:limits:other_project")
    with request.services.db.read() as connection:
        allowed = quotas.limits(connection, project_id, request.services.settings.quotas)
        used = quotas.usage(connection, project_id)
        groups = server_groups.count(connection, project_id)
    names = dict(_NAMES)
    for gone, dropped in _DROPPED:
        if request.version < gone:
            names |= dropped
    absolute = {shown: allowed.get(name, UNLIMITED) for shown, name in names.items()}
    absolute |= {"totalRAMUsed": used["ram"], "totalCoresUsed": used["cores"]}
    absolute |= {"totalInstancesUsed": used["instances"], "totalServerGroupsUsed": groups}
    if request.version < (2, 36):
        absolute |= dict.fromkeys(_NETWORK_USED, 0)
    return Answer(200, {"limits": {"rate": [], "absolute": absolute}})


_STRICT = (2, 75)  # from here a name that is not known is refused
_TENANT: Schema = {"tenant_id": paging.TEXT}
LIMITS_QUERY: Versioned = (((2, 1), {"type": "object", "properties": _TENANT}), (_STRICT, paging.closed(_TENANT)))
