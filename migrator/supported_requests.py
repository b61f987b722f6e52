"""Every field of the Compute API's bodies and every name of its queries: one row each, honoured, refused or ignored.

The API reads the rows with ``values`` and the refused ones where it decides; ``docs/supported.md`` is drawn from all of
them. A test holds them against the schemas and routes, both ways. Data and pure functions only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from migrator.supported import HINTS, REFUSED_FILTERS, Honoured, Refused, shortened

_NOTHING = ("", "false", "none", "off", "no", "0", "[]", "{}")


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nova does nothing with it either."""

    name: str
    what: str


Row = Honoured | Refused | Ignored
Rows = tuple[Row, ...]


def _named(names: str, what: str = "") -> Rows:
    return tuple(Honoured(name, what) for name in names.split())


# Of a disk in block_device_mapping_v2. A volume's boot_index, and what becomes of the disk when the server is deleted
# (delete_on_termination), are held against its source.
DISK: Rows = (
    Honoured("uuid", "the image of imageRef, or a volume"),
    Honoured("source_type", "image for the image's own disk", ("image", "volume")),
    Honoured("destination_type", "local for the image's own disk", ("local", "volume")),
    Honoured("boot_index", "0 for the disk that is booted, -1 or none for another volume"),
    Honoured("delete_on_termination", "true for the image's own disk, false for a volume"),
    Honoured("device_name", "the device that the disk gets: vda for the root, then in order"),
    Honoured("disk_bus", "disks are on virtio", ("virtio",)),
    Honoured("device_type", "disks are disks", ("disk",)),
    Refused("guest_format", "no disk is formatted, and there is no swap disk"),
    Refused("no_device", "leave the disk out"),
    Refused("tag", "guests are told of no tags"),
    Refused("volume_size", "the flavor sets the disk's size, and a volume has its own"),
    Refused("volume_type", "no volume is made"),
)
NETWORK: Rows = (
    Honoured("uuid", "a network's id or name"),
    Refused("port", "ports are made with the server: name a network"),
    Honoured("fixed_ip", "of the ranges, and no other server's; outside of them an administrator chooses"),
    Honoured("tag", "it is shown with the interface"),
)
REFUSED_FIELDS: Rows = (
    Refused("personality", "put the files into the image"),
    Refused("block_device_mapping", "send block_device_mapping_v2"),
    Refused("trusted_image_certificates", "images carry no signatures"),
)
_DISK_CONFIG = "shown; partitions in the guest are the guest's own to grow"
FIELDS: Rows = (
    Honoured("OS-DCF:diskConfig", _DISK_CONFIG),
    Honoured("accessIPv4", "shown, and compared by filters"),
    Honoured("accessIPv6", "shown, and compared by filters"),
    Honoured("hostname", "at the creation of one server it is in the config drive, too"),
)
SERVER: Rows = (
    *_named("name description imageRef flavorRef metadata tags config_drive host hypervisor_hostname"),
    *_named("min_count max_count return_reservation_id"),
    Honoured("availability_zone", "ZONE, ZONE:HOST or ZONE:HOST:NODE; a host's node has its name"),
    Honoured("key_name", "a key pair of the caller's, in the config drive that such a server has"),
    Honoured("adminPass", "in the config drive that such a server has; it is not answered"),
    Honoured("user_data", "in the config drive that such a server has; there is no metadata service"),
    Honoured("networks", "auto takes the only network there is, and none gives none"),
    *FIELDS,
    *REFUSED_FIELDS,
)
_UPDATE: Rows = (
    *_named("name description"),
    Honoured("pinned_availability_zone", "the zone that the server is in, or null"),
    *FIELDS,
)

_PLAIN = "nothing is in its value"
_PLAIN_ACTIONS = [
    "os-start",
    "os-stop",
    "suspend",
    "resume",
    "pause",
    "unpause",
    "unlock",
    "confirmResize",
    "revertResize",
    "forceDelete",
]
ACTIONS: Mapping[str, Rows] = {
    **{name: (Ignored(name, _PLAIN),) for name in _PLAIN_ACTIONS},
    "reboot": _named("reboot.type"),
    "lock": (Ignored("lock", f"below 2.73 {_PLAIN}"), Honoured("lock.locked_reason", "")),
    "os-migrateLive": (
        *_named("os-migrateLive.host os-migrateLive.block_migration os-migrateLive.disk_over_commit"),
        Ignored("os-migrateLive.force", "the destination is checked all the same"),
    ),
    "migrate": (
        Ignored("migrate", f"below 2.56 {_PLAIN}, and a host in it chooses nothing"),
        Honoured("migrate.host", ""),
    ),
    "os-getConsoleOutput": (Honoured("os-getConsoleOutput.length", "of the newest 100 KiB, on whichever host"),),
    "resize": (Honoured("resize.flavorRef", ""), Honoured("resize.OS-DCF:diskConfig", _DISK_CONFIG)),
    "evacuate": (
        *_named("evacuate.host evacuate.onSharedStorage"),
        Honoured(
            "evacuate.adminPass",
            "is in the config drive that is made anew; where none is, nothing sets it, as with Nova's libvirt driver, "
            "and the answer says so (`X-Migrator-Password: not set: ...`); refused where the disks are kept",
        ),
        Ignored("evacuate.force", "the destination is checked all the same"),
    ),
    "os-resetState": (
        Honoured("os-resetState.state", "error is recorded; active is the state that the server's host lists"),
    ),
}


