"""What a body or a query about servers may look like, at which microversion. Data only.

Each name is a tuple of (from microversion, JSON schema), ascending: a request is held against the last entry that is
not above its own microversion.
"""

from typing import Any

from migrator.api.json_schema import INT32, IPV4, IPV6
from migrator.api.v2_1.common.schemas import (
    BOOLEAN,
    COUNT,
    HOST,
    METADATA,
    NAME,
    NULL_TEXT,
    TAG,
    TEXT,
    V1,
    Schema,
    Versioned,
    closed,
    list_of,
    space_separated,
)

MOST_TAGS = 50  # of a server
_MOST_DISKS = 64  # that a body may name
_MOST_NETWORKS = 32
_MOST_GROUPS = 50
_MOST_NAMED = 100  # instances that a hint may name
_MOST_REPEATED = 10_000  # of a sort key, where those that are repeated are dropped

_NETWORK: Schema = {"uuid": TEXT, "port": {"type": ["string", "null"]}, "fixed_ip": TEXT}


def _networks(**more: Schema) -> Schema:
    return {"type": "array", "items": closed(_NETWORK | more), "maxItems": _MOST_NETWORKS}


def _networks_237(**more: Schema) -> Schema:
    return {"oneOf": [_networks(**more), {"type": "string", "enum": ["none", "auto"]}]}


_DISK: Schema = closed(
    {
        "uuid": {"type": "string"},
        "source_type": {"type": "string", "enum": ["volume", "image", "snapshot", "blank"]},
        "destination_type": {"type": "string", "enum": ["local", "volume"]},
        "boot_index": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$", "format": INT32},
        "delete_on_termination": BOOLEAN,
        "volume_size": {"type": ["integer", "string"], "pattern": "^[0-9]+$", "format": INT32},
        "device_name": {"type": ["string", "null"]},
        "disk_bus": {"type": "string"},
        "device_type": {"type": "string"},
        "guest_format": {"type": "string"},
        "no_device": {},
        "tag": TAG,
        "volume_type": {"type": ["string", "null"]},
    }
)

_UUID: Schema = {"type": "string", "format": "uuid"}
_INSTANCES: Schema = {"oneOf": [_UUID, {"type": "array", "items": _UUID, "maxItems": _MOST_NAMED}]}
_HINTS: Schema = {"group": _UUID, "same_host": _INSTANCES, "different_host": _INSTANCES}
_SERVER: Schema = {
    "name": NAME,
    "imageRef": {"oneOf": [{"type": "string", "format": "uuid"}, {"type": "string", "maxLength": 0}]},
    "flavorRef": {"type": ["string", "integer"], "minLength": 1},
    "adminPass": {"type": "string"},
    "metadata": METADATA,
    "networks": _networks(),
    "OS-DCF:diskConfig": {"type": "string", "enum": ["AUTO", "MANUAL"]},
    "accessIPv4": {"type": "string", "format": IPV4},
    "accessIPv6": {"type": "string", "format": IPV6},
    "personality": {"type": "array"},
    "availability_zone": {"type": ["string", "null"], "minLength": 1, "maxLength": 255},
    "block_device_mapping": {"type": "array"},
    "block_device_mapping_v2": {"type": "array", "items": _DISK, "maxItems": _MOST_DISKS},
    "config_drive": BOOLEAN,
    "key_name": {"type": ["string", "null"], "minLength": 1, "maxLength": 255},
    "min_count": COUNT,
    "max_count": COUNT,
    "return_reservation_id": BOOLEAN,
    "security_groups": {
        "type": "array",
        "items": closed({"name": TEXT}),
        "maxItems": _MOST_GROUPS,
    },
    "user_data": {"type": ["string", "null"], "maxLength": 65535},
}


