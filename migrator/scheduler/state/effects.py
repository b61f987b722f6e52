"""What the scheduler itself does: one small function an ``Effect``, run in the transaction that leaves the phase.

Placing (``CLAIM_DESTINATION``) has already chosen; its claim is taken here, and failing to get it means that
another writer was faster (ConcurrentUpdate: load, decide and choose again).
"""

from collections.abc import Callable, Mapping
from typing import Any

from migrator.db import claims, consoles, events, instances, networks, operations, server_groups, volumes
from migrator.db.engine import Connection
from migrator.errors import ConcurrentUpdate
from migrator.event_types import EventType
from migrator.operations import OPERATIONS, Effect
from migrator.protocol import DomainState, InstanceSpec, TargetPowerState
from migrator.scheduler.checks import aggregates as aggregate_rules
from migrator.scheduler.checks import neighbour_checks
from migrator.scheduler.decision.snapshot import OperationView, Plan
from migrator.scheduler.decision.verdict import arrived
from migrator.scheduler.decision.views import power_wanted, stays_paused, with_flavor
from migrator.scheduler.state import aggregates, neighbours

POWER: Mapping[DomainState, Mapping[str, object]] = {
    DomainState.RUNNING: {"vm_state": "active", "power_state": 1},
    DomainState.PAUSED: {"vm_state": "paused", "power_state": 3},
    DomainState.SHUT_OFF: {"vm_state": "stopped", "power_state": 4},
    DomainState.CRASHED: {"vm_state": "stopped", "power_state": 6},
    DomainState.SAVED: {"vm_state": "suspended", "power_state": 4},
}
"""Domain state -> the instance's vm_state and power_state (Nova's numbers)."""


Amounts = tuple[int, int, int]  # vCPUs, MiB, GiB


def amounts(flavor: Mapping[str, Any], *, volume_backed: bool) -> Amounts:
    """What an instance of the flavor takes on its host; both of its disks count, but for a root disk elsewhere."""
    root_gb = 0 if volume_backed else flavor["disk_gb"]
    return flavor["vcpus"], flavor["memory_mb"], root_gb + (flavor.get("ephemeral_gb") or 0)


def _amounts(connection: Connection, operation: OperationView, which: str) -> Amounts:
    row = instances.get(connection, operation.instance_uuid, deleted=True)
    return amounts(_flavor(connection, operation, which), volume_backed=bool(row.spec.get("home")))


def _flavor(connection: Connection, operation: OperationView, which: str) -> Mapping[str, Any]:
    found = operation.params.old_flavor if which == "old_flavor" else operation.params.new_flavor
    if found is None:
        found = instances.get(connection, operation.instance_uuid, deleted=True).flavor
    return dict(found)


def _claim(connection: Connection, operation: OperationView, plan: Plan) -> None:
    """In place, one claim holds the larger of both flavors until it is known which one stays."""
    host, wanted = plan.destination, _amounts(connection, operation, "new_flavor")
    assert host is not None
    _check_aggregates(connection, operation, host)
    if host != operation.source:
        _check_neighbours(connection, operation, host)
    if host == operation.source:
        before = _amounts(connection, operation, "old_flavor")
        vcpus, memory_mb, disk_gb = map(max, wanted, before)
        taken = claims.resize(
            connection, host, operation.instance_uuid, operation.id, int(vcpus), int(memory_mb), int(disk_gb)
        )
    else:
        taken = claims.take(connection, host, operation.instance_uuid, operation.id, *wanted)
    if not taken:
        raise ConcurrentUpdate(f"Host {host} has no longer the room")


def _check_aggregates(connection: Connection, operation: OperationView, host: str) -> None:
    """The zone of a host that is claimed stays, see ``db/aggregates``. Raises ConcurrentUpdate."""
    row = instances.get(connection, operation.instance_uuid, deleted=True)
    found = aggregates.load(connection, row.availability_zone, _flavor(connection, operation, "new_flavor"), [host])
    message = aggregate_rules.refusal(host, found)
    if message is not None:
        raise ConcurrentUpdate(f"Host {host} may not take instance {operation.instance_uuid} any more: {message}")


def _check_neighbours(connection: Connection, operation: OperationView, host: str) -> None:
    """No other member of the server group is placed before this transaction ends; and whom the host holds, and is about
    to hold, is known, for its row is locked. Raises ConcurrentUpdate."""
    server_groups.lock_of(connection, operation.instance_uuid)
    message = neighbour_checks.refusal(host, neighbours.load(connection, operation.instance_uuid))
    if message is not None:
        raise ConcurrentUpdate(f"Host {host} may not take instance {operation.instance_uuid} any more: {message}")


def _release_destination(connection: Connection, operation: OperationView, _plan: Plan) -> None:
    if operation.same_host:
        _claim_only(connection, operation, "old_flavor")
    elif operation.destination is not None:
        claims.release(connection, operation.destination, operation.instance_uuid)


def _release_source(connection: Connection, operation: OperationView, _plan: Plan) -> None:
    """In place there is nothing to give back: since it was confirmed the claim is the instance's own."""
    if operation.source is not None and not operation.same_host:
        claims.release(connection, operation.source, operation.instance_uuid)


