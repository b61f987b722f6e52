"""What the scheduler itself does: one small function an ``Effect``, run in the transaction that leaves the phase.

Placing (``CLAIM_DESTINATION``) has already chosen; its claim is taken here, and failing to get it means that
somebody else was faster (StaleRow: load, decide and choose again).
"""

from collections.abc import Callable, Mapping

from migrator.db import claims, instance_records
from migrator.db.engine import Connection
from migrator.errors import StaleRow
from migrator.operations import Effect
from migrator.protocol import DomainState
from migrator.scheduler.snapshot import OperationView, Plan

POWER: Mapping[DomainState, Mapping[str, object]] = {
    DomainState.RUNNING: {"vm_state": "active", "power_state": 1},
    DomainState.PAUSED: {"vm_state": "paused", "power_state": 3},
    DomainState.SHUT_OFF: {"vm_state": "stopped", "power_state": 4},
    DomainState.CRASHED: {"vm_state": "stopped", "power_state": 6},
}
"""Domain state -> the instance's vm_state and power_state (Nova's numbers)."""


def _claim(connection: Connection, operation: OperationView, plan: Plan) -> None:
    flavor = instance_records.get(connection, operation.instance_uuid, deleted=True).flavor
    host = plan.destination
    assert host is not None
    taken = claims.take(
        connection,
        host,
        operation.instance_uuid,
        operation.id,
        flavor["vcpus"],
        flavor["memory_mb"],
        flavor["disk_gb"],
    )
    if not taken:
        raise StaleRow(f"Host {host} has no longer the room")


def _release_destination(connection: Connection, operation: OperationView, _plan: Plan) -> None:
    if operation.destination is not None:
        claims.release(connection, operation.destination, operation.instance_uuid)


def _release_source(connection: Connection, operation: OperationView, _plan: Plan) -> None:
    if operation.source is not None:
        claims.release(connection, operation.source, operation.instance_uuid)


def _move_record(connection: Connection, operation: OperationView, _plan: Plan) -> None:
    values = {"host": operation.destination, **POWER[DomainState.RUNNING]}
    instance_records.change(connection, operation.instance_uuid, values)


def _record_built(connection: Connection, operation: OperationView, _plan: Plan) -> None:
    values = {"host": operation.destination, **POWER[DomainState.RUNNING]}
    instance_records.change(connection, operation.instance_uuid, values)
    instance_records.launched(connection, operation.instance_uuid)


def _record_power(connection: Connection, operation: OperationView, plan: Plan) -> None:
    domain = plan.effect_fact.domain if plan.effect_fact is not None else None
    if domain is not None and domain.state in POWER:
        instance_records.change(connection, operation.instance_uuid, POWER[domain.state])


def _record_deleted(connection: Connection, operation: OperationView, _plan: Plan) -> None:
    instance_records.terminated(connection, operation.instance_uuid)


EFFECTS: Mapping[Effect, Callable[[Connection, OperationView, Plan], None]] = {
    Effect.CLAIM_DESTINATION: _claim,
    Effect.RELEASE_DESTINATION: _release_destination,
    Effect.RELEASE_SOURCE: _release_source,
    Effect.MOVE_RECORD: _move_record,
    Effect.RECORD_BUILT: _record_built,
    Effect.RECORD_POWER: _record_power,
    Effect.RECORD_DELETED: _record_deleted,
}
