"""Begins operations: the one door through which a wish (from any API) becomes a row of the table.

Owns the rules of who may begin what in which state. Never advances an operation (the reconciler does) and never
talks HTTP. Every function is one short transaction and raises a child of ``MigratorError``:
``InstanceNotFound``, ``Conflict`` (wrong state; Nova's wording), ``InstanceBusy`` (another operation is active).
"""

import secrets
import string
import uuid as uuids
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from migrator import meanwhile
from migrator.db import copies, events, instance_records, operations
from migrator.db import images as image_rows
from migrator.db import volumes as volume_rows
from migrator.db.engine import Connection, Database
from migrator.errors import Conflict, InstanceBusy
from migrator.operations import OPERATIONS, Kind
from migrator.protocol import DiskSpec, ImageRef, InstanceSpec, NicSpec, VolumeSpec

STORAGE_EXTRA_SPEC = "migrator:storage"  # flavor extra spec that names the pool of the instance's disks
EPHEMERAL_EXTRA_SPEC = "migrator:ephemeral_storage"  # the same for its ephemeral disk; without it, where the root is
DEFAULT_POOL = "local"


@dataclass(frozen=True, slots=True)
class Caller:
    user_id: str
    project_id: str
    request_id: str
    is_admin: bool = True


@dataclass(frozen=True, slots=True)
class NewInstance:
    """``flavor`` and ``image`` are rows of their tables as mappings; ``networks`` are names."""

    name: str
    flavor: Mapping[str, Any]
    image: Mapping[str, Any] | None
    networks: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    description: str | None = None
    availability_zone: str | None = None
    requested_host: str | None = None
    key_name: str | None = None
    config_drive: bool = False
    boot_volume: str | None = None  # id of the volume that is its root disk; there is no image then
    volumes: Sequence[str] = ()  # ids of further ones, in the order of their devices
    reservation_id: str | None = None


# Kind -> (name in Nova's error text, vm_states in which it may begin)
ALLOWED: Mapping[Kind, tuple[str, frozenset[str]]] = {
    Kind.START: ("start", frozenset({"stopped"})),
    Kind.STOP: ("stop", frozenset({"active", "error"})),
    Kind.REBOOT: ("reboot", frozenset({"active", "stopped", "paused", "error"})),
    Kind.LIVE_MIGRATION: ("os-migrateLive", frozenset({"active", "paused"})),
    Kind.MIGRATION: ("migrate", frozenset({"active", "stopped", "suspended"})),
    Kind.RESIZE: ("resize", frozenset({"active", "stopped"})),
    Kind.EVACUATION: ("evacuate", frozenset({"active", "stopped", "suspended", "paused", "error"})),
    Kind.SUSPEND: ("suspend", frozenset({"active"})),
    Kind.RESUME: ("resume", frozenset({"suspended"})),
    Kind.PAUSE: ("pause", frozenset({"active"})),
    Kind.UNPAUSE: ("unpause", frozenset({"paused"})),
}

# What would do, where an action does not: added to Nova's words.
_INSTEAD: Mapping[tuple[Kind, str], str] = {
    (Kind.LIVE_MIGRATION, "stopped"): "; an instance that does not run is moved by 'migrate'",
    (Kind.LIVE_MIGRATION, "suspended"): "; an instance that does not run is moved by 'migrate'",
}

VERIFY = "verify"  # the phase that waits for an operator's word

_BOOTS = frozenset({Kind.START, Kind.REBOOT, Kind.RESUME, Kind.UNPAUSE})  # may execute guest code where none runs now


def create_instance(db: Database, caller: Caller, new: NewInstance) -> tuple[str, int]:
    """Record the instance, make the volumes its own and begin its build. (instance UUID, operation id). Raises
    VolumeNotFound, and Conflict for a volume that is another instance's."""
    uuid = str(uuids.uuid4())
    with db.write() as connection:
        spec = _spec(connection, uuid, new)
        instance_records.create(
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
                "spec": spec.model_dump(mode="json"),
                "availability_zone": new.availability_zone,
                "vm_state": "building",
                "task_state": "scheduling",
                "metadata": dict(new.metadata),
                "tags": list(new.tags),
                "networks": [nic.model_dump(mode="json") for nic in spec.nics],
                "key_name": new.key_name,
                "config_drive": new.config_drive,
            },
        )
        return uuid, begin(connection, caller, Kind.BUILD, uuid, None, requested_host=new.requested_host)


def reservation_id() -> str:
    return "r-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))


