"""Turns database rows into the plain values that ``decide`` and the filters read. Changes nothing."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pydantic import ValidationError

from migrator.db import alarms, host_domains, host_lists, hosts, instances, operations, progress, transfer_stats
from migrator.db.engine import Connection
from migrator.db.partial_rows import FactRow, SpecRow
from migrator.db.rows import HostRow, OperationRow
from migrator.errors import InstanceNotFound
from migrator.operations import OPERATIONS, End, Kind
from migrator.protocol import Fact, HostReport, InstanceSpec
from migrator.scheduler.checks.finding import Candidate
from migrator.scheduler.decision.downtime_steps import Schedule
from migrator.scheduler.decision.operation_data import Context, Params, Steering
from migrator.scheduler.decision.snapshot import HostView, MigrationOptions, OperationView, QueuePosition, Snapshot
from migrator.scheduler.queues import inbound, outbound
from migrator.scheduler.state.fencing import evidence
from migrator.settings import ServerSettings

log = logging.getLogger(__name__)

# What a row raises that cannot be read. A database that fails raises others: it says nothing about any row.
UNREADABLE: tuple[type[Exception], ...] = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError),
    InstanceNotFound,
)

# A living agent speaks every 10 s at the latest. One whose host was declared dead gets no more time than that needs.
DECLARED_DEAD_S = 15.0


_FEW = 10  # hosts
RELEASED = "released_at"  # kept beside an operator's parameters: since when it is held no more
_NO_REPORT = HostReport(vcpus=0, memory_mb=0, address="", live_migration_uri="")


def report_of(row: HostRow) -> tuple[HostReport, str]:
    """A host's description, and why it cannot be read ("": it can). One that cannot counts as empty, and its host is
    used for nothing: a bad row is one host's fault, and never that of a reader of all hosts."""
    try:
        return HostReport.model_validate(row.report), ""
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, one["loc"])) for one in error.errors(include_input=False)}))
        return _NO_REPORT, f"its description cannot be read ({fields}); restart its agent, which describes it anew"


def has_listed(row: HostRow) -> bool:
    """Whether the host has listed its copies since the servers are back. One of which no list is known has not: that
    there was none before, a backup does not tell, least of all one of a release that wrote down none."""
    return row.listed_s is not None and row.listed_s <= row.listening_s


def host_view(row: HostRow, down_after: float) -> HostView:
    report, unreadable = report_of(row)
    patience_s = min(down_after, DECLARED_DEAD_S) if row.forced_down else down_after
    speaks = row.silent_s <= patience_s
    return HostView(
        name=row.name,
        report=report,
        silent_s=row.silent_s,
        up=not row.forced_down and row.silent_s <= down_after and not unreadable,
        disabled=row.disabled or not row.approved,
        approved=row.approved,
        forced_down=row.forced_down,
        speaks=speaks,
        awaited=not speaks and row.listening_s <= patience_s,
        heard_s=row.heard_s,
        now=row.last_seen + row.silent_s + row.behind_s,
        listed=has_listed(row),
        unreadable=unreadable,
    )


def with_fencing(row: HostRow, view: HostView, settings: ServerSettings, since: float) -> HostView:
    """``view`` with the evidence that the host's guests do not run, and the fence command's failure if it is newer
    than ``since`` (seconds by the servers' clock)."""
    found = evidence(row, settings)
    attempt = row.fence_attempt or {}
    failed = (
        attempt.get("words")
        if attempt.get("ok") is False and attempt.get("clock", attempt.get("at", 0.0)) >= since
        else None
    )
    return replace(view, evidence=found.words if found is not None else None, fence_failed=failed)


def candidates(rows: Iterable[HostRow], down_after: float) -> list[Candidate]:
    return [Candidate(host_view(row, down_after), row.free_vcpus, row.free_memory_mb, row.free_disk_gb) for row in rows]


