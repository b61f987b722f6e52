"""Turns database rows into the plain values that ``decide`` and the filters read. Changes nothing."""

from collections.abc import Iterable
from typing import Any

from migrator.db import hosts, instance_records, operations
from migrator.db.engine import Connection
from migrator.operations import Kind
from migrator.protocol import Fact, HostReport, InstanceSpec
from migrator.scheduler.filters import Candidate
from migrator.scheduler.snapshot import HostView, OperationView, Snapshot


def host_view(row: Any, down_after: float) -> HostView:
    return HostView(
        name=row.name,
        report=HostReport.model_validate(row.report),
        silent_s=row.silent_s,
        up=not row.forced_down and row.silent_s <= down_after,
        disabled=row.disabled,
        forced_down=row.forced_down,
    )


def candidates(rows: Iterable[Any], down_after: float) -> list[Candidate]:
    return [Candidate(host_view(row, down_after), row.free_vcpus, row.free_memory_mb, row.free_disk_gb) for row in rows]


def operation_view(row: Any) -> OperationView:
    return OperationView(
        id=row.id,
        uuid=row.uuid,
        kind=Kind(row.kind),
        instance_uuid=row.instance_uuid,
        phase=row.phase,
        forward=row.forward,
        epoch=row.epoch,
        generation=row.generation,
        source=row.source,
        destination=row.destination,
        requested_host=row.requested_host,
        params=row.params,
        context=row.context,
        cancel_requested=row.cancel_requested,
        waiting=row.waiting,
        error=row.error,
        active=row.active,
    )


def snapshot(connection: Connection, operation_id: int, down_after: float) -> Snapshot:
    """All that ``decide`` needs of one operation. Raises OperationNotFound."""
    return snapshot_of(connection, operations.get(connection, operation_id), down_after)


def snapshot_of(connection: Connection, row: Any, down_after: float) -> Snapshot:
    names = {name for name in (row.source, row.destination) if name}
    instance = instance_records.get(connection, row.instance_uuid, deleted=True)
    facts = operations.facts_of(connection, row.id)
    return Snapshot(
        operation=operation_view(row),
        instance=InstanceSpec.model_validate(instance.spec),
        hosts={h.name: host_view(h, down_after) for h in hosts.by_names(connection, names)},
        facts={f.host: Fact.model_validate(f.body) for f in facts},
        ages={f.host: f.age_s for f in facts},
    )