def delete_instance(db: Database, caller: Caller, uuid: str) -> int:
    """Begin the deletion, or see to it that it begins by itself once the active operation, now cancelled, has ended;
    the id of the one that comes first."""
    with db.write() as connection:
        # The operation first, and locked: it may be about to end, and with it the instance changes its host.
        active = operations.active_of_instance(connection, uuid, lock=True)
        row = instance_records.get(connection, uuid)
        if active is None:
            return begin(connection, caller, Kind.DELETE, uuid, row.host)
        if active.kind != Kind.DELETE:
            instance_records.change(connection, uuid, {"delete_requested": True})
            if active.phase == VERIFY and active.forward:  # shorter than the way back, and as final
                operations.request_confirm(connection, active.id)
            else:
                operations.request_cancel(connection, active.id)
        return int(active.id)


def begin_queued_delete(connection: Connection, uuid: str) -> int | None:
    """Called where an operation ends: begin the deletion that was asked for meanwhile, as who asked last."""
    row = instance_records.get(connection, uuid, deleted=True)
    if not row.delete_requested or row.deleted:
        return None
    caller = Caller(row.user_id, row.project_id, f"req-{uuids.uuid4()}")
    return begin(connection, caller, Kind.DELETE, uuid, row.host)


def start(db: Database, caller: Caller, uuid: str) -> int:
    return on_instance(db, caller, uuid, Kind.START)


def stop(db: Database, caller: Caller, uuid: str) -> int:
    return on_instance(db, caller, uuid, Kind.STOP)


def reboot(db: Database, caller: Caller, uuid: str, *, soft: bool) -> int:
    return on_instance(db, caller, uuid, Kind.REBOOT, params={"soft": soft})


def suspend(db: Database, caller: Caller, uuid: str) -> int:
    return on_instance(db, caller, uuid, Kind.SUSPEND)


def resume(db: Database, caller: Caller, uuid: str) -> int:
    return on_instance(db, caller, uuid, Kind.RESUME)


def pause(db: Database, caller: Caller, uuid: str) -> int:
    return on_instance(db, caller, uuid, Kind.PAUSE)


def unpause(db: Database, caller: Caller, uuid: str) -> int:
    return on_instance(db, caller, uuid, Kind.UNPAUSE)


def live_migrate(
    db: Database, caller: Caller, uuid: str, *, host: str | None, block: bool | None, over_commit: bool = False
) -> int:
    """Begin a live migration to ``host`` (None: the scheduler's choice). ``block`` None: find out. ``over_commit``:
    room for what the disks hold now will do, although they may grow to all that the guest sees."""
    params = {"block": block} | ({"over_commit": True} if over_commit else {})
    return on_instance(db, caller, uuid, Kind.LIVE_MIGRATION, requested_host=host, params=params)


def cancel(db: Database, caller: Caller, operation_id: int) -> None:
    """Ask for the operation to be undone. Raises Conflict when it is over or past the point of no return."""
    with db.write() as connection:
        row = operations.get(connection, operation_id)
        if not row.active or not OPERATIONS[Kind(row.kind)].reversible(row.phase):
            state = f"{row.status}" if not row.active else f"past the point of no return ({row.phase})"
            raise Conflict(f"Operation {operation_id} cannot be cancelled: it is {state}")
        if row.cancel_requested:
            return
        operations.request_cancel(connection, operation_id)
        events.add(
            connection,
            "cancel",
            f"cancel requested by {caller.user_id}",
            operation_id=operation_id,
            instance_uuid=row.instance_uuid,
            phase=row.phase,
            epoch=row.epoch,
            details={"request_id": caller.request_id, "user_id": caller.user_id, "project_id": caller.project_id},
        )