# Actions of Nova's that this server does not have: none of them moves an instance.
REFUSED_ACTIONS: tuple[Refused, ...] = (
    Refused("rescue", "stop the server, and look at its disks on the host"),
    Refused("unrescue", "no server is ever in rescue"),
    Refused("shelve", "stop the server: it keeps its host"),
    Refused("shelveOffload", "no server is ever shelved"),
    Refused("unshelve", "no server is ever shelved"),
    Refused("createImage", "no image is made of a server's disk"),
    Refused("createBackup", "no image is made of a server's disk"),
    Refused("trigger_crash_dump", "there is no crash dump"),
    Refused("addFloatingIp", "there are no floating addresses"),
    Refused("removeFloatingIp", "there are no floating addresses"),
    Refused("addFixedIp", "there is no network service"),
    Refused("removeFixedIp", "there is no network service"),
    Refused("addSecurityGroup", "there are no security groups"),
    Refused("removeSecurityGroup", "there are no security groups"),
    Refused("changePassword", "nothing sets a password in the guest"),
    Refused("restore", "there is no soft deletion"),
    Refused("rebuild", "delete the server, and create another one"),
    Refused("resetNetwork", "networks are configured in the guest alone"),
    Refused("injectNetworkInfo", "networks are configured in the guest alone"),
    Refused("os-getVNCConsole", "look at the console on the host"),
    Refused("os-getSPICEConsole", "look at the console on the host"),
    Refused("os-getRDPConsole", "look at the console on the host"),
    Refused("os-getSerialConsole", "look at the console on the host"),
)


def refused_action(name: str) -> str:
    """Why an action of Nova's is not there, to be added to the refusal; "": Nova has no such action either."""
    return next((f" (not supported: {row.what})" for row in REFUSED_ACTIONS if row.name == name), "")


def _under(place: str, rows: Rows) -> Rows:
    return tuple(type(row)(f"{place}.{row.name}", *_rest(row)) for row in rows)


def _rest(row: Row) -> tuple[Any, ...]:
    return (row.what, row.values) if isinstance(row, Honoured) else (row.what,)


