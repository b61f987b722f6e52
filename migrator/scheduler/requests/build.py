"""Begins builds: makes an instance's record and definition from flavor, image and volumes.

Nothing in the definition depends on a host. Never advances an operation and never talks HTTP.
"""

import secrets
import string
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from migrator import supported
from migrator.db import images as image_rows
from migrator.db import instances, keys, neighbours, server_groups
from migrator.db import volumes as volume_rows
from migrator.db.engine import Connection, Database
from migrator.db.quotas import Limits
from migrator.db.rows import ImageRow
from migrator.errors import BadRequest, ServerGroupNotFound
from migrator.operations import Kind
from migrator.protocol import DiskSpec, ImageRef, InstanceSpec, NicSpec, VolumeSpec
from migrator.scheduler.requests import interfaces, quota_checks
from migrator.scheduler.requests.interfaces import Interfaces, WantedNic
from migrator.scheduler.requests.requests import Caller, begin
from migrator.scheduler.state import passwords
from migrator.untrusted.image_inspection import QEMU_FORMATS

STORAGE_EXTRA_SPEC = supported.STORAGE  # flavor extra spec that names the pool of the instance's disks
EPHEMERAL_EXTRA_SPEC = supported.EPHEMERAL_STORAGE  # the same for its ephemeral disk; without it, where the root is
DEFAULT_POOL = "local"
_EPHEMERAL = "vdb"  # the device of the ephemeral disk


@dataclass(frozen=True, slots=True)
class Hints:
    """The server group that an instance is in, the instances one of which it has to share a host with, and those that
    it is kept apart from. ``asked``: all of it as the request has it, to be shown."""

    asked: Mapping[str, Any] = field(default_factory=dict)
    group: str | None = None
    same_host: Sequence[str] = ()
    different_host: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class NewInstance:
    """``flavor`` and ``image`` are rows of their tables as mappings."""

    name: str
    flavor: Mapping[str, Any]
    image: Mapping[str, Any] | None
    networks: Sequence[WantedNic] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    description: str | None = None
    availability_zone: str | None = None
    requested_host: str | None = None
    key_name: str | None = None
    key_data: str | None = None  # the public key of that name
    config_drive: bool = False
    hostname: str = ""
    display_columns: Mapping[str, Any] = field(default_factory=dict)  # column -> value: recorded only to be shown
    user_data: str | None = None  # in base64
    admin_pass: str | None = None  # for the config drive; recorded nowhere else
    boot_volume: str | None = None  # id of the volume that is its root disk; there is no image then
    volumes: Sequence[str] = ()  # ids of further ones, in the order of their devices
    reservation_id: str | None = None
    hints: Hints = Hints()


def create_instances(
    db: Database, caller: Caller, wanted: Sequence[NewInstance], least: int, settings: Limits
) -> list[tuple[str, int]]:
    """As many of one flavor and group as the project's quotas allow, all or none. Raises QuotaExceeded for fewer than
    ``least``, and what ``create_instance`` does."""
    first, project_id = wanted[0], caller.project_id
    with db.write() as connection:
        count = quota_checks.instances(connection, project_id, settings, first.flavor, least, len(wanted))
        quota_checks.metadata_items(connection, project_id, settings, len(first.metadata))
        if first.hints.group is not None:
            _join(connection, first.hints.group)
            quota_checks.group_members(connection, project_id, settings, first.hints.group, count)
        nics = _interfaces(connection, caller)
        interfaces_each = len(nics.named(first.networks))
        count = quota_checks.ports(connection, project_id, settings, interfaces_each, least, count)
        return [_create(connection, caller, new, nics) for new in wanted[:count]]


def create_instance(db: Database, caller: Caller, new: NewInstance) -> tuple[str, int]:
    """Record the instance, make the volumes its own and begin its build, whatever the quotas say. (instance UUID,
    operation id). Raises VolumeNotFound, Conflict for a volume that is another instance's, AddressesUsedUp, and
    BadRequest for a network or an address that cannot be had."""
    with db.write() as connection:
        if new.hints.group is not None:
            _join(connection, new.hints.group)
        return _create(connection, caller, new, _interfaces(connection, caller))


def _interfaces(connection: Connection, caller: Caller) -> Interfaces:
    return Interfaces(connection, None if caller.is_admin else caller.project_id)


def _create(connection: Connection, caller: Caller, new: NewInstance, nics: Interfaces) -> tuple[str, int]:
    uuid = str(uuids.uuid4())
    spec = _spec(connection, uuid, new, nics.give(uuid, new.networks))
    instances.create(
        connection,
        {
            "uuid": uuid,
            "name": new.name,
            "description": new.description,
            "project_id": caller.project_id,
            "user_id": caller.user_id,
            "reservation_id": new.reservation_id or reservation_id(),
            "flavor": dict(new.flavor),
            "image_id": new.image["id"] if new.image else None,
            "image_properties": dict(new.image["properties"] or {}) if new.image else None,
            "spec": spec.model_dump(mode="json"),
            "availability_zone": new.availability_zone,
            "vm_state": "building",
            "task_state": "scheduling",
            "metadata": dict(new.metadata),
            "tags": list(new.tags),
            "networks": interfaces.recorded(spec.nics),
            "key_name": new.key_name,
            "key_data": new.key_data,
            "hostname": new.hostname or None,
            **new.display_columns,
            "config_drive": new.config_drive,
            "server_group": new.hints.group,
            "scheduler_hints": dict(new.hints.asked),
        },
    )
    neighbours.add(connection, uuid, neighbours.SAME_HOST, new.hints.same_host)
    neighbours.add(connection, uuid, neighbours.DIFFERENT_HOST, new.hints.different_host)
    secret = passwords.encrypted(keys.stamp_key(connection), new.admin_pass) if new.admin_pass else None
    params = {passwords.PARAM: secret} if secret is not None else {}
    return uuid, begin(connection, caller, Kind.BUILD, uuid, None, requested_host=new.requested_host, params=params)


