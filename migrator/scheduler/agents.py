"""The server's side of the agent protocol: the full set of assignments, facts, and the audit.

Owns what happens to what an agent says. Never decides about an operation: it stores facts and names the operations
that should be looked at again. Knows no HTTP.
"""

import hashlib
import logging
from collections.abc import Sequence
from typing import Any

import orjson

from migrator.alarms import AlarmKind
from migrator.db import alarms, events, guest_failures, hosts, keys, operations, polls, progress, serials
from migrator.db import facts as fact_rows
from migrator.db.engine import Connection, Database
from migrator.db.rows import OperationRow
from migrator.errors import MigratorError
from migrator.operations import table_of
from migrator.protocol import (
    UNREADABLE_FACT,
    Assignment,
    Assignments,
    DomainEntry,
    Ensure,
    Fact,
    Facts,
    Poll,
    Problem,
    UnreadableFact,
)
from migrator.scheduler.decision.assignments import assignments as assignments_of
from migrator.scheduler.decision.snapshot import Snapshot
from migrator.scheduler.hosts import audit, machines, registration
from migrator.scheduler.requests import host_boots
from migrator.scheduler.state import host_operations, loader, passwords, stamps
from migrator.settings import ServerSettings

log = logging.getLogger(__name__)


def heartbeat(db: Database, host: str, poll: Poll, settings: ServerSettings) -> None:
    """Note that the agent spoke, and compare the copies it holds with the record. Raises HostNotFound, and NameTaken or
    MachineNotApproved for an agent on another machine than the host's."""
    machines.check(db, host, poll.machine, settings.service_down_time)
    refused: MigratorError | None = None
    with db.write() as connection:
        listed = False
        try:
            if poll.copies is not None:
                with connection.begin_nested():
                    listed = _audit(connection, host, poll, poll.copies, settings) and poll.complete
        except MigratorError as error:
            refused = error
        except Exception:  # the host was heard all the same, and its assignments are wanted
            log.exception("%s: its list of copies cannot be compared with the record", host)
        polls.polled(connection, host, polls.PollTold(poll.incarnation, poll.number, poll.working, listed))
    if refused is not None:
        raise refused


def _audit(
    connection: Connection, host: str, poll: Poll, told: Sequence[DomainEntry], settings: ServerSettings
) -> bool:
    """False: the list says nothing, for a newer one was heard: a poll may be held up at one of several servers."""
    known = polls.lock(connection, [host])  # two polls of one host never write its copies at once
    if host not in known or not polls.PollTold(poll.incarnation, poll.number).is_newer(known[host]):
        return False
    rebooted = host_boots.noted(connection, host, poll.boot)
    stopped = audit.audit(connection, host, told, settings)
    failed = {copy.uuid for copy in told if copy.failed}
    guest_failures.note(connection, [uuid for uuid in stopped if uuid in failed])
    if rebooted and settings.resume_guests_state_on_host_boot:
        host_boots.resume(connection, host, stopped)
    return True


def assignments(db: Database, host: str, settings: ServerSettings) -> Assignments:
    """Everything the host should make true now, with a digest that changes when any of it does. An operation that
    cannot be read is left out."""
    found: list[Assignment] = []
    with db.read() as connection:
        asking = host_operations.asked_of(connection, host)
        key = keys.stamp_key(connection) if asking else b""
        for snapshot in loader.readable(connection, asking, settings):
            if snapshot.operation.active:
                found += _assigned(passwords.readable(key, snapshot), host)
        found = [_sealed(key, host, assignment) for assignment in found]
    return _digested(found)


def _digested(found: Sequence[Assignment]) -> Assignments:
    body = orjson.dumps([a.model_dump(mode="json") for a in found], option=orjson.OPT_SORT_KEYS)
    return Assignments(digest=hashlib.sha256(body).hexdigest()[:16], assignments=tuple(found))


NOTHING = _digested(())  # is asked of a host


def _sealed(key: bytes, host: str, assignment: Assignment) -> Assignment:
    """With the seal of what the agent stamps the domain with; and of what arrives at the other end by a transfer."""
    stamp = assignment.instance.uuid, assignment.operation_id, assignment.epoch
    sealed: dict[str, Any] = {"seal": stamps.sign(key, *stamp, host)}
    if assignment.ensure is Ensure.MIGRATING:
        there = stamps.sign(key, *stamp, assignment.inputs["destination_host"])
        sealed["inputs"] = {**assignment.inputs, "destination_seal": there}
    return assignment.model_copy(update=sealed)


def _assigned(snapshot: Snapshot, host: str) -> list[Assignment]:
    try:
        mine = assignments_of(snapshot).get(host)
    except loader.UNREADABLE:
        log.exception("operation %s: the assignments cannot be worked out", snapshot.operation.uuid)
        return []
    return [mine] if mine is not None else []


