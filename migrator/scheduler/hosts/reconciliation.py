"""Record and copies of one instance side by side, and an operator's word for one of the copies.

Owns what must be known before such a word is taken: it changes the record only, and never where that would let a second
copy run. Starts, stops and deletes nothing on any host. Not the reconciler, which advances operations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrator.alarms import DISPUTES, AlarmKind
from migrator.db import alarms, claims, events, host_domains, hosts, instances, operations, serials
from migrator.db.clock import now_expression
from migrator.db.engine import Connection, Database
from migrator.db.host_domains import LIVE
from migrator.db.rows import CopyRow, HostRow, InstanceRow, OperationRow
from migrator.db.server_heartbeat import clock_expression
from migrator.errors import BadRequest, Conflict, InstanceNotFound
from migrator.operations import OPERATIONS, Kind
from migrator.protocol import DomainState, Ensure
from migrator.scheduler.decision.assignments import asked
from migrator.scheduler.decision.snapshot import HostView
from migrator.scheduler.requests.requests import Caller, begin_queued_delete
from migrator.scheduler.state import fencing, operation_alarms
from migrator.scheduler.state.effects import POWER, amounts
from migrator.scheduler.state.loader import host_view, with_fencing
from migrator.scheduler.state.newer_copies import is_unknown
from migrator.settings import ServerSettings

_KEPT_STAMPS = 40
_HARMLESS = frozenset({Ensure.OBSERVED, Ensure.MOVABLE, Ensure.COMPATIBLE, Ensure.DESCRIBED, Ensure.MEASURED})


@dataclass(frozen=True, slots=True)
class Sides:
    """``record`` None: there is none. ``newer``: hosts whose copy has a stamp, or had an operation, that this database
    does not know. ``disputed``: why operations on the instance wait for the operator's word; "": they do not.
    ``at_work``: hosts beside such a dispute with a step that began before it and has not returned, and those that have
    not said since that they have none."""

    uuid: str
    record: InstanceRow | None
    copies: Sequence[CopyRow]
    views: Mapping[str, HostView]
    operations: Sequence[OperationRow]  # active ones, the oldest first
    newer: frozenset[str]
    disputed: str = ""
    at_work: Sequence[str] = ()

    def copy_on(self, host: str | None) -> CopyRow | None:
        return next((copy for copy in self.copies if copy.host == host), None)

    def heard(self, host: str) -> bool:
        return host in self.views and self.views[host].heard


@dataclass(frozen=True, slots=True)
class Word:
    """``host`` has the right copy; None: the record stays. ``given_up``: what these hosts, which are lost, had of it
    counts no more. ``unproven``: also if nothing shows that a server ever gave it to the host."""

    host: str | None
    given_up: frozenset[str] = frozenset()
    unproven: bool = False


def both_sides(connection: Connection, uuid: str, settings: ServerSettings, *, lock: bool = False) -> Sides:
    """Raises InstanceNotFound where there is neither a record nor a copy."""
    active = operations.active_of(connection, uuid, lock=lock)
    found = host_domains.of_instance(connection, uuid)
    try:
        record = instances.get(connection, uuid, deleted=True)
    except InstanceNotFound:
        if not found:
            raise
        record = None
    names = {copy.host for copy in found} | {name for o in active for name in (o.source, o.destination) if name}
    names |= {record.host} if record is not None and record.host else set()
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
    return Sides(uuid, record, found, views, active, frozenset(newer), disputed, at_work)


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
        sides = both_sides(connection, uuid, settings, lock=True)
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
        events.add(connection, "reconciled", message, instance_uuid=uuid, host=word.host)
        for operation in sides.operations if word.host is not None else ():
            if operation.holds or operation.id not in turns:  # it began anew, or is over
                operation_alarms.close(connection, operation.uuid)
        alarms.clear_alarms(connection, [*DISPUTES, AlarmKind.DOMAIN_GONE], instance_uuid=uuid)
        return turns


def _described(sides: Sides) -> str:
    return ", ".join(f"{copy.host}: {copy.state}" for copy in sides.copies) or "no host reports a copy"


def refuse(sides: Sides, word: Word) -> None:
    """Raises BadRequest, Conflict unless the word can be taken. Pure."""
    if word.host is None and not word.given_up:
        raise BadRequest("Expected host, given_up, or both")
    if sides.record is None or sides.record.deleted:
        what = "was deleted" if sides.record is not None else "has no record"
        raise Conflict(
            f"Instance {sides.uuid} {what}: there is nothing that could be made to say where it is",
            advice="look at the guest on its host; if it is not needed, destroy and undefine it there with virsh",
        )
    for host in sorted(word.given_up):
        _refuse_to_give_up(sides, host)
    if word.host is None:
        return
    _refuse_choice(sides, word.host, unproven=word.unproven)
    others = {copy.host for copy in sides.copies if copy.believed} | {sides.record.host}
    for host in sorted(name for name in others - word.given_up - {word.host} if name):
        _refuse_second(sides, host)
    _refuse_unfinished(sides, word)
    for operation in sides.operations:
        if acting := _acting(sides, operation):
            raise Conflict(
                f"A {operation.kind} of the instance is under way ({operation.phase}): {', '.join(acting)} may be "
                "starting, stopping or copying it at this moment",
                advice="wait for its end, or cancel it; then say which copy is the right one",
            )
        if _transferring(operation):
            raise Conflict(
                f"A transfer of the instance is under way from {operation.source} to {operation.destination}",
                advice="abort it, or wait for its end",
            )


def _refuse_unfinished(sides: Sides, word: Word) -> None:
    """A step that hangs has its effect when it returns, whatever the record says then."""
    unfinished = sorted(host for host in set(sides.at_work) - word.given_up if sides.heard(host))
    if unfinished:
        raise Conflict(
            f"A step of the instance that began before may still be under way on {', '.join(unfinished)}: what it does "
            "would come after this word",
            advice="ask again in a few seconds; if the step hangs, mend what it waits for (`migrator timeline`), or "
            "restart libvirt and the agent there, which ends it",
        )


def _refuse_to_give_up(sides: Sides, host: str) -> None:
    view = sides.views.get(host)
    if view is None:
        return  # the host is not known any more
    if view.heard:
        raise Conflict(
            f"Host {host} answers: what it has of the instance is not given up by a word",
            advice=f"destroy and undefine its copy there (virsh), and {host} will not report it any more",
        )
    if not view.fenced:
        raise Conflict(f"Host {host} is silent, but nothing says that its guests do not run. {fencing.wanted()}")


def _refuse_choice(sides: Sides, host: str, *, unproven: bool) -> None:
    copy = sides.copy_on(host)
    if copy is None:
        reporting = ", ".join(one.host for one in sides.copies) or "none does"
        raise Conflict(f"Host {host} reports no copy of the instance (hosts that do: {reporting})")
    if not sides.heard(host):
        raise Conflict(
            f"Host {host} is silent: its word is {copy.age_s:.0f} s old", advice="bring its agent back first"
        )
    if copy.state == DomainState.INCOMING:
        raise Conflict(f"The copy on {host} is the receiving end of a transfer: it is no whole guest")
    if not copy.believed and not unproven:
        raise Conflict(
            f"Nothing shows that {host} was ever given the instance: it only says so",
            advice="look at the guest there, and say so with unproven (`--unproven`) if it is the right one",
        )


def _refuse_second(sides: Sides, host: str) -> None:
    """Another host that has, or may have, a copy that runs or may go on."""
    copy = sides.copy_on(host)
    if not sides.heard(host):
        had = f"it reported one ({copy.state})" if copy is not None else "the record says that it is there"
        raise Conflict(
            f"Host {host} is silent, and may have a copy, too: {had}",
            advice=f"bring it back; or, once it is fenced, name it as given up (`--given-up {host}`)",
        )
    if copy is not None and copy.state in LIVE:
        does = "runs" if copy.state == DomainState.RUNNING else f"is {copy.state}"
        raise Conflict(
            f"A copy of the instance {does} on {host}, too: with this word there would be two",
            advice=f"stop it there first: virsh destroy {sides.uuid}, on {host}",
        )


def _acting(sides: Sides, operation: OperationRow) -> list[str]:
    """Hosts that the operation asks for more than to look. Beside a dispute it asks none for anything."""
    if sides.disputed or not operation.holds:
        return []
    wanted = sorted(asked(operation).items())
    return [host for host, (_, ensure) in wanted if ensure not in _HARMLESS and sides.heard(host)]


def _transferring(operation: OperationRow) -> bool:
    """Whether a transfer may be going on: libvirt's, which no word ends."""
    return operation.holds and OPERATIONS[Kind(operation.kind)].phase(operation.phase).do is Ensure.MIGRATING