_QUOTAS: Rows = _named("cores instances key_pairs metadata_items ram server_group_members server_groups")
_NO_SUCH_QUOTAS = (
    *("floating_ips", "security_group_rules", "security_groups"),
    *("injected_file_content_bytes", "injected_file_path_bytes", "injected_files"),
)
_SHOWN_QUOTAS: Rows = (
    Ignored("fixed_ips", "stored and shown: what bounds addresses is the setting quota_ports, of every project"),
    *(Ignored(name, "stored and shown: there is nothing of the kind") for name in _NO_SUCH_QUOTAS),
)
BODIES: Mapping[str, Rows] = {
    "POST /servers": (
        *_under("server", SERVER),
        *_under("server.block_device_mapping_v2[]", DISK),
        *_under("server.networks[]", NETWORK),
        Honoured("server.security_groups[].name", "there is no network service", ("default",)),
        *_under("os:scheduler_hints", HINTS),
        *_under("OS-SCH-HNT:scheduler_hints", HINTS),
    ),
    "PUT /servers/{id}": _under("server", _UPDATE),
    "POST /servers/{id}/metadata": _named("metadata"),
    "PUT /servers/{id}/metadata": _named("metadata"),
    "PUT /servers/{id}/metadata/{key}": _named("meta"),
    "PUT /servers/{id}/tags": _named("tags"),
    "PUT /os-services/{id}": _named("host binary status disabled_reason forced_down"),
    "POST /os-aggregates": _named("aggregate.name aggregate.availability_zone"),
    "PUT /os-aggregates/{id}": _named("aggregate.name aggregate.availability_zone"),
    "POST /os-server-groups": (
        *_named("server_group.name server_group.policies server_group.policy"),
        Honoured("server_group.rules.max_server_per_host", "of anti-affinity: how many of the group on a host"),
    ),
    "POST /os-keypairs": (
        *_named("keypair.name keypair.type keypair.public_key"),
        Honoured("keypair.user_id", "another user of the project, for administrators"),
    ),
    "PUT /os-quota-sets/{id}": (
        *_under("quota_set", (*_QUOTAS, *_SHOWN_QUOTAS)),
        Honoured("quota_set.force", "limits may be lower than what is used"),
    ),
    "PUT /os-quota-class-sets/{id}": _under("quota_class_set", (*_QUOTAS, *_SHOWN_QUOTAS)),
    "POST /flavors": (
        *_named("flavor.id flavor.name flavor.description flavor.ram flavor.vcpus flavor.disk"),
        *_named("flavor.OS-FLV-EXT-DATA:ephemeral flavor.os-flavor-access:is_public"),
        Honoured("flavor.swap", "other than 0: no server is made of it"),
        Ignored("flavor.rxtx_factor", "a label: it is stored and shown"),
    ),
    "PUT /flavors/{id}": _named("flavor.description"),
    "POST /flavors/{id}/action": _named("addTenantAccess.tenant removeTenantAccess.tenant"),
    "POST /flavors/{id}/os-extra_specs": (Honoured("extra_specs", "see above"),),
    "PUT /flavors/{id}/os-extra_specs/{key}": (Honoured("", "see above"),),
}
_PAGES = "limit marker"
_LISTED: Rows = (
    *_named("uuid name display_name description display_description status vm_state task_state power_state progress"),
    *_named("host node availability_zone flavor image image_ref key_name config_drive locked locked_by reservation_id"),
    *_named("hostname access_ip_v4 access_ip_v6"),
    *_named("user_id project_id tenant_id all_tenants deleted changes-since changes-before ip ip6"),
    *_named(f"tags tags-any not-tags not-tags-any sort_key sort_dir {_PAGES}"),
    *REFUSED_FILTERS,
)
_HYPERVISORS = _named(f"hypervisor_hostname_pattern with_servers {_PAGES}")
_FLAVORS = _named(f"is_public minRam minDisk sort_key sort_dir {_PAGES}")
_IMAGES = _named(f"name status server type minRam minDisk changes-since {_PAGES}")
_KEY_PAIR: Rows = (Honoured("user_id", "another user of the project, for administrators"),)
_QUOTA_USER: Rows = (Refused("user_id", "quotas are a project's"),)
_QUOTA_OF_USER: Rows = (Honoured("user_id", "the project's are shown: no user has other ones"),)
QUERIES: Mapping[str, Rows] = {
    "GET /servers": _LISTED,
    "GET /servers/detail": _LISTED,
    "GET /servers/{id}/os-instance-actions": _named(f"changes-since changes-before {_PAGES}"),
    "GET /servers/{id}/os-volume_attachments": _named("limit offset"),
    "GET /os-hosts": _named("zone"),
    "GET /os-server-groups": _named("all_projects limit offset"),
    "GET /os-migrations": (
        *_named(f"host source_compute instance_uuid status migration_type user_id project_id {_PAGES}"),
        *_named("changes-since changes-before"),
        Honoured("hidden", "no migration is ever hidden, so true finds none"),
    ),
    "GET /os-services": _named("host binary"),
    "GET /os-hypervisors": _HYPERVISORS,
    "GET /os-hypervisors/detail": _HYPERVISORS,
    "GET /os-hypervisors/{id}": _named("with_servers"),
    "GET /flavors": _FLAVORS,
    "GET /flavors/detail": _FLAVORS,
    "GET /images": _IMAGES,
    "GET /images/detail": _IMAGES,
    "GET /limits": (Honoured("tenant_id", "another project's for administrators"),),
    **{f"{way}/os-quota-sets/{{id}}": _QUOTA_USER for way in ("PUT ", "DELETE ")},
    **{f"GET /os-quota-sets/{{id}}{part}": _QUOTA_OF_USER for part in ("", "/detail")},
    "GET /os-simple-tenant-usage": _named(f"start end detailed {_PAGES}"),
    "GET /os-simple-tenant-usage/{id}": _named(f"start end {_PAGES}"),
    "GET /os-keypairs": (*_KEY_PAIR, *_named(_PAGES)),
    "GET /os-keypairs/{name}": _KEY_PAIR,
    "DELETE /os-keypairs/{name}": _KEY_PAIR,
}


def refused_values(asked: Mapping[str, Any], rows: Rows) -> list[str]:
    """A sentence for each field whose value cannot be honoured. What is empty or false asks for nothing."""
    said = []
    for row in rows:
        value = asked.get(row.name)
        if value is None or isinstance(row, Ignored) or str(value).lower() in _NOTHING:
            continue
        if isinstance(row, Refused):
            said.append(f"{row.name} is not supported: {row.what}")  # not its value: it may be a password
        elif row.values is not None and str(value) not in row.values:
            known = ", ".join(row.values)
            said.append(f"{row.name} {shortened(str(value))} is not supported; supported: {known} ({row.what})")
    return said