def accept_facts(db: Database, host: str, facts: Facts, down_after: float = 60.0) -> list[int]:
    """Store what is news; the ids of the operations to reconcile. Facts of other epochs are kept out by ``decide``,
    which compares them, and older facts of one host by their incarnation and sequence. Each fact stands alone: one that
    cannot be read is a problem of its operation, and one that cannot be stored is left out by name."""
    machines.check(db, host, facts.machine, down_after)
    found = (*facts.facts, *(_as_fact(unreadable) for unreadable in facts.unreadable))
    try:
        return _accept(db, host, found)
    except MigratorError:
        raise
    except Exception:
        if len(found) <= 1:
            raise
        log.exception("%s: its facts cannot be stored together", host)
    touched: list[int] = []
    for fact in found:
        try:
            touched += _accept(db, host, [fact])
        except Exception:
            log.exception("%s: its fact about operation %s cannot be stored", host, fact.operation_id)
    return list(dict.fromkeys(touched))


def _as_fact(unreadable: UnreadableFact) -> Fact:
    problem = Problem(code=UNREADABLE_FACT, message=unreadable.reason, final=False)
    return Fact(**unreadable.model_dump(exclude={"reason"}), problem=problem)


def _accept(db: Database, host: str, found: Sequence[Fact]) -> list[int]:
    touched: list[int] = []
    with db.write() as connection:
        hosts.seen(connection, host)
        known = operations.ids_by_uuid(connection, [fact.operation_id for fact in found])
        told = [(known[fact.operation_id], fact) for fact in found if fact.operation_id in known]
        newest = registration.highest_believed(connection, host)
        for row, fact in sorted(told, key=lambda pair: int(pair[0].id)):  # both ends lock their operations in one order
            if host not in (row.source, row.destination) or fact.incarnation > newest:
                continue
            if host == row.destination:  # the source may still hold the statistics of an earlier arrival
                _measure(connection, row.id, fact)
            elif row.outcome:
                _measure_rest(connection, row, fact)
            if fact.epoch > row.epoch:  # of before the database was restored: it must never count for a later one
                continue
            if fact.served is not None:
                fact = _refused(connection, row, fact, fact.served)
            if row.active and _keep(connection, row.id, host, fact):
                touched.append(row.id)
                events.add_note(connection, row, host, fact)
                if fact.job is not None and fact.job.active and not _lent(row, fact):
                    progress.add(connection, row.id, fact.job.model_dump(mode="json"))
        for row, fact in told:  # alarms last: their rows are locked after all others
            if host == row.destination:
                _compare_storage(connection, row, host, fact)
    return list(dict.fromkeys(touched))


def _lent(row: OperationRow, fact: Fact) -> bool:
    """Whether the fact is of a copy made before the transfer: its few bytes would be a low that no transfer reaches
    again, which would look stalled from its beginning."""
    table = table_of(row.kind)
    return table is not None and any(phase.lends and phase.name == fact.phase for phase in table.phases)


def _refused(connection: Connection, row: OperationRow, fact: Fact, served: int) -> Fact:
    """The host has served a newer operation of the instance. One that the record has, too, took over what this one has
    to clean up; else the record is older than the host, and a later operation must have a higher serial."""
    known = serials.known(connection, row.instance_uuid, served)
    if not known:
        serials.told(connection, row.instance_uuid, served)
    return fact.model_copy(update={"served": served if known else None})


def _compare_storage(connection: Connection, row: OperationRow, host: str, fact: Fact) -> None:
    """A marker that two storages have is an alarm about the host that looked; it is over when it finds a proof."""
    if fact.unproven:
        pools = ", ".join(fact.unproven)
        message = f"{pools} has the same marker as {row.source}'s and is another storage: it is not taken for shared"
        alarms.raise_alarm(connection, AlarmKind.STORAGE_MARKER, message, host=host)
    elif fact.proven:
        alarms.clear_alarm(connection, AlarmKind.STORAGE_MARKER, host=host)


def _keep(connection: Connection, operation_id: int, host: str, fact: Fact) -> bool:
    return fact_rows.upsert(
        connection,
        operation_id,
        host,
        epoch=fact.epoch,
        phase=fact.phase,
        incarnation=fact.incarnation,
        sequence=fact.sequence,
        body=fact.model_dump(mode="json"),
    )


def _measure(connection: Connection, operation_id: int, fact: Fact) -> None:
    """libvirt's final statistics are a measurement, not a state: they are kept whenever they arrive."""
    if fact.job is not None and not fact.job.active and fact.job.downtime_ms is not None:
        measured = {k: v for k, v in fact.job.model_dump(mode="json").items() if v and k != "active"}
        operations.add_outcome(connection, operation_id, measured)


def _measure_rest(connection: Connection, row: OperationRow, fact: Fact) -> None:
    """A guest that went on by post-copy runs at its destination long before all of its memory is there. Of that the
    hypervisor keeps no statistics: what its source counts in that time is all there is."""
    job = fact.job
    if job is not None and job.active and job.elapsed_ms > (row.outcome or {}).get("elapsed_ms", 0):
        counted = {"elapsed_ms": job.elapsed_ms, "memory_processed_bytes": job.memory_processed_bytes}
        operations.add_outcome(connection, row.id, counted)
