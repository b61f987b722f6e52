"""Holds what a host lists against the records: what is found to differ is noted, or raises an alarm. Touches no guest.

A host is believed about an instance if the instance was recorded there, if any operation ever had to do with both, or
if a server issued the stamp of its domain. Any other claim is an alarm about that host, and blocks no operation.
Knows no HTTP; what the differences are is worked out by ``differences``, which is pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from migrator.alarms import DISPUTES, AlarmKind
from migrator.db import alarms, events, host_domains, instances, keys
from migrator.db.engine import Connection
from migrator.db.host_domains import LIVE, HeldCopy
from migrator.db.partial_rows import PolledRecord, RecordRow, StampingRow, UnderWayRow
from migrator.event_types import EventType
from migrator.operations import Kind
from migrator.protocol import DomainEntry, DomainState
from migrator.scheduler.hosts.expected_guests import explains
from migrator.scheduler.state import stamps
from migrator.scheduler.state.effects import POWER
from migrator.scheduler.state.newer_copies import is_unknown, newer_than, unknown_served
from migrator.scheduler.state.unseen_guests import SilentHosts, is_first_list, keeps_its_domain
from migrator.settings import ServerSettings

AUDITED = (*DISPUTES, AlarmKind.DOMAIN_GONE, AlarmKind.NO_RECORD)
RAISED = (*AUDITED, AlarmKind.UNPROVEN_CLAIM)  # about a host, by ``audit``
_NAMED = 20  # claimed copies that are written down, and that an alarm about a host names; it counts them all
_NEWER_STAMP = "has a stamp that is newer than the record"
_GONE: Mapping[str, object] = {"vm_state": "stopped", "power_state": 0}  # it can be started from its disks


@dataclass(frozen=True, slots=True)
class Subject:
    """One instance, as a host has it and as it is recorded; None: it is not."""

    uuid: str
    copy: HeldCopy | None
    record: RecordRow | None
    operations: Sequence[UnderWayRow] = ()
    # In words, that the copy's stamp is of an operation, or an epoch, or that the host has served an operation, which
    # this database does not know; "": none
    newer: str = ""
    unseen: str = ""  # hosts, in words, one of which may run it unseen although it is recorded here; "": none


@dataclass(frozen=True, slots=True)
class Difference:
    """``holds``: False where an alarm that is open stays so, and none is raised: it cannot be told at this moment."""

    kind: AlarmKind
    uuid: str
    message: str = ""
    certain: bool = True


def audit(connection: Connection, host: str, told: Iterable[DomainEntry], settings: ServerSettings) -> Sequence[str]:
    """Store the host's list, note how its instances are, raise and clear its alarms; those whose guests ran by the
    record, and were found stopped. The host's row is locked."""
    before = host_domains.of_host(connection, host)
    listed = _judged(connection, host, {copy.uuid: copy for copy in told}, before)
    held = _kept(listed, before)
    host_domains.replace(connection, host, list(held.values()), before)
    raised = {(row.kind, row.instance_uuid) for row in alarms.listed(connection, host=host)}
    suspect = {uuid for kind, uuid in raised if kind in AUDITED}
    unseen = {uuid for kind, uuid in raised if kind == AlarmKind.GUEST_UNSEEN}
    subjects = _sought(connection, host, _subjects(connection, host, held, before, suspect), unseen, settings)
    stopped = [subject.uuid for subject in subjects if _note_power(connection, host, subject)]
    found = [difference for subject in subjects for difference in differences(host, subject)]
    _raise(connection, host, [one for one in found if one.certain])
    kept = {(one.kind.value, one.uuid) for one in found}
    over = sorted((kind, uuid) for kind, uuid in raised - kept if kind in AUDITED)
    for kind, uuid in over:
        alarms.clear_alarm(connection, AlarmKind(kind), host=host, instance_uuid=uuid)
    _claims(connection, host, listed.values(), raised=(AlarmKind.UNPROVEN_CLAIM.value, "") in raised)
    return stopped


def unchanged(
    key: bytes,
    host: str,
    told: Iterable[DomainEntry],
    before: Mapping[str, HeldCopy],
    records: Mapping[str, PolledRecord],
) -> bool:
    """Whether ``audit`` of the list would only note that it was seen, while no alarm of ``RAISED`` about the host is
    open. ``key``: signs stamps; ``records``: of every instance on the host. Pure."""
    listed = {copy.uuid: copy for copy in told}
    if listed.keys() != before.keys():
        return False
    same = all(before[uuid].believed and before[uuid] == _believed(key, copy) for uuid, copy in listed.items())
    subjects = before.keys() | records.keys()
    return same and not any(_differs(host, before.get(uuid), records.get(uuid)) for uuid in subjects)


def _believed(key: bytes, copy: DomainEntry) -> HeldCopy:
    stamp = copy.stamp_operation, copy.stamp_epoch
    issued = stamps.issued_for(key, copy.uuid, *stamp, copy.seal) if copy.seal else None
    return HeldCopy(copy.uuid, copy.state.value, *stamp, issued, True, copy.served)


