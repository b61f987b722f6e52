"""Every microversion of the Compute API, what it changes, and what honours the change here: one row each.

Owns the rows that ``docs/microversions.md`` is drawn from; a test holds them against the range that is offered.
Handlers compare versions themselves. Data only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from migrator.api.microversions import Version


class Kind(StrEnum):
    HONOURED = "honoured"
    NOT_SERVED = "not served"  # it changes only a resource, or an action, that this server does not have
    REFUSED = "refused by name"  # it adds something to a request that is refused with 400


@dataclass(frozen=True, slots=True)
class Change:
    kind: Kind
    what: str  # Nova's change, and what becomes of it where it is not simply honoured


def _honoured(what: str) -> Change:
    return Change(Kind.HONOURED, what)


def _elsewhere(what: str) -> Change:
    return Change(Kind.NOT_SERVED, what)


def _refused(what: str) -> Change:
    return Change(Kind.REFUSED, what)


_MINOR: Mapping[int, Change] = {
    1: _honoured("the first one"),
    2: _honoured("key pairs: type"),
    3: _honoured("servers: reservation_id, launch_index, ramdisk_id, kernel_id, hostname, root_device_name, user_data"),
    4: _elsewhere("os-fixed-ips"),
    5: _honoured("servers: the filter ip6 for callers who are no administrators"),
    6: _elsewhere("remote consoles"),
    7: _honoured("flavors: access to a public flavor is refused with 409"),
    8: _elsewhere("remote consoles"),
    9: _honoured("servers: locked"),
    10: _honoured("key pairs: user_id"),
    11: _honoured("services: forced_down is shown and set"),
    12: _elsewhere("os-virtual-interfaces"),
    13: _honoured("server groups: project_id, user_id"),
    14: _honoured("evacuate: no onSharedStorage, and no password in the answer"),
    15: _honoured("server groups: soft policies"),
    16: _honoured("servers: host_status"),
    17: _refused("crash dumps"),
    18: _honoured("URLs need no project_id: both forms are served, and another project than the caller's is refused"),
    19: _honoured("servers: description"),
    20: _elsewhere("volumes of shelved servers"),
    21: _honoured("instance actions of deleted servers"),
    22: _honoured("server migrations: force_complete"),
    23: _honoured("server migrations: list and show; migration_type and links in os-migrations"),
    24: _honoured("server migrations: abort"),
    25: _honoured("os-migrateLive: block_migration auto, no disk_over_commit"),
    26: _honoured("server tags, and filters by them"),
    27: _honoured("the header OpenStack-API-Version, which counts at every microversion"),
    28: _honoured("hypervisors: cpu_info is an object"),
    29: _honoured("evacuate: force, which is accepted, and the host is checked all the same"),
    30: _honoured("os-migrateLive: force, likewise"),
    31: _elsewhere("console tokens"),
    32: _honoured("servers: tags of networks, until 2.36; those of disks are refused"),
    33: _honoured("hypervisors: pages"),
    34: _honoured("os-migrateLive: checks are made after the answer"),
    35: _honoured("key pairs: limit and marker of the list"),
    36: _honoured(
        "limits and quotas: nothing of networks; the proxies of other services, also images and os-networks, are gone"
    ),
    37: _honoured("servers: networks is required, may be auto or none; below, a server without has the only one"),
    38: _honoured("servers: an unknown status in a filter is refused with 400"),
    39: _honoured("limits: no maxImageMeta; the metadata of images is gone"),
    40: _honoured("os-simple-tenant-usage: pages"),
    41: _honoured("aggregates: uuid"),
    42: _honoured("servers: tags of networks again; those of disks are refused"),
    43: _honoured("os-hosts is gone"),
    44: _elsewhere("fixed and floating addresses as actions are gone"),
    45: _refused("createImage and createBackup answer with a body"),
    46: _honoured("x-openstack-request-id, which every answer has"),
    47: _honoured("servers: the flavor itself instead of a link"),
    48: _honoured("diagnostics: one form for all hypervisors; what only the host could count now is null"),
    49: _elsewhere("tags of attached interfaces and volumes"),
    50: _honoured("quota classes: nothing of networks, and server groups"),
    51: _honoured("instance actions: events for every caller; external events are not served"),
    52: _honoured("servers: tags at creation"),
    53: _honoured("services and hypervisors: UUIDs, PUT by UUID, with_servers, hypervisor_hostname_pattern"),
    54: _elsewhere("rebuild: key pair"),
    55: _honoured("flavors: description"),
    56: _honoured("migrate: host"),
    57: _honoured("servers: no personality; limits and quotas: nothing of it"),
    58: _honoured("instance actions: pages, changes-since, updated_at"),
    59: _honoured("os-migrations: pages, changes-since, uuid"),
    60: _elsewhere("volumes with several attachments"),
    61: _honoured("flavors: extra_specs"),
    62: _honoured("instance actions: host and hostId of events"),
    63: _refused("trusted_image_certificates, which servers show as none"),
    64: _honoured("server groups: policy and rules instead of policies and metadata"),
    65: _honoured("server migrations: abort while it is queued or prepared"),
    66: _honoured("changes-before, of servers, instance actions and os-migrations"),
    67: _refused("volume_type of disks"),
    68: _honoured("no force for live migration and evacuate"),
    69: _honoured("partial answers while a part of the cloud is away: there are no cells, so none is partial"),
    70: _honoured("volume attachments: tag, which none has"),
    71: _honoured("servers: server_groups"),
    72: _elsewhere("ports with resource requests"),
    73: _honoured("lock: locked_reason, which servers show; the filter and sort key locked"),
    74: _honoured("servers: host and hypervisor_hostname at creation"),
    75: _honoured(
        "unknown names are refused with 400; PUT of a server answers with all its fields; swap is 0 instead of an "
        "empty text; hypervisors always list servers"
    ),
    76: _elsewhere("external events"),
    77: _refused("unshelve: availability_zone"),
    78: _honoured("servers: topology, which has no nodes"),
    79: _honoured("volume attachments: delete_on_termination"),
    80: _honoured("migrations: user_id, project_id, and filters by them"),
    81: _refused("aggregates: images"),
    82: _elsewhere("external events"),
    83: _honoured("servers: more filters for callers who are no administrators"),
    84: _honoured("instance actions: details of events that failed"),
    85: _refused("PUT of a volume attachment: delete_on_termination"),
    86: _honoured("flavors: extra specs in Nova's namespaces are held against its names and values"),
    87: _refused("rescue of servers that boot from a volume"),
    88: _honoured("hypervisors: no capacity, no statistics; uptime stands with the rest"),
    89: _honoured("volume attachments: attachment_id and bdm_uuid, no id"),
    90: _honoured("servers: hostname, at creation and in PUT"),
    91: _refused("unshelve: host, and no zone"),
    92: _honoured("key pairs: only import, more characters in names"),
    93: _elsewhere("rebuild of servers that boot from a volume"),
    94: _honoured("servers: hostname may be a full domain name"),
    95: _honoured("evacuate: the server ends stopped"),
    96: _honoured("servers: pinned_availability_zone"),
    97: _elsewhere("shares"),
    98: _honoured("servers: the properties that the image had at creation"),
    99: _elsewhere("remote consoles"),
    100: _honoured("servers: scheduler_hints"),
    101: _elsewhere("volumes attached after the answer"),
    102: _honoured("flavors: neither rxtx_factor nor OS-FLV-DISABLED:disabled"),
    103: _honoured("changes no answer of what is served: a real Nova answered the same at 2.100 and at 2.104"),
    104: _honoured("servers: PUT pins a server to the zone that it is in, or to none"),
}
HISTORY: Mapping[Version, Change] = {(2, minor): change for minor, change in _MINOR.items()}
