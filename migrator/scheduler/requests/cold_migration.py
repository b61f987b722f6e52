"""Begins, confirms and reverts the cold moves: migration and resize.

Owns what may become of a flavor. Never advances an operation. Every function is one short transaction and raises a
child of ``MigratorError``.
"""

from collections.abc import Mapping
from typing import Any

from migrator.db import events, instances, operations
from migrator.db.engine import Connection, Database
from migrator.db.quotas import Limits
from migrator.db.rows import OperationRow
from migrator.errors import BadRequest, Conflict
from migrator.event_types import EventType
from migrator.operations import VERIFY, Kind
from migrator.protocol import InstanceSpec
from migrator.scheduler.requests import quota_checks
from migrator.scheduler.requests.build import EPHEMERAL_EXTRA_SPEC, STORAGE_EXTRA_SPEC
from migrator.scheduler.requests.requests import Caller, at_rest, begin, until_unchanged


def migrate(db: Database, caller: Caller, uuid: str, *, host: str | None) -> int:
    """Begin a cold migration to ``host`` (None: the scheduler's choice); the operation's id."""

    def ask(connection: Connection) -> int:
        row = at_rest(connection, uuid, Kind.MIGRATION)
        if host is not None and host == row.host:
            message = f"Unable to migrate instance ({uuid}) to current host"
            raise BadRequest(f"{message} ({host}).", without_hosts=f"{message}.")
        params = {"old_flavor": dict(row.flavor), "new_flavor": dict(row.flavor)}
        return begin(connection, caller, Kind.MIGRATION, uuid, row.host, requested_host=host, params=params, seen=row)

    return until_unchanged(db, ask)


def resize(
    db: Database,
    caller: Caller,
    uuid: str,
    *,
    flavor: Mapping[str, Any],
    same_host: bool,
    quotas: Limits | None = None,
    disk_config: str | None = None,
) -> int:
    """Begin a resize to ``flavor`` (a row of ``flavors`` as a mapping). ``same_host``: the source itself will do.
    ``quotas``: the settings'; None: whatever the project's are. Raises BadRequest for the same flavor, a smaller disk,
    and a disk that cannot be added; QuotaExceeded."""

    def ask(connection: Connection) -> int:
        row = at_rest(connection, uuid, Kind.RESIZE)
        old = dict(row.flavor)
        if flavor["flavorid"] == old.get("flavorid"):
            raise BadRequest("When resizing, instances must change flavor!")
        spec = InstanceSpec.model_validate(row.spec)
        _check_disks(spec, old, flavor)
        _check_pools(spec, flavor)
        if quotas is not None:
            quota_checks.resize(connection, row.project_id, quotas, old, flavor)
        params = {"old_flavor": old, "new_flavor": dict(flavor), "same_host": same_host}
        begun = begin(connection, caller, Kind.RESIZE, uuid, row.host, params=params, seen=row)
        if disk_config is not None:
            instances.change(connection, uuid, {"disk_config": disk_config})
        return begun

    return until_unchanged(db, ask)


def _check_disks(spec: InstanceSpec, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Disks grow and never shrink, and none comes or goes."""
    has_ephemeral = any(disk.target == "vdb" for disk in spec.disks)
    sizes = (("root", "disk_gb"), ("ephemeral", "ephemeral_gb"))
    for name, key in sizes[1:] if spec.state_pool else sizes:  # a volume is as large as it is, whatever the flavor says
        before, after = old.get(key, 0), new.get(key, 0)
        if after < before:
            raise BadRequest(
                f"Resize to a smaller {name} disk is not possible: it has {before} GiB and flavor {new['name']} asks "
                f"for {after} GiB; choose a flavor with at least {before} GiB"
            )
    if new.get("ephemeral_gb", 0) and not has_ephemeral:
        raise BadRequest(
            f"Flavor {new['name']} has an ephemeral disk and the instance has none: a resize adds no disk; choose a "
            "flavor without one"
        )


def _check_pools(spec: InstanceSpec, new: Mapping[str, Any]) -> None:
    """Disks stay in their pools: a flavor that names another one cannot be had by a resize."""
    extra: Mapping[str, str] = new.get("extra_specs") or {}
    for target, key in (("vda", STORAGE_EXTRA_SPEC), ("vdb", EPHEMERAL_EXTRA_SPEC)):
        pool = next((disk.pool for disk in spec.disks if disk.target == target), None)
        if pool is not None and extra.get(key, pool) != pool:
            raise BadRequest(
                f"Flavor {new['name']} keeps disk {target} in storage pool {extra[key]} and the instance's is in "
                f"{pool}: a resize moves no disk to another pool; choose a flavor for {pool}"
            )


def confirm(db: Database, caller: Caller, uuid: str, *, operation_id: int | None = None) -> int:
    """Let the move stand; the operation's id. ``operation_id``: no other one is meant. Raises Conflict when none waits
    for it."""
    with db.write() as connection:
        row = _waiting(connection, uuid, "confirmResize")
        if operation_id is not None and row.id != operation_id:
            raise Conflict(
                f"Operation {operation_id} of instance {uuid} is over; {row.id} waits for a confirmation now"
            )
        operations.request_confirm(connection, row.id)
        _note(connection, caller, row, EventType.CONFIRMED)
        return int(row.id)


def revert(db: Database, caller: Caller, uuid: str) -> int:
    """Bring the instance back to where it was; the operation's id. Raises Conflict when none waits for it."""
    with db.write() as connection:
        row = _waiting(connection, uuid, "revertResize")
        operations.request_cancel(connection, row.id)
        _note(connection, caller, row, EventType.REVERTED)
        return int(row.id)


def _waiting(connection: Connection, uuid: str, verb: str) -> OperationRow:
    row = operations.active_of_instance(connection, uuid, lock=True)  # else it may confirm itself in between
    instance = instances.get(connection, uuid)
    if row is None or not _answers(row, verb):
        state = f"task_state {instance.task_state}" if instance.task_state else f"vm_state {instance.vm_state}"
        raise Conflict(f"Cannot '{verb}' instance {uuid} while it is in {state}")
    return row


def _answers(row: OperationRow, verb: str) -> bool:
    """Whether the operation waits for this word: in VERIFY_RESIZE for either; and for the other one as long as nothing
    has been given up: a revert until the source has shown its disks, a confirmation until the destination has."""
    if row.phase == VERIFY and row.forward:
        return not (row.confirm_requested or row.cancel_requested)
    if verb == "revertResize":
        return bool(row.forward and row.phase == "attest" and not row.cancel_requested)
    reverted = not row.forward and (row.error or {}).get("status") == "reverted"
    return bool(reverted and row.phase in (VERIFY, "record", "keep") and not row.confirm_requested)


def _note(connection: Connection, caller: Caller, row: OperationRow, name: EventType) -> None:
    events.add(
        connection,
        name,
        f"{name} requested by {caller.user_id}",
        operation_id=row.id,
        instance_uuid=row.instance_uuid,
        phase=row.phase,
        epoch=row.epoch,
        details={"request_id": caller.request_id, "user_id": caller.user_id, "project_id": caller.project_id},
    )