def operation_view(row: OperationRow, moment: float) -> OperationView:
    """``moment``: now, by the servers' clock."""
    return OperationView(
        id=row.id,
        uuid=row.uuid,
        kind=Kind(row.kind),
        instance_uuid=row.instance_uuid,
        phase=row.phase,
        forward=row.forward,
        epoch=row.epoch,
        generation=row.generation,
        serial=row.serial,
        source=row.source,
        destination=row.destination,
        requested_host=row.requested_host,
        params=Params.parse(row.params or {}),
        context=Context.parse(row.context or {}),
        cancel_requested=row.cancel_requested,
        waiting=row.waiting,
        error=row.error,
        active=row.active,
        confirm_requested=row.confirm_requested,
        holds=row.holds,
        steering=Steering.parse(row.steering or {}),
        outcome=row.outcome or {},
        phase_age_s=moment - row.phase_since,
        status=row.status,
    )


def snapshot(connection: Connection, operation_id: int, settings: ServerSettings) -> Snapshot:
    """All that ``decide`` needs of one operation. Raises OperationNotFound."""
    return next(snapshots(connection, [operations.get(connection, operation_id)], settings))


def snapshots(connection: Connection, rows: Sequence[OperationRow], settings: ServerSettings) -> Iterator[Snapshot]:
    """One a row of ``operations``, in their order. What they need of other tables is read at once for all of them, the
    facts before the hosts: a fact counts only while its host is heard."""
    specs = instances.specs(connection, {row.instance_uuid for row in rows})
    if lost := next((row.instance_uuid for row in rows if row.instance_uuid not in specs), None):
        raise InstanceNotFound(f"Instance {lost} could not be found.")
    facts: dict[int, list[FactRow]] = {}
    for fact in operations.facts_of(connection, [row.id for row in rows]):
        facts.setdefault(fact.operation_id, []).append(fact)
    names = {name for row in rows for name in (row.source, row.destination) if name}
    names |= {instance.host for instance in specs.values() if instance.host}
    seen = {host.name: host for host in hosts.by_names(connection, names)}
    views = {host.name: host_view(host, settings.service_down_time) for host in seen.values()}
    waiting = inbound.places(connection, rows, settings.max_concurrent_builds)
    disputes = alarms.disputes(connection, specs.keys())
    for row in rows:
        ends = {row.source, row.destination, specs[row.instance_uuid].host}
        rest = {name: (seen[name], views[name]) for name in sorted(name for name in ends if name in seen)}
        place = waiting.get(row.id, QueuePosition())
        found = _snapshot(connection, row, specs[row.instance_uuid], rest, facts.get(row.id, ()), place, settings)
        yield replace(
            found,
            disputed=disputes.get(row.instance_uuid, ""),
            copies=_copies(connection, row, settings),
            perhaps_built_on=_perhaps_built_on(connection, row, settings),
        )


def readable(connection: Connection, ids: Sequence[int], settings: ServerSettings) -> list[Snapshot]:
    """The snapshots of the readable operations: a row of a newer server, or a damaged one, hides no other."""
    try:
        return list(snapshots(connection, operations.get_many(connection, ids), settings))
    except UNREADABLE:
        return [found for key in ids for found in _readable_alone(connection, key, settings)]


def _readable_alone(connection: Connection, key: int, settings: ServerSettings) -> list[Snapshot]:
    try:
        return list(snapshots(connection, operations.get_many(connection, [key]), settings))
    except UNREADABLE as error:  # the sweep writes down that it cannot be read
        log.debug("operation %s cannot be read: %s", key, error)
        return []


