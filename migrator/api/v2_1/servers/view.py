"""An instance as the Compute API's "server", at every microversion. Pure: a row in, a dict out.

Owns the statuses and the fields; never reads the database and never decides who may see what (``ViewContext`` says it).
"""

import hashlib
import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from migrator.api.public_messages import public
from migrator.api.timestamps import iso_us, iso_z
from migrator.db.aggregates import DEFAULT_ZONE
from migrator.scheduler.decision.public_errors import fault_parts

Version = tuple[int, int]

_REBOOTS = {"rebooting": "REBOOT", "reboot_pending": "REBOOT", "reboot_started": "REBOOT"} | {
    "rebooting_hard": "HARD_REBOOT",
    "reboot_pending_hard": "HARD_REBOOT",
    "reboot_started_hard": "HARD_REBOOT",
}
_RESIZES = {f"resize_{step}": "RESIZE" for step in ("prep", "migrating", "migrated", "finish")}
_REBUILDS = dict.fromkeys(("rebuilding", "rebuild_block_device_mapping", "rebuild_spawning"), "REBUILD")
_REVERTS = {"resize_reverting": "REVERT_RESIZE"}  # also of a move that is undone before it was there to verify
_COLD = _RESIZES | _REVERTS | _REBUILDS
_DEFAULT = ""
# vm_state -> task_state -> status; the empty task_state stands for every other one
STATUSES: Mapping[str, Mapping[str, str]] = {
    "active": {_DEFAULT: "ACTIVE", "migrating": "MIGRATING", **_REBOOTS, **_COLD},
    "building": {_DEFAULT: "BUILD"},
    "stopped": {_DEFAULT: "SHUTOFF", **_COLD},
    "paused": {_DEFAULT: "PAUSED", "migrating": "MIGRATING"},
    "suspended": {_DEFAULT: "SUSPENDED", **_COLD},
    "resized": {_DEFAULT: "VERIFY_RESIZE", **_REVERTS},
    "error": {_DEFAULT: "ERROR", **_REBUILDS},
    "deleted": {_DEFAULT: "DELETED"},
}


TRANSFERRING = frozenset({"migrating", "resize_migrating"})  # task_states in which bytes are counted
_WITH_PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})


def status(vm_state: str, task_state: str | None) -> str:
    states = STATUSES.get(vm_state, {_DEFAULT: "UNKNOWN"})
    return states.get(task_state or _DEFAULT, states[_DEFAULT])


def states_of(statuses: Collection[str]) -> tuple[set[str], set[str] | None]:
    """The vm_states and task_states that show as one of ``statuses`` (any case); None: every task_state."""
    wanted = {word.upper() for word in statuses}
    vm_states: set[str] = set()
    task_states: set[str] | None = set()
    for vm_state, by_task in STATUSES.items():
        shown = {task for task, word in by_task.items() if word in wanted}
        if shown:
            vm_states.add(vm_state)
        if task_states is not None:
            task_states = None if _DEFAULT in shown else task_states | shown
    return vm_states, task_states


@lru_cache(maxsize=65536)
def host_id(project_id: str, host: str | None) -> str:
    """A host's name for one project: the same for all its instances there, and another one for every other project."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def links(base: str, root: str, kind: str, ident: str) -> list[dict[str, str]]:
    """``base`` is the endpoint ('http://h:8774/v2.1'), ``root`` the same without the version."""
    return [
        {"rel": "self", "href": f"{base}/{kind}/{ident}"},
        {"rel": "bookmark", "href": f"{root}/{kind}/{ident}"},
    ]


@dataclass(frozen=True, slots=True)
class ViewContext:
    """What a view needs beside the row. ``attributes``: whether hosts, faults in full, and what else only operators use
    are shown; ``extra_specs``: whether the flavor's are; ``host_states``: host -> host_status, None: it is not shown;
    ``percents``: instance -> how much of it has been transferred."""

    version: Version
    base: str
    root: str
    attributes: bool
    extra_specs: bool
    host_states: Mapping[str, str] | None
    percents: Mapping[str, int]
    zones: Mapping[str, str] = field(default_factory=dict)  # host -> its availability zone, if it is not the default


def brief(row: Any, context: ViewContext) -> dict[str, Any]:
    return {"id": row.uuid, "name": row.name, "links": links(context.base, context.root, "servers", row.uuid)}


def addresses(networks: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for nic in networks:
        if nic.get("ip"):
            found.setdefault(nic["network"], []).append(
                {
                    "version": ipaddress.ip_address(nic["ip"]).version,
                    "addr": nic["ip"],
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": nic["mac"],
                }
            )
    return found


def detail(row: Any, context: ViewContext, *, single: bool) -> dict[str, Any]:
    """Every field. ``single``: GET of one server, which also lists its groups."""
    server = core(row, context)
    _extended(server, row, context)
    _by_version(server, row, context, single)
    return server


def core(row: Any, context: ViewContext) -> dict[str, Any]:
    """The fields that PUT answers with below 2.75, and that every other view begins with."""
    version = context.version
    server = {
        "accessIPv4": row.access_ip_v4 or "",
        "accessIPv6": row.access_ip_v6 or "",
        "addresses": addresses(row.networks),
        "created": iso_z(row.created_at),
        "flavor": _flavor(row.flavor, context),
        "hostId": host_id(row.project_id, row.host),
        "id": row.uuid,
        "image": _image(row, context),
        "links": links(context.base, context.root, "servers", row.uuid),
        "metadata": row.metadata,
        "name": row.name,
        "status": status(row.vm_state, row.task_state),
        "tenant_id": row.project_id,
        "updated": iso_z(row.updated_at or row.created_at),
        "user_id": row.user_id,
        "OS-DCF:diskConfig": row.disk_config or "MANUAL",
    }
    if server["status"] in ("ERROR", "DELETED"):
        if row.fault:
            server["fault"] = _fault(row, context.attributes)
    elif server["status"] in _WITH_PROGRESS:
        arrived = 100 if row.task_state == "resize_finish" else row.progress
        server["progress"] = context.percents.get(row.uuid, arrived)
    if version >= (2, 9):
        server["locked"] = row.locked_by is not None
    if version >= (2, 19):
        server["description"] = row.description
    if version >= (2, 26):
        server["tags"] = row.tags
    if version >= (2, 63):
        server["trusted_image_certificates"] = None
    if version >= (2, 73):
        server["locked_reason"] = row.locked_reason
    return server


def groups(row: Any) -> list[str]:
    """The server groups that it belongs to."""
    return [row.server_group] if row.server_group else []


def _flavor(flavor: Mapping[str, Any], context: ViewContext) -> dict[str, Any]:
    if context.version < (2, 47):
        ident = flavor["flavorid"]
        return {"id": ident, "links": [{"rel": "bookmark", "href": f"{context.root}/flavors/{ident}"}]}
    shown = {
        "vcpus": flavor["vcpus"],
        "ram": flavor["memory_mb"],
        "disk": flavor["disk_gb"],
        "ephemeral": flavor.get("ephemeral_gb", 0),
        "swap": flavor.get("swap_mb", 0),
        "original_name": flavor["name"],
    }
    return shown | {"extra_specs": flavor.get("extra_specs") or {}} if context.extra_specs else shown


def _image(row: Any, context: ViewContext) -> dict[str, Any] | str:
    if row.image_id is None:
        return ""
    shown = {"id": row.image_id, "links": [{"rel": "bookmark", "href": f"{context.root}/images/{row.image_id}"}]}
    return shown if context.version < (2, 98) else shown | {"properties": row.image_properties or {}}


def _fault(row: Any, attributes: bool) -> dict[str, Any]:
    """A fault without a time of its own came with the server's last change: clients insist on a time."""
    fault = row.fault
    created = fault.get("created") or row.updated_at or row.created_at
    message, details = fault_parts(fault)
    shown = {
        "code": fault.get("code", 500),
        "created": created if isinstance(created, str) else iso_z(created),
        "message": public(message),
    }
    if details and attributes:
        shown["details"] = public(details)
    return shown


