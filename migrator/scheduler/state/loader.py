"""Turns database rows into the plain values that ``decide`` and the filters read. Changes nothing."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from migrator.db import alarms, host_domains, hosts, instances, operations, progress, transfer_stats
from migrator.db.engine import Connection
from migrator.db.partial_rows import FactRow, SpecRow
from migrator.db.rows import HostRow, OperationRow
from migrator.errors import InstanceNotFound
from migrator.operations import OPERATIONS, End, Kind
from migrator.protocol import Fact, InstanceSpec
from migrator.scheduler.decision.downtime_steps import Schedule
from migrator.scheduler.decision.operation_data import Context, Params, Steering
from migrator.scheduler.decision.snapshot import HostView, MigrationOptions, OperationView, QueuePosition, Snapshot
from migrator.scheduler.queues import inbound, outbound
from migrator.scheduler.state.host_views import host_view, with_fencing
from migrator.scheduler.state.unlisted_hosts import UnlistedHosts
from migrator.settings import ServerSettings

log = logging.getLogger(__name__)

# What a row raises that cannot be read. A database that fails raises others: it says nothing about any row.
UNREADABLE: tuple[type[Exception], ...] = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError),
    InstanceNotFound,
)
RELEASED = "released_at"  # kept beside an operator's parameters: since when it is held no more


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
        wait_reason=row.wait_reason,
        error=row.error,
        active=row.active,
        confirm_requested=row.confirm_requested,
        locks_instance=row.locks_instance,
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
    waiting = inbound.positions(connection, rows, settings.max_concurrent_builds)
    disputes = alarms.disputes(connection, specs.keys())
    unlisted = UnlistedHosts(connection, settings)
    for row in rows:
        ends = {row.source, row.destination, specs[row.instance_uuid].host}
        rest = {name: (seen[name], views[name]) for name in sorted(name for name in ends if name in seen)}
        place = waiting.get(row.id, QueuePosition())
        found = _snapshot(connection, row, specs[row.instance_uuid], rest, facts.get(row.id, ()), place, settings)
        yield replace(
            found,
            disputed=disputes.get(row.instance_uuid, ""),
            copies=_copies(connection, row, settings),
            perhaps_built_on=_perhaps_built_on(row, found, unlisted),
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
        record_host=instance.host,
        deleted=instance.deleted,
        deleting=bool(instance.delete_requested),
        confirm_window_s=settings.resize_confirm_window,
        schedule=schedule_of(settings),
        ahead=_ahead(connection, row),
        outbound_limit=settings.max_concurrent_live_migrations,
        inbound=place,
        inbound_limit=settings.max_concurrent_builds,
        shutdown_timeout_s=settings.shutdown_timeout,
        migration_options=means_of(settings),
        reached_mib_s=_reached(connection, row),
        stalled_s=_stalled_s(connection, row),
    )


def _copies(connection: Connection, row: OperationRow, settings: ServerSettings) -> tuple[tuple[str, str], ...]:
    """Asked for only where it matters: it costs a query."""
    if OPERATIONS[Kind(row.kind)].phase(row.phase).end is not End.NO_COPY:
        return ()
    return tuple(host_domains.left(connection, row.instance_uuid, row.source, settings.service_down_time))


def _perhaps_built_on(row: OperationRow, found: Snapshot, unlisted: UnlistedHosts) -> HostView | None:
    """For what makes a guest where none is: a host that may have it already, since the operation is older than the time
    for which servers listen, and may come out of a backup. Asked for only there: it costs queries."""
    table = OPERATIONS[Kind(row.kind)]
    if table.leaves_lost_host and row.locks_instance and found.record_host == row.source:
        return unlisted.first(row.created_at, without=row.source)
    if not table.builds or not table.phase(row.phase).claims_host:
        return None
    host = unlisted.first(row.created_at, only=row.requested_host)
    if row.requested_host is not None:  # it was built there or nowhere; and is not, as long as that is silent
        return host if host is not None and host.heard else None
    return host


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
    if not OPERATIONS[Kind(row.kind)].live or row.phase != outbound.QUEUED:
        return 0
    return outbound.ahead(connection, row.id, row.source)


def _stalled_s(connection: Connection, row: OperationRow) -> float:
    if not OPERATIONS[Kind(row.kind)].live:
        return 0.0
    return progress.stalled_s(connection, row.id, Steering.parse(row.steering or {}).released_at)


def _reached(connection: Connection, row: OperationRow) -> float | None:
    """Asked for only where a transfer is planned: it costs a query."""
    planning = OPERATIONS[Kind(row.kind)].phase(row.phase).auto_strategy_only
    if not planning or row.source is None or row.destination is None:
        return None
    return transfer_stats.reached_mib_s(connection, row.source, row.destination)