def _judged(
    connection: Connection, host: str, told: Mapping[str, DomainEntry], before: Mapping[str, HeldCopy]
) -> Mapping[str, HeldCopy]:
    key = keys.stamp_key(connection) if any(copy.seal for copy in told.values()) else b""
    issued = {
        uuid: stamps.issued_for(key, uuid, copy.stamp_operation, copy.stamp_epoch, copy.seal)
        for uuid, copy in told.items()
        if copy.seal
    }
    known = {uuid for uuid, copy in before.items() if copy.believed}
    doubtful = [uuid for uuid in told if issued.get(uuid) is None and uuid not in known]
    believed = host_domains.involved(connection, host, doubtful) | known
    return {
        uuid: HeldCopy(
            uuid,
            copy.state.value,
            copy.stamp_operation,
            copy.stamp_epoch,
            issued.get(uuid),
            issued.get(uuid) is not None or uuid in believed,
            copy.served,
        )
        for uuid, copy in told.items()
    }


def _kept(listed: Mapping[str, HeldCopy], before: Mapping[str, HeldCopy]) -> Mapping[str, HeldCopy]:
    """What is written down: of what a host merely claims some, and first those that are there already, or it would have
    thousands of rows written at each poll."""
    claimed = [uuid for uuid, copy in listed.items() if not copy.believed]
    claimed.sort(key=lambda uuid: (uuid not in before, uuid))
    left_out = set(claimed[_NAMED:])
    return {uuid: copy for uuid, copy in listed.items() if uuid not in left_out}


def _subjects(
    connection: Connection,
    host: str,
    held: Mapping[str, HeldCopy],
    before: Mapping[str, HeldCopy],
    suspect: set[str],
) -> Sequence[Subject]:
    """Whatever may differ. Of the rest, which is nearly all of it, nothing more is asked."""
    records = {row.uuid: row for row in host_domains.records(connection, host, [*held.keys() | suspect])}
    stamped = {uuid: copy for uuid, copy in held.items() if copy.stamp_host is not None}
    looked = [uuid for uuid, copy in stamped.items() if before.get(uuid) != copy or uuid in suspect]
    known = host_domains.stamping(connection, {str(stamped[uuid].stamp_operation) for uuid in looked})
    changed = [copy for uuid, copy in held.items() if before.get(uuid) != copy or uuid in suspect]
    newer = unknown_served(connection, host, changed)
    newer |= {uuid: _NEWER_STAMP for uuid in looked if _is_newer(stamped[uuid], known, records.get(uuid))}
    differ = [
        uuid
        for uuid in sorted(held.keys() | records.keys())
        if uuid in newer or uuid in suspect or _differs(host, held.get(uuid), records.get(uuid))
    ]
    busy: dict[str, list[UnderWayRow]] = {}
    for row in host_domains.under_way(connection, differ):
        busy.setdefault(row.instance_uuid, []).append(row)
    return [Subject(u, held.get(u), records.get(u), busy.get(u, ()), newer.get(u, "")) for u in differ]


def _sought(
    connection: Connection, host: str, subjects: Sequence[Subject], unseen: set[str], settings: ServerSettings
) -> Sequence[Subject]:
    """With the hosts where those may be that are recorded here, and are not here. ``unseen``: instances of which that
    is an alarm: it stays for as long as such hosts are left, whatever else begins and waits for them."""
    lacking = [one for one in subjects if _lacks(host, one)]
    gone = {one.uuid for one in lacking if one.uuid in unseen or _is_gone(one)}
    deleting = {one.uuid for one in lacking if any(o.locks_instance and o.kind == Kind.DELETE for o in one.operations)}
    gone |= deleting if deleting and is_first_list(connection, host) else set()
    if not gone:
        return subjects
    silent, specs = SilentHosts(connection, settings), instances.specs(connection, gone)
    found = {uuid: silent.perhaps_with(specs[uuid].spec, host) for uuid in gone if uuid in specs}
    return [replace(one, unseen=found[one.uuid]) if one.uuid in found else one for one in subjects]


def _lacks(host: str, subject: Subject) -> bool:
    """Whether the instance is recorded on the host, which has no copy of it."""
    record = subject.record
    if record is None or record.deleted or record.host != host or record.launched_at is None:
        return False
    return subject.copy is None


def _is_gone(subject: Subject) -> bool:
    """Of one that its host lacks: the list is not merely older than the record, or than what an operation does."""
    holding = [operation for operation in subject.operations if operation.locks_instance]
    quiet = subject.record is not None and subject.record.quiet
    return (quiet or bool(holding)) and all(map(keeps_its_domain, holding))


def _is_newer(copy: HeldCopy, known: Mapping[str, StampingRow], record: RecordRow | None) -> bool:
    accepted = (record.accepted_stamps if record else None) or ()
    return f"{copy.stamp_operation}/{copy.stamp_epoch}" not in accepted and is_unknown(copy, known)