def _extended(server: dict[str, Any], row: Any, context: ViewContext) -> None:
    server["OS-EXT-AZ:availability_zone"] = context.zones.get(row.host, DEFAULT_ZONE) if row.host else ""
    server["config_drive"] = "True" if row.config_drive else ""
    server["key_name"] = row.key_name
    server["OS-SRV-USG:launched_at"] = iso_us(row.launched_at)
    server["OS-SRV-USG:terminated_at"] = iso_us(row.terminated_at)
    server["OS-EXT-STS:task_state"] = row.task_state
    server["OS-EXT-STS:vm_state"] = row.vm_state
    server["OS-EXT-STS:power_state"] = row.power_state
    kept = {"delete_on_termination": False} if context.version >= (2, 3) else {}
    attached = [{"id": volume["id"], **kept} for volume in row.spec.get("volumes") or ()]
    server["os-extended-volumes:volumes_attached"] = attached
    if context.attributes:
        server["OS-EXT-SRV-ATTR:host"] = row.host
        server["OS-EXT-SRV-ATTR:instance_name"] = f"instance-{row.id:08x}"
        server["OS-EXT-SRV-ATTR:hypervisor_hostname"] = row.host


def _by_version(server: dict[str, Any], row: Any, context: ViewContext, single: bool) -> None:
    version = context.version
    if version >= (2, 3) and context.attributes:
        spec = row.spec
        disks = ({"target": "vda"},) if spec.get("home") else spec.get("disks") or ()
        server["OS-EXT-SRV-ATTR:kernel_id"] = spec.get("kernel_id") or ""
        server["OS-EXT-SRV-ATTR:launch_index"] = 0
        server["OS-EXT-SRV-ATTR:ramdisk_id"] = spec.get("ramdisk_id") or ""
        server["OS-EXT-SRV-ATTR:reservation_id"] = row.reservation_id
        server["OS-EXT-SRV-ATTR:root_device_name"] = f"/dev/{disks[0]['target']}" if disks and row.host else None
        server["OS-EXT-SRV-ATTR:user_data"] = spec.get("user_data")
    if (version >= (2, 3) and context.attributes) or version >= (2, 90):
        server["OS-EXT-SRV-ATTR:hostname"] = row.hostname or hostname(row.name)
    if version >= (2, 16) and context.host_states is not None:
        server["host_status"] = context.host_states.get(row.host, "UNKNOWN") if row.host else ""
    if version >= (2, 71) and single:
        server["server_groups"] = groups(row)
    if version >= (2, 96):
        server["pinned_availability_zone"] = row.availability_zone
    if version >= (2, 100):
        server["scheduler_hints"] = row.scheduler_hints or {}


@lru_cache(maxsize=65536)
def hostname(name: str) -> str:
    """The guest's host name, made from the server's name: letters, digits and '-', at most 63 characters."""
    kept = "".join(
        c
        for c in name.replace(" ", "-").replace("_", "-").replace(".", "-")
        if (c.isascii() and c.isalnum()) or c == "-"
    )
    return kept.strip("-").lower()[:63] or "server"
