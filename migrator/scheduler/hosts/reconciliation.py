"""Record and copies of one instance side by side, and an operator's word for one of the copies.

Owns what must be known before such a word is taken: it changes the record only, and never where that would let a second
copy run. Starts, stops and deletes nothing on any host. Not the reconciler, which advances operations.
"""

from collections.abc import Sequence
from typing import Any

from migrator.alarms import DISPUTES, AlarmKind
from migrator.db import alarms, claims, events, host_domains, hosts, instances, operations, serials
from migrator.db.clock import now_expression
from migrator.db.engine import Connection, Database
from migrator.db.rows import HostRow, OperationRow
from migrator.db.server_heartbeat import clock_expression
from migrator.errors import InstanceNotFound
from migrator.event_types import EventType
from migrator.operations import OPERATIONS, Kind
from migrator.protocol import DomainState
from migrator.scheduler.hosts.reconciliation_rules import Sides, Word, refuse
from migrator.scheduler.requests.requests import Caller, begin_queued_delete
from migrator.scheduler.state import operation_alarms
from migrator.scheduler.state.effects import POWER, amounts
from migrator.scheduler.state.host_views import host_view, with_fencing
from migrator.scheduler.state.newer_copies import is_unknown
from migrator.scheduler.state.unseen_guests import SilentHosts
from migrator.settings import ServerSettings

__all__ = ["Sides", "Word", "both_sides", "refuse", "take"]

_KEPT_STAMPS = 40


def both_sides(
    connection: Connection,
    uuid: str,
    settings: ServerSettings,
    *,
    lock: bool = False,
    named: frozenset[str] = frozenset(),
) -> Sides:
    """``named``: hosts that a word is about. Raises InstanceNotFound where there is neither a record nor a copy."""
    active = operations.active_of(connection, uuid, lock=lock)
    found = host_domains.of_instance(connection, uuid)
    try:
        record = instances.get(connection, uuid, deleted=True)
    except InstanceNotFound:
        if not found:
            raise
        record = None
    names = {copy.host for copy in found} | {name for o in active for name in (o.source, o.destination) if name}
    names |= ({record.host} if record is not None and record.host else set()) | named
    if lock:
        hosts.lock(connection, names)
    rows = hosts.by_names(connection, names)
    views = {r.name: with_fencing(r, host_view(r, settings.service_down_time), settings, 0.0) for r in rows}
    stamped = [copy for copy in found if copy.stamp_host is not None]
    known = host_domains.stamping(connection, {copy.stamp_operation or "" for copy in stamped})
    newer = {copy.host for copy in stamped if is_unknown(copy, known)}
    newer |= {c.host for c in found if c.believed and serials.unknown(connection, {uuid: c.served})}
    disputed = alarms.disputes(connection, [uuid]).get(uuid, "")
    at_work = _at_work(connection, uuid, rows) if disputed else ()
    unseen = SilentHosts(connection, settings).names
    return Sides(uuid, record, found, views, active, frozenset(newer), disputed, at_work, unseen)


def _at_work(connection: Connection, uuid: str, rows: Sequence[HostRow]) -> Sequence[str]:
    """Since the dispute was raised no host is asked for anything: a host is at rest when a poll of later says so. The
    poll that raised it counts, for its answer asks for nothing more. Agents of an earlier release do not tell."""
    raised = alarms.listed(connection, instance_uuid=uuid, kinds=[kind.value for kind in DISPUTES])
    since, raisers = min((row.raised_at for row in raised), default=0.0), {row.host for row in raised}
    return [
        row.name
        for row in rows
        if row.working is not None
        and (uuid in row.working or ((row.working_at or 0.0) + row.behind_s < since and row.name not in raisers))
    ]


