"""What each host of an operation should make true now: derived from the operation's row, never stored.

Pure. An agent's full set is the union over its active operations. The inputs of each ``Ensure`` are worked out here
and nowhere else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from migrator.operations import OPERATIONS, Operation, Phase
from migrator.protocol import (
    AbsentInputs,
    Assignment,
    CompatibleInputs,
    DiskFact,
    Ensure,
    GuestDescription,
    HostReport,
    Message,
    MigratingInputs,
    PreparedInputs,
    Role,
    ShutOffInputs,
)
from migrator.scheduler.decide import host_of
from migrator.scheduler.snapshot import OperationView, Snapshot


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """The server's settings that shape a transfer. ``bandwidth_mib_s`` 0 is no limit."""

    bandwidth_mib_s: int = 0
    max_downtime_ms: int = 500
    auto_converge: bool = False
    post_copy: bool = False
    shutdown_timeout_s: int = 60


def assignments(snapshot: Snapshot, limits: TransferLimits) -> Mapping[str, Assignment]:
    """Host name -> its assignment. Empty while the scheduler itself is the actor."""
    operation = snapshot.operation
    table = OPERATIONS[operation.kind]
    phase = table.phase(operation.phase)
    wanted = phase.do if operation.forward else phase.undo
    found: dict[str, Assignment] = {}
    actor = host_of(operation, phase.actor)
    if actor is not None and isinstance(wanted, Ensure):
        found[actor] = _assignment(snapshot, table, phase, actor, wanted, limits)
    if phase.watch:
        for host in (operation.source, operation.destination):
            if host is not None and host not in found:
                found[host] = _assignment(snapshot, table, phase, host, Ensure.OBSERVED, limits)
    return found


def _assignment(
    snapshot: Snapshot, table: Operation, phase: Phase, host: str, ensure: Ensure, limits: TransferLimits
) -> Assignment:
    operation = snapshot.operation
    inputs = _INPUTS.get(ensure)
    return Assignment(
        operation_id=operation.uuid,
        kind=operation.kind.value,
        epoch=operation.epoch,
        generation=operation.generation,
        phase=phase.name,
        forward=operation.forward,
        role=Role.SOURCE if host == operation.source else Role.DESTINATION,
        ensure=ensure,
        instance=snapshot.instance,
        inputs=inputs(snapshot, table, host, limits).model_dump(mode="json") if inputs else {},
    )


def shared_pools(one: HostReport | None, other: HostReport | None) -> frozenset[str]:
    """Names of the pools that both hosts have and that carry the same storage identity."""
    if one is None or other is None:
        return frozenset()
    return frozenset(
        name
        for name, pool in one.storage.items()
        if name in other.storage and other.storage[name].identity == pool.identity
    )


def _shared(snapshot: Snapshot) -> frozenset[str]:
    """Pools shared by the operation's two hosts."""
    reports = [
        snapshot.hosts[host].report if host in snapshot.hosts else None
        for host in (snapshot.operation.source, snapshot.operation.destination)
        if host is not None
    ]
    return shared_pools(*reports) if len(reports) == 2 else frozenset()


def _guest(operation: OperationView) -> GuestDescription:
    return GuestDescription.model_validate(operation.context.get("guest", {}))


def _compatible(snapshot: Snapshot, _table: Operation, _host: str, _limits: TransferLimits) -> Message:
    return CompatibleInputs(guest=_guest(snapshot.operation), block=snapshot.operation.params.get("block"))


def _prepared(snapshot: Snapshot, _table: Operation, _host: str, _limits: TransferLimits) -> Message:
    return PreparedInputs(guest=_guest(snapshot.operation))


def _migrating(snapshot: Snapshot, _table: Operation, _host: str, limits: TransferLimits) -> Message:
    operation = snapshot.operation
    assert operation.destination is not None
    report = snapshot.hosts[operation.destination].report
    shared = _shared(snapshot)
    disks: list[Any] = operation.context.get("destination_disks", [])
    return MigratingInputs(
        destination_host=operation.destination,
        destination_address=report.address,
        uri=report.live_migration_uri,
        copy_disks=tuple(d.target for d in snapshot.instance.disks if d.pool not in shared),
        destination_disks=tuple(DiskFact.model_validate(d) for d in disks),
        bandwidth_mib_s=limits.bandwidth_mib_s,
        max_downtime_ms=limits.max_downtime_ms,
        auto_converge=limits.auto_converge,
        post_copy=limits.post_copy,
    )


def _shut_off(snapshot: Snapshot, _table: Operation, _host: str, limits: TransferLimits) -> Message:
    soft = bool(snapshot.operation.params.get("soft", True))
    return ShutOffInputs(soft=soft, timeout_s=limits.shutdown_timeout_s)


def _absent(snapshot: Snapshot, table: Operation, _host: str, _limits: TransferLimits) -> Message:
    """A move's leftovers: never a running guest, never a shared disk. A deletion, or a build undone: everything."""
    pools = tuple(dict.fromkeys(disk.pool for disk in snapshot.instance.disks))
    if not table.moves:
        return AbsentInputs(delete_pools=pools, kill=True)
    shared = _shared(snapshot)
    return AbsentInputs(delete_pools=tuple(pool for pool in pools if pool not in shared), kill=False)


_INPUTS: Mapping[Ensure, Callable[[Snapshot, Operation, str, TransferLimits], Message]] = {
    Ensure.COMPATIBLE: _compatible,
    Ensure.PREPARED: _prepared,
    Ensure.MIGRATING: _migrating,
    Ensure.SHUT_OFF: _shut_off,
    Ensure.ABSENT: _absent,
}