def on_instance(
    db: Database,
    caller: Caller,
    uuid: str,
    kind: Kind,
    *,
    requested_host: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> int:
    """Begin an operation on an instance at rest; its id. Raises InstanceBusy, Conflict (Nova's words)."""
    with db.write() as connection:
        row = at_rest(connection, uuid, kind)
        if kind in _BOOTS:
            refuse_second_copy(kind, row, copies.running_elsewhere(connection, uuid, row.host))
        return begin(connection, caller, kind, uuid, row.host, requested_host=requested_host, params=params)


def refuse_second_copy(kind: Kind, row: Any, others: Sequence[str]) -> None:
    """Raises Conflict if ``others``, hosts that run the instance beside its own, are any."""
    for other in others:
        raise Conflict(
            f"Cannot '{ALLOWED[kind][0]}' instance {row.uuid}: a copy of it runs on {other}, "
            f"but its record says {row.host}"
        )


def at_rest(connection: Connection, uuid: str, kind: Kind) -> Any:
    """The instance's row, if an operation of this kind may begin now. Raises InstanceBusy, Conflict."""
    verb, allowed = ALLOWED[kind]
    row = instance_records.get(connection, uuid)
    if row.task_state is not None:
        why = meanwhile.advice(kind, operations.active_of_instance(connection, uuid))
        raise InstanceBusy(f"Cannot '{verb}' instance {uuid} while it is in task_state {row.task_state}{why}")
    if row.vm_state not in allowed:
        instead = _INSTEAD.get((kind, row.vm_state), "")
        raise Conflict(f"Cannot '{verb}' instance {uuid} while it is in vm_state {row.vm_state}{instead}")
    return row


def begin(
    connection: Connection,
    caller: Caller,
    kind: Kind,
    uuid: str,
    source: str | None,
    *,
    requested_host: str | None = None,
    params: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> int:
    """Write the operation down in a transaction that has seen that it may begin; its id. Raises InstanceBusy.

    ``context``: what is known of the instance already, where no phase can find it out."""
    table = OPERATIONS[kind]
    first = table.phases[0]
    operation_id = operations.create(
        connection,
        kind=kind.value,
        instance_uuid=uuid,
        phase=first.name,
        status=first.shown or "running",
        moves=table.moves,
        source=source,
        requested_host=requested_host,
        params=params or {},
        context=context or {},
        request_id=caller.request_id,
        user_id=caller.user_id,
        project_id=caller.project_id,
    )
    instance_records.change(connection, uuid, {"task_state": first.task(params or {})})
    events.add(
        connection,
        "begin",
        f"{table.action} requested by {caller.user_id}" + (f" to {requested_host}" if requested_host else ""),
        operation_id=operation_id,
        instance_uuid=uuid,
        phase=first.name,
        epoch=1,
        host=source,
    )
    return operation_id


def _spec(connection: Connection, uuid: str, new: NewInstance) -> InstanceSpec:
    """The instance's definition, from flavor and image; nothing in it depends on a host."""
    flavor, disks = new.flavor, _disks(new)
    volumes, image = _attached(connection, uuid, new, {disk.target for disk in disks})
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
        home=_pool(new) if new.boot_volume else "",
        nics=tuple(NicSpec(network=name, mac=_mac()) for name in new.networks),
        images=tuple(refs),
        kernel_id=kernel,
        ramdisk_id=ramdisk,
        kernel_args=properties.get("os_command_line"),
        metadata=dict(new.metadata),
    )


def _attached(
    connection: Connection, uuid: str, new: NewInstance, taken: Collection[str]
) -> tuple[tuple[VolumeSpec, ...], Mapping[str, Any] | None]:
    """Its volumes, made its own, on the devices that are left; and the image whose kernel it boots."""
    free = (target for target in map("vd{}".format, string.ascii_lowercase[1:]) if target not in taken)
    wanted = [(new.boot_volume, "vda")] if new.boot_volume else []
    wanted += zip(new.volumes, free, strict=False)
    # Everybody takes them in the same order, so that nobody waits for somebody who waits for him.
    attached = (volume_rows.attach(connection, ident, uuid, target) for ident, target in sorted(wanted))
    rows = sorted(attached, key=lambda row: str(row.target))
    image = new.image
    if new.boot_volume and rows[0].image_id:
        image = dict(image_rows.get(connection, rows[0].image_id)._mapping)
    specs = (VolumeSpec(id=row.id, target=row.target, source=row.source, size_gb=row.size_gb) for row in rows)
    return tuple(specs), image


def _pool(new: NewInstance) -> str:
    return str((new.flavor.get("extra_specs") or {}).get(STORAGE_EXTRA_SPEC, DEFAULT_POOL))


def _disks(new: NewInstance) -> tuple[DiskSpec, ...]:
    """The root disk, made from the image, unless it is a volume; an empty ephemeral one, if the flavor has one; the
    config drive."""
    flavor, image = new.flavor, new.image
    extra, pool = flavor.get("extra_specs") or {}, _pool(new)
    disk_format = "raw" if image and image["disk_format"] == "raw" else "qcow2"
    root_image = image["id"] if image else None
    disks = []
    if new.boot_volume is None:
        root = DiskSpec(target="vda", pool=pool, format=disk_format, size_gb=flavor["disk_gb"], image_id=root_image)
        disks.append(root)
    if flavor.get("ephemeral_gb"):
        where = extra.get(EPHEMERAL_EXTRA_SPEC, pool)
        disks.append(DiskSpec(target="vdb", pool=where, size_gb=flavor["ephemeral_gb"]))
    if new.config_drive:
        disks.append(DiskSpec(target="sda", pool=pool, format="raw", size_gb=0, config_drive=True))
    return tuple(disks)


def _image_ref(row: Any) -> ImageRef:
    return ImageRef(
        id=row.id, size_bytes=row.size, checksum_sha256=row.checksum_sha256, disk_format=row.disk_format or "raw"
    )


def _mac() -> str:
    """A locally administered unicast address under the prefix that OpenStack uses for its ports."""
    return "fa:16:3e:" + ":".join(f"{secrets.randbelow(256):02x}" for _ in range(3))