def take(db: Database, caller: Caller, uuid: str, word: Word, settings: ServerSettings) -> list[int]:
    """Make the record what the word says; ids of operations whose turn it is. Raises BadRequest, Conflict (with what is
    in the way), InstanceNotFound."""
    with db.write() as connection:
        sides = both_sides(connection, uuid, settings, lock=True, named=word.given_up)
        refuse(sides, word)
        for host in sorted(word.given_up):
            host_domains.forget(connection, host, uuid)
        turns: list[int] = []
        if word.host is not None:
            turns = _rewrite(connection, sides, word.host)
        said = f"the copy on {word.host} is the right one" if word.host is not None else "the record stays"
        lost = f"; what {', '.join(sorted(word.given_up))} had of it is given up" if word.given_up else ""
        before = f"the record said {sides.record.host}" if sides.record is not None else "there was no record"
        message = f"{caller.user_id} said: {said}{lost} ({before}; {_described(sides)})"
        events.add(connection, EventType.RECONCILED, message, instance_uuid=uuid, host=word.host)
        for operation in sides.operations if word.host is not None else ():
            if operation.locks_instance or operation.id not in turns:  # it began anew, or is over
                operation_alarms.close(connection, operation.uuid)
        # That a guest may run unseen is over where it is known where the guest is; else ``unseen_guests`` finds out.
        settled = [kind for kind in DISPUTES if word.host is not None or kind is not AlarmKind.GUEST_UNSEEN]
        alarms.clear_alarms(connection, [*settled, AlarmKind.DOMAIN_GONE], instance_uuid=uuid)
        return turns


def _described(sides: Sides) -> str:
    return ", ".join(f"{copy.host}: {copy.state}" for copy in sides.copies) or "no host reports a copy"


def _rewrite(connection: Connection, sides: Sides, host: str) -> list[int]:
    record, copy = sides.record, sides.copy_on(host)
    assert record is not None
    assert copy is not None
    kept = _settle_operations(connection, sides, host)
    _settle_claims(
        connection, sides, host, {name for o in kept for name in (o.source, o.destination) if not o.locks_instance}
    )
    stamps = [f"{one.stamp_operation}/{one.stamp_epoch}" for one in sides.copies if one.stamp_host is not None]
    stamps += [serials.accepted(one.served) for one in sides.copies if one.served]
    accepted = list(dict.fromkeys([*(record.accepted_stamps or ()), *stamps]))[-_KEPT_STAMPS:]
    values: dict[str, Any] = {"host": host, "fault": None, "accepted_stamps": accepted}
    values |= POWER.get(DomainState(copy.state), POWER[DomainState.SHUT_OFF])
    if not any(operation.locks_instance for operation in kept):
        values["task_state"] = None
    instances.change(connection, sides.uuid, values)
    if record.launched_at is None:
        instances.launched(connection, sides.uuid)
    queued = None if any(o.locks_instance for o in kept) else begin_queued_delete(connection, sides.uuid)
    return [int(operation.id) for operation in kept] + ([queued] if queued is not None else [])


def _settle_operations(connection: Connection, sides: Sides, host: str) -> Sequence[OperationRow]:
    """What only acts where the instance is begins anew there. What was to move it is over, and so is what would clean
    up where it is now. Those that stay."""
    kept = []
    for operation in sides.operations:
        table = OPERATIONS[Kind(operation.kind)]
        if not operation.locks_instance and host not in (operation.source, operation.destination):
            kept.append(operation)
            continue
        moment = now_expression(connection)
        if operation.locks_instance and operation.forward and not table.moves and not table.builds:
            again = {"source": host, "phase": table.phases[0].name, "epoch": operation.epoch + 1, "wait_reason": None}
            again["context"] = {**(operation.context or {}), "overdue": ""}
            operations.compare_and_swap(
                connection, operation.id, operation.generation, {**again, "phase_since": clock_expression(connection)}
            )
            kept.append(operation)
            continue
        message = f"reconciled: the instance is on {host}"
        ended: dict[str, Any] = {"active": False, "wait_reason": None, "finished_at": moment}
        ended |= (
            {"status": "error", "error": {"code": "reconciled", "message": message}} if operation.locks_instance else {}
        )
        operations.compare_and_swap(connection, operation.id, operation.generation, ended)
        about: dict[str, Any] = {"operation_id": operation.id, "instance_uuid": sides.uuid, "phase": operation.phase}
        events.add(connection, EventType.FINISHED, message, host=host, epoch=operation.epoch, **about)
    return kept


def _settle_claims(connection: Connection, sides: Sides, host: str, owing: set[str | None]) -> None:
    """The instance's claim is where it is, whether there is room or not: it takes what it takes."""
    record = sides.record
    assert record is not None
    for holder in claims.holders(connection, sides.uuid):
        if holder != host and holder not in owing:
            claims.release(connection, holder, sides.uuid)
    wanted = amounts(record.flavor, volume_backed=bool(record.spec.get("home")))
    claims.own(connection, host, sides.uuid, *wanted)