def _create(required: tuple[str, ...] = ("name", "flavorRef"), **changed: Any) -> Schema:
    properties = {name: schema for name, schema in (_SERVER | changed).items() if schema is not None}
    hints: Schema = {"type": "object", "properties": _HINTS}
    return closed(
        {
            "server": closed(properties, required),
            "os:scheduler_hints": hints,
            "OS-SCH-HNT:scheduler_hints": hints,
        },
        ("server",),
    )


_HOSTNAME: Schema = {
    "type": "string",
    "minLength": 2,
    "maxLength": 63,
    "pattern": r"^[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]$",
}
_ZONE_OR_NONE: Schema = {"type": ["string", "null"], "minLength": 1, "maxLength": 255}
_WITH_NETWORKS = ("name", "flavorRef", "networks")
_D19: Schema = {"description": NULL_TEXT}
_D32: Schema = _D19 | {"networks": _networks(tag=TAG)}
_D37: Schema = _D19 | {"networks": _networks_237()}  # without tag, as Nova's until 2.42
_D42: Schema = _D37 | {"networks": _networks_237(tag=TAG)}
_D52: Schema = _D42 | {"tags": {"type": "array", "items": TAG, "maxItems": MOST_TAGS}}
_D57: Schema = _D52 | {"personality": None}
_D63: Schema = _D57 | {"trusted_image_certificates": {"type": ["array", "null"], "items": TEXT, "maxItems": 50}}
_D74: Schema = _D63 | {"host": HOST, "hypervisor_hostname": HOST}

CREATE: Versioned = (
    (V1, _create()),
    ((2, 19), _create(**_D19)),
    ((2, 32), _create(**_D32)),
    ((2, 37), _create(_WITH_NETWORKS, **_D37)),
    ((2, 42), _create(_WITH_NETWORKS, **_D42)),
    ((2, 52), _create(_WITH_NETWORKS, **_D52)),
    ((2, 57), _create(_WITH_NETWORKS, **_D57)),
    ((2, 63), _create(_WITH_NETWORKS, **_D63)),
    ((2, 74), _create(_WITH_NETWORKS, **_D74)),
    ((2, 90), _create(_WITH_NETWORKS, **_D74, hostname=_HOSTNAME)),
    ((2, 94), _create(_WITH_NETWORKS, **_D74, hostname=HOST)),
)

_UPDATE: Schema = {
    "name": NAME,
    "OS-DCF:diskConfig": {"type": "string", "enum": ["AUTO", "MANUAL"]},
    "accessIPv4": {"type": "string", "format": IPV4},
    "accessIPv6": {"type": "string", "format": IPV6},
}


def _update(**more: Any) -> Schema:
    return closed({"server": closed(_UPDATE | more)}, ("server",))


UPDATE: Versioned = (
    (V1, _update()),
    ((2, 19), _update(description=NULL_TEXT)),
    ((2, 90), _update(description=NULL_TEXT, hostname=_HOSTNAME)),
    ((2, 94), _update(description=NULL_TEXT, hostname=HOST)),
    ((2, 104), _update(description=NULL_TEXT, hostname=HOST, pinned_availability_zone=_ZONE_OR_NONE)),
)

METADATA_BODY: Versioned = ((V1, closed({"metadata": METADATA}, ("metadata",))),)
META_BODY: Versioned = ((V1, closed({"meta": {**METADATA, "minProperties": 1, "maxProperties": 1}}, ("meta",))),)
TAGS_BODY: Versioned = (((2, 26), closed({"tags": {"type": "array", "items": TAG, "maxItems": MOST_TAGS}}, ("tags",))),)

# --- queries ----------------------------------------------------------------------------------------------------

SORT_KEYS_21 = space_separated(
    "access_ip_v4 access_ip_v6 auto_disk_config availability_zone config_drive created_at "
    "display_description display_name host hostname image_ref instance_type_id kernel_id key_name "
    "launch_index launched_at locked_by node power_state progress project_id ramdisk_id "
    "root_device_name task_state terminated_at updated_at user_id uuid vm_state architecture "
    "cell_name cleaned default_ephemeral_device default_swap_device deleted deleted_at "
    "disable_terminate ephemeral_gb ephemeral_key_uuid id key_data launched_on locked memory_mb "
    "os_type reservation_id root_gb shutdown_terminate user_data vcpus vm_mode"
)
SORT_KEYS_273 = [*SORT_KEYS_21[: SORT_KEYS_21.index("architecture")], "locked"]