def _join(connection: Connection, group: str) -> None:
    """Until the instance is recorded the group cannot be removed. Raises BadRequest for one that is gone."""
    try:
        server_groups.get(connection, group, lock=True)
    except ServerGroupNotFound as error:
        raise BadRequest(error.message) from error


def reservation_id() -> str:
    return "r-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))


def _spec(connection: Connection, uuid: str, new: NewInstance, nics: tuple[NicSpec, ...]) -> InstanceSpec:
    """The instance's definition, from flavor and image; nothing in it depends on a host."""
    flavor, disks = new.flavor, _disks(new)
    volumes, image = _attached(connection, uuid, new)
    properties = image["properties"] if image else {}
    kernel, ramdisk = properties.get("kernel_id"), properties.get("ramdisk_id")
    wanted = [i for i in (new.image["id"] if new.image else None, kernel, ramdisk) if i]
    refs = [_image_ref(image_rows.get(connection, i)) for i in dict.fromkeys(wanted)]
    return InstanceSpec(
        uuid=uuid,
        name=new.name,
        vcpus=flavor["vcpus"],
        memory_mb=flavor["memory_mb"],
        disks=disks,
        volumes=volumes,
        state_pool=_pool(new) if new.boot_volume else "",
        nics=nics,
        images=tuple(refs),
        kernel_id=kernel,
        ramdisk_id=ramdisk,
        kernel_args=properties.get("os_command_line"),
        metadata=dict(new.metadata),
        hostname=new.hostname,
        key_name=new.key_name if new.key_data is not None else None,
        key_data=new.key_data,
        user_data=new.user_data,
    )


def volume_targets(flavor: Mapping[str, Any], count: int) -> list[str]:
    """The devices of the first ``count`` volumes beside the root: those that no disk of the flavor has."""
    taken = {_EPHEMERAL} if flavor.get("ephemeral_gb") else set()
    free = (target for target in map("vd{}".format, string.ascii_lowercase[1:]) if target not in taken)
    return list(islice(free, count))


def _attached(
    connection: Connection, uuid: str, new: NewInstance
) -> tuple[tuple[VolumeSpec, ...], Mapping[str, Any] | None]:
    """Its volumes, made its own, on the devices that are left; and the image whose kernel it boots."""
    wanted = [(new.boot_volume, "vda")] if new.boot_volume else []
    wanted += zip(new.volumes, volume_targets(new.flavor, len(new.volumes)), strict=True)
    # All builds take them in the same order, so that no two wait for each other.
    attached = (volume_rows.attach(connection, ident, uuid, target) for ident, target in sorted(wanted))
    rows = sorted(attached, key=lambda row: str(row.target))
    image = new.image
    if new.boot_volume and rows[0].image_id:
        image = dict(image_rows.get(connection, rows[0].image_id)._asdict())
    specs = (VolumeSpec(id=row.id, target=row.target, source=row.source, size_gb=row.size_gb) for row in rows)
    return tuple(specs), image


def _pool(new: NewInstance) -> str:
    return str((new.flavor.get("extra_specs") or {}).get(STORAGE_EXTRA_SPEC, DEFAULT_POOL))


def _disks(new: NewInstance) -> tuple[DiskSpec, ...]:
    """The root disk, made from the image, unless it is a volume; an empty ephemeral one, if the flavor has one; the
    config drive."""
    flavor, image = new.flavor, new.image
    extra, pool = flavor.get("extra_specs") or {}, _pool(new)
    disk_format = "raw" if image and QEMU_FORMATS.get(image["disk_format"]) == "raw" else "qcow2"
    root_image = image["id"] if image else None
    disks = []
    if new.boot_volume is None:
        root = DiskSpec(target="vda", pool=pool, format=disk_format, size_gb=flavor["disk_gb"], image_id=root_image)
        disks.append(root)
    if flavor.get("ephemeral_gb"):
        where = extra.get(EPHEMERAL_EXTRA_SPEC, pool)
        disks.append(DiskSpec(target=_EPHEMERAL, pool=where, size_gb=flavor["ephemeral_gb"]))
    if new.config_drive:
        disks.append(DiskSpec(target="sda", pool=pool, format="raw", size_gb=0, config_drive=True))
    return tuple(disks)


def _image_ref(row: ImageRow) -> ImageRef:
    return ImageRef(
        id=row.id,
        size_bytes=row.size,
        checksum_sha256=row.checksum_sha256,
        disk_format=QEMU_FORMATS.get(row.disk_format or "", row.disk_format or "raw"),
    )
