"""What a client may ask for beside the plain fields, and what becomes of it: one row each, honoured or refused by name.

The API reads these rows where it decides, and ``docs/supported.md`` is drawn from them (``script/docs``). What is in no
row is a label: it is stored and shown, and changes nothing. A row's name in another spelling (case, blanks) is refused.
Data and pure functions only.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_OFF = ("false", "False", "no", "0")
_LONGEST_KEY = 255  # of a refused name that is repeated in the answer
_MOST_NAMED = 10  # refused names in one answer


@dataclass(frozen=True, slots=True)
class Honoured:
    """``values``: those that are honoured, any other is refused; None: every one."""

    name: str
    what: str
    values: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """``name``: how the names begin that no row of ``Honoured`` has; each of them is refused."""

    name: str
    what: str


STORAGE, EPHEMERAL_STORAGE = "migrator:storage", "migrator:ephemeral_storage"
EXTRA_SPECS = (
    Honoured(STORAGE, "the storage pool of the instance's disks"),
    Honoured(EPHEMERAL_STORAGE, "the storage pool of its ephemeral disk"),
    Honoured("aggregate_instance_extra_specs:KEY", "hosts of an aggregate with that metadata; Nova's operators"),
    Honoured("hw:cpu_policy", "vCPUs are never pinned", ("shared",)),
    Honoured("hw:boot_menu", "there is no boot menu", _OFF),
    Honoured("hw:firmware_type", "guests boot by BIOS", ("bios",)),
    Honoured("hide_hypervisor_id", "the hypervisor shows itself", _OFF),
)
REFUSED_EXTRA_SPECS = (
    Refused("accel:", "accelerators"),
    Refused("capabilities:", "placement by what hosts have"),
    Refused("hw:", "the guest's hardware"),
    Refused("hw_rng:", "a source of random numbers"),
    Refused("hw_video:", "the video card"),
    Refused("os:", "the guest's operating system"),
    Refused("pci_passthrough:", "devices of the host"),
    Refused("powervm:", "another hypervisor"),
    Refused("quota:", "limits on processor, disk and network"),
    Refused("resources", "placement by resources, numbered groups too"),
    Refused("trait", "placement by traits, numbered groups too"),
    Refused("group_policy", "placement of numbered groups"),
    Refused("member_of", "placement by aggregates"),
    Refused("in_tree", "placement by trees of resources"),
    Refused("root_required", "placement by trees of resources"),
    Refused("same_subtree", "placement by trees of resources"),
    Refused("trust:", "attested hosts"),
    Refused("vmware:", "another hypervisor"),
    Refused("migrator:", "extra specs of this server are those above"),
)
UNSCOPED = Refused("", "Nova compares it with what hosts have, or with aggregates")  # a name without a scope

IMAGE_PROPERTIES = (
    Honoured("kernel_id", "the image whose file is booted directly"),
    Honoured("ramdisk_id", "the ramdisk for it"),
    Honoured("os_command_line", "the command line for it"),
    Honoured("architecture", "hosts are x86_64", ("x86_64", "amd64")),
    Honoured("hw_architecture", "the same, by its new name", ("x86_64", "amd64")),
    Honoured("root_device_name", "the root disk is the first one on virtio", ("/dev/vda", "vda")),
    Honoured("auto_disk_config", "partitions in the guest are never resized", (*_OFF, "disabled")),
    Honoured("hw_auto_disk_config", "the same, by its new name", (*_OFF, "disabled")),
    Honoured("hw_disk_bus", "disks are on virtio", ("virtio",)),
    Honoured("hw_vif_model", "network cards are virtio", ("virtio",)),
    Honoured("hw_firmware_type", "guests boot by BIOS", ("bios",)),
    Honoured("hw_vm_mode", "hardware virtualization", ("hvm",)),
    Honoured("vm_mode", "the same, by its old name", ("hvm",)),
    Honoured("img_hv_type", "QEMU or KVM", ("qemu", "kvm")),
    Honoured("hypervisor_type", "the same, by its old name", ("qemu", "kvm")),
    Honoured("hw_qemu_guest_agent", "there is no channel for a guest agent", _OFF),
    Honoured("hw_vif_multiqueue_enabled", "network cards have one queue", _OFF),
    Honoured("hw_boot_menu", "there is no boot menu", _OFF),
    Honoured("hw_cpu_policy", "vCPUs are never pinned", ("shared",)),
    Honoured("os_require_quiesce", "disks are never quiesced", _OFF),
    Honoured("img_config_drive", "the server's config_drive asks for one", ("optional",)),
    Honoured("os_type", "guests are not adapted to a system", ("linux",)),
    Honoured("os_distro", "a label: names a system of libosinfo, and every guest has the same devices"),
    Honoured("os_version", "a label: changes nothing about the guest"),
    Honoured("os_admin_user", "a label: changes nothing about the guest"),
    Honoured("os_hash_algo", "a label of the image service"),
    Honoured("os_hash_value", "a label of the image service"),
    Honoured("os_hidden", "a label of the image service"),
    Honoured("owner_id", "a label: the project that made the image"),
    Honoured("img_owner_id", "the same, by its new name"),
)
REFUSED_PROPERTIES = (
    Refused("hw_", "the guest's hardware"),
    Refused("os_", "the guest's operating system"),
    Refused("img_", "how the image is used"),
    Refused("trait:", "placement by traits"),
    Refused("traits_required", "placement by traits"),
    Refused("vm_mode", "the kind of virtualization"),
    Refused("hypervisor_", "the kind of hypervisor and its version"),
    Refused("block_device_mapping", "disks that the image names"),
    Refused("bdm_v2", "disks that the image names"),
    Refused("mappings", "disks that the image names"),
    Refused("ipxe_boot", "boot from the network"),
    Refused("cache_in_nova", "how the image is cached"),
    Refused("bittorrent", "how the image is fetched"),
    Refused("cinder_encryption_key_", "encrypted images"),
    Refused("vmware_", "another hypervisor"),
    Refused("xenapi_", "another hypervisor"),
    Refused("migrator:", "extra specs of flavors"),
)

HINTS = (  # of a server, at its creation; they hold for as long as there is the server
    Honoured("group", "the server group that it is in"),
    Honoured("same_host", "one instance or several: a host of any of them"),
    Honoured("different_host", "one instance or several: a host with none of them, and none of them comes to it later"),
)

# Filters of GET /servers that Nova documents and that compare nothing here; the others of Nova's are honoured.
REFUSED_FILTERS = (
    Refused("auto_disk_config", "partitions in the guest are never resized"),
    Refused("created_at", "use changes-since and changes-before"),
    Refused("instance_type_id", "use flavor"),
    Refused("kernel_id", "use image"),
    Refused("launch_index", "it is always 0"),
    Refused("launched_at", "use changes-since and changes-before"),
    Refused("ramdisk_id", "use image"),
    Refused("root_device_name", "use image"),
    Refused("soft_deleted", "there is no soft deletion"),
    Refused("terminated_at", "use deleted with changes-since"),
    Refused("updated_at", "use changes-since and changes-before"),
)


def refused_filters(asked: Iterable[str]) -> list[str]:
    """A sentence for each filter of servers that cannot be honoured."""
    names = set(asked)
    return [f"filter {row.name!r} is not supported: {row.what}" for row in REFUSED_FILTERS if row.name in names]


def refused_extra_specs(specs: Mapping[str, Any]) -> list[str]:
    """A sentence for each that cannot be honoured."""
    return _refused("extra spec", specs, EXTRA_SPECS, REFUSED_EXTRA_SPECS, labels_have_scopes=True)


def refused_properties(properties: Mapping[str, Any]) -> list[str]:
    """A sentence for each property of an image that cannot be honoured."""
    return _refused("image property", properties, IMAGE_PROPERTIES, REFUSED_PROPERTIES)


def refused_hints(hints: Iterable[str]) -> list[str]:
    """A sentence for each scheduler hint that is not honoured."""
    known = [row.name for row in HINTS]
    refused = sorted(set(hints) - set(known))[:_MOST_NAMED]
    said = [f"scheduler hint {shortened(name)} is not supported" for name in refused]
    return [*said, f"supported hints: {', '.join(known)}"] if said else []


def refused_swap(swap_mb: int) -> list[str]:
    """A sentence when a flavor wants a swap disk."""
    return [f"swap {swap_mb} is not supported; supported: 0 (guests get no swap disk)"] if swap_mb else []


def _refused(
    kind: str,
    asked: Mapping[str, Any],
    rows: Iterable[Honoured],
    scopes: Iterable[Refused],
    *,
    labels_have_scopes: bool = False,
) -> list[str]:
    honoured, beginnings = {row.name: row for row in rows}, tuple(row.name for row in scopes)
    said = []
    for key, value in sorted(asked.items()):
        row = honoured.get(key)
        scope = None if row is not None else _scope(key, honoured, beginnings)
        if scope is None and labels_have_scopes and row is None and ":" not in key:
            scope = UNSCOPED.name
        if scope is not None:
            names = ", ".join(name for name in honoured if name.startswith(scope)) or "none of its kind"
            said.append(f"{kind} {shortened(key)} is not supported; supported: {names}")
        elif row is not None and row.values is not None and str(value) not in row.values:
            known = ", ".join(row.values)
            said.append(f"{kind} {shortened(key)} is {shortened(str(value))}; supported: {known} ({row.what})")
    return said[:_MOST_NAMED]


def _scope(key: str, honoured: Iterable[str], beginnings: tuple[str, ...]) -> str | None:
    """How the names of its kind begin; None for one that is in no row. Case and blanks make no difference."""
    meant = re.sub(r"\s", "", key).casefold()
    if begun := next((beginning for beginning in beginnings if meant.startswith(beginning)), None):
        return begun
    for name in honoured:
        scope = name[: name.find(":") + 1]  # empty for a name that has none
        if meant == name:
            return name
        if scope and meant.startswith(scope) and not key.startswith(scope):
            return scope
    return None


def shortened(text: str) -> str:
    """In quotes, as an answer repeats it."""
    return repr(text[:_LONGEST_KEY])
