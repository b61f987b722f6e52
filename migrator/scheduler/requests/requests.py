"""Begins operations: the one door through which a request (from any API) becomes a row of the table.

Owns the rules of who may begin what in which state. Never advances an operation (the reconciler does) and never
talks HTTP. Every function is one short transaction and raises a child of ``MigratorError``:
``InstanceNotFound``, ``Conflict`` (wrong state; Nova's wording), ``InstanceBusy`` (another operation is active).
"""

import uuid as uuids
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from migrator.db import events, host_domains, instances, operations
from migrator.db.engine import Connection, Database
from migrator.db.rows import InstanceRow
from migrator.errors import ConcurrentUpdate, Conflict, InstanceBusy
from migrator.event_types import EventType
from migrator.operations import OPERATIONS, VERIFY, Kind
from migrator.protocol import DomainState
from migrator.scheduler.requests import during_live_migration
from migrator.scheduler.state import lost_images, newer_copies

T = TypeVar("T")
_TRIES = 10  # of a request whose instance changes between two of its statements


def _nothing_more(_connection: Connection, _operation_id: int) -> None:
    """What most callers do where their operation begins."""


@dataclass(frozen=True, slots=True)
class Caller:
    """``is_admin``: no project is closed to it. What else it may do is the policy's, which sees its ``roles``.
    ``operations``: those that its request has begun, or changed."""

    user_id: str
    project_id: str
    request_id: str
    is_admin: bool = True
    roles: frozenset[str] = frozenset()
    domain_id: str | None = None
    system_scope: str | None = None
    operations: list[int] = field(default_factory=list, compare=False)
    # called in the transaction that begins an operation, with its id: what it raises undoes the beginning
    on_begin: Callable[[Connection, int], None] = field(default=_nothing_more, compare=False)


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
    Kind.KEPT_RESTORE: ("restore kept disks", frozenset({"stopped"})),
    Kind.PAUSE: ("pause", frozenset({"active"})),
    Kind.UNPAUSE: ("unpause", frozenset({"paused"})),
}

# What would do, where an action does not: added to Nova's words.
_INSTEAD: Mapping[tuple[Kind, str], str] = {
    (Kind.LIVE_MIGRATION, "stopped"): "; an instance that does not run is moved by 'migrate'",
    (Kind.LIVE_MIGRATION, "suspended"): "; an instance that does not run is moved by 'migrate'",
}


def delete_instance(db: Database, caller: Caller, uuid: str) -> int:
    """Begin the deletion, or have it begin automatically once the active operation, now cancelled, has ended;
    the id of the one that comes first."""

    def ask(connection: Connection) -> int:
        # The operation first, and locked: it may be about to end, and with it the instance changes its host.
        active = operations.active_of_instance(connection, uuid, lock=True)
        row = instances.get(connection, uuid)
        if active is None:
            return begin(connection, caller, Kind.DELETE, uuid, row.host, seen=row)
        if active.kind != Kind.DELETE:
            instances.change(connection, uuid, {"delete_requested": True})
            if active.phase == VERIFY and active.forward:  # shorter than the way back, and as final
                operations.request_confirm(connection, active.id)
            else:
                operations.request_cancel(connection, active.id)
        caller.operations.append(active.id)
        return int(active.id)

    return until_unchanged(db, ask)


def until_unchanged(db: Database, ask: Callable[[Connection], T]) -> T:
    """``ask`` in a transaction of its own; again where ``begin`` found that the instance changed since it was read."""
    for _ in range(_TRIES):
        try:
            with db.write() as connection:
                return ask(connection)
        except ConcurrentUpdate:
            continue
    raise InstanceBusy("The instance changes faster than the request can be checked; ask again")