def _differs(host: str, copy: HeldCopy | None, record: RecordRow | PolledRecord | None) -> bool:
    if record is None or record.deleted or record.host != host:
        return copy is not None and copy.believed and copy.state in LIVE
    if copy is None:
        return record.launched_at is not None
    wanted = POWER.get(DomainState(copy.state))
    return wanted is not None and wanted["power_state"] != record.power_state


def differences(host: str, subject: Subject) -> list[Difference]:
    """What is wrong about the instance on this host. Pure."""
    copy, record, uuid = subject.copy, subject.record, subject.uuid
    found: list[Difference] = []
    live = copy is not None and copy.believed and copy.state in LIVE
    owed = any(explains(o, host) and not o.locks_instance for o in subject.operations)
    if record is None or record.deleted:
        if live and not owed:
            found.append(_no_record(host, subject))
        return found
    if copy is not None and subject.newer:
        message = newer_than(host, copy.state, subject.newer, record.host)
        found.append(Difference(AlarmKind.COPY_NEWER, uuid, message))
    busy = any(o.locks_instance for o in subject.operations)
    if record.host == host:
        if copy is None and record.launched_at is not None:
            message = f"its record says {host}, and there is no domain of it there"
            found.append(Difference(AlarmKind.DOMAIN_GONE, uuid, message, certain=record.quiet and not busy))
            if subject.unseen:
                message = f"{message}; it may run on {subject.unseen}"
                found.append(Difference(AlarmKind.GUEST_UNSEEN, uuid, message))
        return found
    explained = any(explains(o, host) for o in subject.operations)
    if copy is not None and live and not explained:
        message = f"{_doing(copy)} on {host}, but its record says {record.host}{_renamed(host, copy)}"
        found.append(Difference(AlarmKind.COPY_ELSEWHERE, uuid, message, certain=record.quiet))
    return found


def _no_record(host: str, subject: Subject) -> Difference:
    copy, record = subject.copy, subject.record
    assert copy is not None
    why = "it was deleted" if record is not None else "there is no record of it"
    message = f"{_doing(copy)} on {host}, and {why}{_renamed(host, copy)}"
    return Difference(AlarmKind.NO_RECORD, subject.uuid, message, certain=record is None or record.quiet)


def _doing(copy: HeldCopy) -> str:
    return "runs" if copy.state == DomainState.RUNNING else f"is {copy.state}"


def _renamed(host: str, copy: HeldCopy) -> str:
    other = copy.stamp_host
    return f" (its stamp was issued for {other}: is {host} that host, renamed?)" if other not in (None, host) else ""


def _note_power(connection: Connection, host: str, subject: Subject) -> bool:
    """A guest that stopped, started or vanished without an operation; True: by its record it ran, and it is stopped."""
    record, copy = subject.record, subject.copy
    if record is None or record.deleted or record.host != host or not record.quiet:
        return False
    if any(operation.locks_instance for operation in subject.operations) or subject.newer or record.launched_at is None:
        return False
    wanted = POWER.get(DomainState(copy.state)) if copy is not None else _GONE
    if wanted is None or wanted["power_state"] == record.power_state:
        return False
    if copy is not None and record.vm_state == "error":
        return False
    # One that waits for its confirmation stays in VERIFY_RESIZE, however its guest is.
    only = ("power_state",) if record.vm_state in ("resized", "error") else tuple(wanted)
    instances.change(connection, record.uuid, {name: wanted[name] for name in only})
    message = f"found {copy.state} on {host}" if copy is not None else f"found no domain on {host}"
    events.add(connection, EventType.POWER_STATE_CHANGED, message, instance_uuid=record.uuid, host=host)
    return copy is not None and record.vm_state == "active" and wanted["vm_state"] == "stopped"


def _raise(connection: Connection, host: str, found: Iterable[Difference]) -> None:
    for one in sorted(found, key=lambda difference: (difference.kind.value, difference.uuid)):
        alarms.raise_alarm(connection, one.kind, one.message, host=host, instance_uuid=one.uuid)


def _claims(connection: Connection, host: str, held: Iterable[HeldCopy], *, raised: bool) -> None:
    """Copies of instances that the host never had, for all that is known."""
    claimed = sorted(copy.instance_uuid for copy in held if not copy.believed)
    if claimed:
        more = f" and {len(claimed) - _NAMED} more" if len(claimed) > _NAMED else ""
        message = f"{host} reports copies of instances that it was never given: {', '.join(claimed[:_NAMED])}{more}"
        details = {"number": len(claimed), "instances": claimed[:_NAMED]}
        alarms.raise_alarm(connection, AlarmKind.UNPROVEN_CLAIM, message, host=host, details=details)
    elif raised:
        alarms.clear_alarm(connection, AlarmKind.UNPROVEN_CLAIM, host=host)