def _claim_only(connection: Connection, operation: OperationView, staying: str) -> None:
    """In place: make the claim as large as the flavor that stays."""
    assert operation.source is not None
    wanted = _amounts(connection, operation, staying)
    claims.resize(connection, operation.source, operation.instance_uuid, operation.id, *wanted)
    claims.hand_over(connection, operation.id)


def _found(plan: Plan, otherwise: DomainState) -> Mapping[str, object]:
    """vm_state and power_state by what was last seen of the instance."""
    domain = plan.effect_fact.domain if plan.effect_fact is not None else None
    return POWER.get(domain.state if domain is not None else otherwise, POWER[otherwise])


def _move_record(connection: Connection, operation: OperationView, plan: Plan) -> None:
    """A live migration's guest runs on, or stays paused, unless it was seen to stop after it had arrived; an evacuated
    instance is as the destination has it."""
    before = DomainState.PAUSED if stays_paused(operation) else DomainState.RUNNING
    seen = OPERATIONS[operation.kind].leaves_lost_host or arrived(plan.effect_fact)
    found = _found(plan, before) if seen else POWER[before]
    if operation.context.postcopy_lost:
        found = _found(plan, DomainState.SHUT_OFF)
    changes = {"host": operation.destination, "fault": None, **found}
    instances.change(connection, operation.instance_uuid, changes)


def _shaped(connection: Connection, operation: OperationView, which: str) -> dict[str, Any]:
    """The columns that a flavor shapes."""
    row = instances.get(connection, operation.instance_uuid, deleted=True)
    flavor = _flavor(connection, operation, which)
    spec = with_flavor(InstanceSpec.model_validate(row.spec), flavor)
    return {"flavor": flavor, "spec": spec.model_dump(mode="json")}


def _record_resized(connection: Connection, operation: OperationView, plan: Plan) -> None:
    power = _found(plan, DomainState.RUNNING)["power_state"]
    changes = {"host": operation.destination, "vm_state": "resized", "power_state": power}
    instances.change(connection, operation.instance_uuid, changes | _shaped(connection, operation, "new_flavor"))
    measured = events.since_phase(connection, operation.id, "stop")
    if measured is not None:
        operations.add_outcome(connection, operation.id, {"out_of_service_ms": round(measured * 1000)})


def _record_returned(connection: Connection, operation: OperationView, plan: Plan) -> None:
    """Back at the source with the old flavor. Of a source that is lost nothing is seen: as it was wanted, then."""
    wanted = {TargetPowerState.RUNNING: DomainState.RUNNING, TargetPowerState.SAVED: DomainState.SAVED}.get(
        power_wanted(operation), DomainState.SHUT_OFF
    )
    changes = {"host": operation.source, **_found(plan, wanted)}
    instances.change(connection, operation.instance_uuid, changes | _shaped(connection, operation, "old_flavor"))


def _record_confirmed(connection: Connection, operation: OperationView, _plan: Plan) -> None:
    """From here on the instance is free, and its claim may be the next operation's."""
    if operation.same_host:
        _claim_only(connection, operation, "new_flavor")
    row = instances.get(connection, operation.instance_uuid, deleted=True)
    state = "active" if row.power_state == POWER[DomainState.RUNNING]["power_state"] else "stopped"
    instances.change(connection, operation.instance_uuid, {"vm_state": state})


def _record_built(connection: Connection, operation: OperationView, _plan: Plan) -> None:
    values = {"host": operation.destination, **POWER[DomainState.RUNNING]}
    instances.change(connection, operation.instance_uuid, values)
    instances.launched(connection, operation.instance_uuid)


def _record_power(connection: Connection, operation: OperationView, plan: Plan) -> None:
    domain = plan.effect_fact.domain if plan.effect_fact is not None else None
    if domain is not None and domain.state in POWER:
        instances.change(connection, operation.instance_uuid, POWER[domain.state])


def _record_deleted(connection: Connection, operation: OperationView, _plan: Plan) -> None:
    """Hosts that were lost in earlier operations may still have something of it: those operations go on until they have
    cleaned up, and the deletion says so."""
    for other in operations.active_of(connection, operation.instance_uuid):
        if other.id != operation.id:
            ends = ", ".join(sorted({host for host in (other.source, other.destination) if host}))
            left = f"deleted, but for what {other.kind} {other.id} still has to clean up ({ends})"
            message = f"{left}: {other.wait_reason or ''}"
            about: dict[str, Any] = {"operation_id": operation.id, "instance_uuid": operation.instance_uuid}
            events.add(connection, EventType.CLEANUP_DEFERRED, message.rstrip(": "), **about)
    instances.terminated(connection, operation.instance_uuid)
    consoles.remove(connection, operation.instance_uuid)
    volumes.release(connection, operation.instance_uuid)
    networks.release(connection, operation.instance_uuid)


EFFECTS: Mapping[Effect, Callable[[Connection, OperationView, Plan], None]] = {
    Effect.CLAIM_DESTINATION: _claim,
    Effect.RELEASE_DESTINATION: _release_destination,
    Effect.RELEASE_SOURCE: _release_source,
    Effect.MOVE_RECORD: _move_record,
    Effect.RECORD_BUILT: _record_built,
    Effect.RECORD_POWER: _record_power,
    Effect.RECORD_DELETED: _record_deleted,
    Effect.RECORD_RESIZED: _record_resized,
    Effect.RECORD_RETURNED: _record_returned,
    Effect.RECORD_CONFIRMED: _record_confirmed,
}