_NUMBER: Schema = {"type": "string", "pattern": "^[0-9]*$", "maxLength": 18}
_STRING: Schema = {"type": "string"}
_DATE: Schema = {"type": "string", "format": "date-time"}


_LIST_NAMES = space_separated(
    "user_id project_id tenant_id launch_index image_ref image kernel_id ramdisk_id hostname "
    "key_name vm_state task_state power_state instance_type_id host node reservation_id "
    "terminated_at launched_at root_device_name availability_zone display_name name "
    "display_description description auto_disk_config access_ip_v4 access_ip_v6 created_at "
    "updated_at uuid status flavor ip ip6 deleted all_tenants config_drive progress locked_by "
    "soft_deleted"
)
_LIST: Schema = {name: list_of(_STRING) for name in _LIST_NAMES} | {
    "limit": list_of(_NUMBER),
    "marker": list_of(_STRING),
    "sort_dir": list_of(_STRING, _MOST_REPEATED),
    "sort_key": list_of({"type": "string", "enum": SORT_KEYS_21}, _MOST_REPEATED),
    "changes-since": list_of(_DATE),
}
_TAG_NAMES = ("tags", "tags-any", "not-tags", "not-tags-any")
_L26: Schema = _LIST | {name: list_of(_STRING) for name in _TAG_NAMES}
_L66: Schema = _L26 | {"changes-before": list_of(_DATE)}
_L73: Schema = _L66 | {
    "locked": list_of(_STRING),
    "sort_key": list_of({"type": "string", "enum": SORT_KEYS_273}, _MOST_REPEATED),
}

LIST_QUERY: Versioned = (
    (V1, {"type": "object", "properties": _LIST, "additionalProperties": True}),
    ((2, 26), {"type": "object", "properties": _L26, "additionalProperties": True}),
    ((2, 66), {"type": "object", "properties": _L66, "additionalProperties": True}),
    ((2, 73), {"type": "object", "properties": _L73, "additionalProperties": True}),
    ((2, 75), {"type": "object", "properties": _L73, "additionalProperties": False}),
)

_MIGRATION_NAMES = ("hidden", "host", "instance_uuid", "source_compute", "status", "migration_type")
_M1: Schema = {name: list_of(_STRING) for name in _MIGRATION_NAMES}
_M59: Schema = _M1 | {"limit": list_of(_NUMBER), "marker": list_of(_STRING), "changes-since": list_of(_DATE)}
_M66: Schema = _M59 | {"changes-before": list_of(_DATE)}
_M80: Schema = _M66 | {"user_id": list_of(_STRING), "project_id": list_of(_STRING)}

MIGRATIONS_QUERY: Versioned = (
    (V1, {"type": "object", "properties": _M1, "additionalProperties": True}),
    ((2, 59), {"type": "object", "properties": _M59, "additionalProperties": False}),
    ((2, 66), {"type": "object", "properties": _M66, "additionalProperties": False}),
    ((2, 80), {"type": "object", "properties": _M80, "additionalProperties": False}),
)

_A58: Schema = {"limit": list_of(_NUMBER), "marker": list_of(_STRING), "changes-since": list_of(_DATE)}
ACTIONS_QUERY: Versioned = (
    (V1, {"type": "object"}),
    ((2, 58), {"type": "object", "properties": _A58, "additionalProperties": False}),
    (
        (2, 66),
        {
            "type": "object",
            "properties": _A58 | {"changes-before": list_of(_DATE)},
            "additionalProperties": False,
        },
    ),
)