def _snapshot(
    connection: Connection,
    row: OperationRow,
    instance: SpecRow,
    seen: Mapping[str, tuple[HostRow, HostView]],
    facts: Sequence[FactRow],
    place: QueuePosition,
    settings: ServerSettings,
) -> Snapshot:
    """``seen``: host -> its row and view."""
    moment = next((h.last_seen + h.silent_s for h, _ in seen.values()), row.phase_since)  # now, without asking again
    return Snapshot(
        operation=operation_view(row, moment),
        instance=InstanceSpec.model_validate(instance.spec),
        hosts={name: with_fencing(h, view, settings, row.phase_since) for name, (h, view) in seen.items()},
        facts={f.host: Fact.model_validate(f.body) for f in facts},
        ages={f.host: f.age_s for f in facts},
        told={f.host: f.told_s for f in facts},
        report_timeout_s=settings.agent_report_timeout,
        home=instance.host,
        deleted=instance.deleted,
        deleting=bool(instance.delete_requested),
        confirm_window_s=settings.resize_confirm_window,
        schedule=schedule_of(settings),
        ahead=_ahead(connection, row),
        outbound_limit=settings.max_concurrent_live_migrations,
        inbound=place,
        inbound_limit=settings.max_concurrent_builds,
        shutdown_timeout_s=settings.shutdown_timeout,
        means=means_of(settings),
        reached_mib_s=_reached(connection, row),
        stalled_s=_stalled_s(connection, row),
    )


def _copies(connection: Connection, row: OperationRow, settings: ServerSettings) -> tuple[tuple[str, str], ...]:
    """Asked for only where it matters: it costs a query."""
    if OPERATIONS[Kind(row.kind)].phase(row.phase).end is not End.NO_COPY:
        return ()
    return tuple(host_domains.left(connection, row.instance_uuid, row.source, settings.service_down_time))


def _perhaps_built_on(connection: Connection, row: OperationRow, settings: ServerSettings) -> HostView | None:
    """For a build that is to choose its host: one that may have its guest already, since the build is older than the
    time for which servers listen, and may come out of a backup. Asked for only there: it costs a query."""
    if row.kind != Kind.BUILD or not OPERATIONS[Kind.BUILD].phase(row.phase).claims_host:
        return None
    names = host_lists.unlisted(connection, row.created_at)
    if row.requested_host is not None:  # it was built there or nowhere; and is not, as long as that is silent
        found = _unfenced(connection, [name for name in names if name == row.requested_host], settings)
        return found if found is not None and found.heard else None
    return _unfenced(connection, names, settings)


def _unfenced(connection: Connection, names: Sequence[str], settings: ServerSettings) -> HostView | None:
    """The first of them. Read a few at a time, for after a break there may be thousands."""
    for first in range(0, len(names), _FEW):
        for row in hosts.by_names(connection, names[first : first + _FEW]):
            view = with_fencing(row, host_view(row, settings.service_down_time), settings, 0.0)
            if not view.fenced:
                return view
    return None


def schedule_of(settings: ServerSettings) -> Schedule:
    return Schedule(
        max_downtime_ms=settings.live_migration_downtime,
        steps=settings.live_migration_downtime_steps,
        delay_s=settings.live_migration_downtime_delay,
        curve=settings.live_migration_downtime_curve,
        completion_s=settings.live_migration_completion_timeout,
        progress_s=settings.live_migration_progress_timeout,
        on_timeout=settings.live_migration_timeout_action,
    )


def means_of(settings: ServerSettings) -> MigrationOptions:
    return MigrationOptions(
        strategy=settings.live_migration_strategy,
        bandwidth_mib_s=settings.live_migration_bandwidth,
        auto_converge=settings.live_migration_permit_auto_converge,
        post_copy=settings.live_migration_permit_post_copy,
        parallel_connections=settings.live_migration_parallel_connections,
        compression=settings.live_migration_compression,
    )


def _ahead(connection: Connection, row: OperationRow) -> int:
    """Only live migrations queue up; what is no longer in the queue need not ask."""
    if row.kind != Kind.LIVE_MIGRATION or row.phase != outbound.QUEUED:
        return 0
    return outbound.ahead(connection, row.id, row.source)


def _stalled_s(connection: Connection, row: OperationRow) -> float:
    if row.kind != Kind.LIVE_MIGRATION:
        return 0.0
    return progress.stalled_s(connection, row.id, Steering.parse(row.steering or {}).released_at)


def _reached(connection: Connection, row: OperationRow) -> float | None:
    """Asked for only where a transfer is planned: it costs a query."""
    planning = OPERATIONS[Kind(row.kind)].phase(row.phase).auto_strategy_only
    if not planning or row.source is None or row.destination is None:
        return None
    return transfer_stats.reached_mib_s(connection, row.source, row.destination)