def _rewrite(connection: Connection, sides: Sides, host: str) -> list[int]:
    record, copy = sides.record, sides.copy_on(host)
    assert record is not None
    assert copy is not None
    kept = _settle_operations(connection, sides, host)
    _settle_claims(connection, sides, host, {name for o in kept for name in (o.source, o.destination) if not o.holds})
    stamps = [f"{one.stamp_operation}/{one.stamp_epoch}" for one in sides.copies if one.stamp_host is not None]
    stamps += [serials.accepted(one.served) for one in sides.copies if one.served]
    accepted = list(dict.fromkeys([*(record.accepted_stamps or ()), *stamps]))[-_KEPT_STAMPS:]
    values: dict[str, Any] = {"host": host, "fault": None, "accepted_stamps": accepted}
    values |= POWER.get(DomainState(copy.state), POWER[DomainState.SHUT_OFF])
    if not any(operation.holds for operation in kept):
        values["task_state"] = None
    instances.change(connection, sides.uuid, values)
    if record.launched_at is None:
        instances.launched(connection, sides.uuid)
    queued = None if any(o.holds for o in kept) else begin_queued_delete(connection, sides.uuid)
    return [int(operation.id) for operation in kept] + ([queued] if queued is not None else [])


def _settle_operations(connection: Connection, sides: Sides, host: str) -> Sequence[OperationRow]:
    """What only acts where the instance is begins anew there. What was to move it is over, and so is what would clean
    up where it is now. Those that stay."""
    kept = []
    for operation in sides.operations:
        table = OPERATIONS[Kind(operation.kind)]
        if not operation.holds and host not in (operation.source, operation.destination):
            kept.append(operation)
            continue
        moment = now_expression(connection)
        if operation.holds and operation.forward and not table.moves and table.kind is not Kind.BUILD:
            again = {"source": host, "phase": table.phases[0].name, "epoch": operation.epoch + 1, "waiting": None}
            again["context"] = {**(operation.context or {}), "overdue": ""}
            operations.compare_and_swap(
                connection, operation.id, operation.generation, {**again, "phase_since": clock_expression(connection)}
            )
            kept.append(operation)
            continue
        words = f"reconciled: the instance is on {host}"
        ended: dict[str, Any] = {"active": False, "waiting": None, "finished_at": moment}
        ended |= {"status": "error", "error": {"code": "reconciled", "message": words}} if operation.holds else {}
        operations.compare_and_swap(connection, operation.id, operation.generation, ended)
        about: dict[str, Any] = {"operation_id": operation.id, "instance_uuid": sides.uuid, "phase": operation.phase}
        events.add(connection, "end", words, host=host, epoch=operation.epoch, **about)
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