def begin_queued_delete(connection: Connection, uuid: str) -> int | None:
    """Called where an operation ends: begin the deletion that was asked for during it, as the last caller."""
    row = instances.get(connection, uuid, deleted=True)
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
        caller.operations.append(operation_id)
        events.add(
            connection,
            EventType.CANCEL_REQUESTED,
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

    def ask(connection: Connection) -> int:
        row = at_rest(connection, uuid, kind)
        if OPERATIONS[kind].trusts_record:  # may execute guest code where none runs now
            refuse_second_copy(kind, row, host_domains.live_elsewhere(connection, uuid, row.host))
        return begin(connection, caller, kind, uuid, row.host, requested_host=requested_host, params=params, seen=row)

    return until_unchanged(db, ask)


def refuse_second_copy(kind: Kind, row: InstanceRow, others: Sequence[tuple[str, str]]) -> None:
    """Raises Conflict if there are ``others``: hosts besides the instance's own that have a live copy, and its state. A
    paused one counts like one that runs, for it may go on at any time."""
    for other, state in others:
        does = "runs" if state == DomainState.RUNNING else f"is {state}"
        message = f"Cannot '{ALLOWED[kind][0]}' instance {row.uuid}: a copy of it {does} on"
        raise Conflict(
            f"{message} {other}, but its record says {row.host}",
            advice=f"compare both sides with `migrator reconcile {row.uuid}`",
            without_hosts=f"{message} another host than its record says; ask an operator",
        )


def at_rest(connection: Connection, uuid: str, kind: Kind) -> InstanceRow:
    """The instance's row, if an operation of this kind may begin now. Raises InstanceBusy, Conflict."""
    verb, allowed = ALLOWED[kind]
    row = instances.get(connection, uuid)
    if row.task_state is not None:
        why = during_live_migration.advice(kind, operations.active_of_instance(connection, uuid))
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
    seen: InstanceRow | None = None,
) -> int:
    """Write the operation down in a transaction that has seen that it may begin; its id. Raises InstanceBusy, and
    ConcurrentUpdate where the instance is no longer as ``seen`` (its row), or a move's has left ``source``: a request
    may be held up for any time between two statements. What does not move acts where the instance is now.
    ``context``: what is known of the instance already, where no phase can find it out."""
    table = OPERATIONS[kind]
    first = table.phases[0]
    lent = lost_images.to_lend(connection, seen.spec) if seen is not None and table.moves else {}
    new = operations.NewOperation(
        kind=kind.value,
        instance_uuid=uuid,
        phase=first.name,
        status=first.migration_status or "running",
        moves=table.moves,
        source=source,
        requested_host=requested_host,
        params={**(params or {}), **lent},
        context=context or {},
        request_id=caller.request_id,
        user_id=caller.user_id,
        project_id=caller.project_id,
    )
    operation_id = operations.create(connection, new)
    source = _locked_source(connection, operation_id, new, seen)
    instances.change(connection, uuid, {"task_state": first.task(soft=new.params.get("soft", True) is not False)})
    _note_request(connection, caller, operation_id, new, source)
    if kind is not Kind.BUILD:
        newer_copies.raise_if_newer(connection, uuid)
    return operation_id


def _locked_source(
    connection: Connection, operation_id: int, new: operations.NewOperation, seen: InstanceRow | None
) -> str | None:
    """Lock the instance, and point the operation at its present host. Raises ConcurrentUpdate, see ``begin``."""
    now = instances.lock(connection, new.instance_uuid)
    host: str | None = now.host
    if (seen is not None and _state(now) != _state(seen)) or (host != new.source and new.moves):
        raise ConcurrentUpdate(f"Instance {new.instance_uuid} changed while the request was looked at")
    if host == new.source or new.kind == Kind.BUILD:
        return new.source
    operations.set_source(connection, operation_id, host)
    return host


def _note_request(
    connection: Connection, caller: Caller, operation_id: int, new: operations.NewOperation, source: str | None
) -> None:
    caller.operations.append(operation_id)
    asked = f"{OPERATIONS[Kind(new.kind)].action} requested by {new.user_id}"
    events.add(
        connection,
        EventType.REQUESTED,
        asked + (f" to {new.requested_host}" if new.requested_host else ""),
        operation_id=operation_id,
        instance_uuid=new.instance_uuid,
        phase=new.phase,
        epoch=1,
        host=source,
    )
    caller.on_begin(connection, operation_id)


def _state(row: InstanceRow) -> tuple[str | float | None, ...]:
    return row.host, row.vm_state, row.task_state, row.updated_at
