"""The queue of live migrations that leave a host: who may begin. What comes into a host: ``inbound.py``.

Owns ``max_concurrent_live_migrations``. A migration leaves the queue when it takes its claim; its place is its age.
"""

from migrator.db import hosts, operations
from migrator.db.engine import Connection
from migrator.errors import ConcurrentUpdate
from migrator.operations import OPERATIONS, Kind
from migrator.scheduler.decision.snapshot import OperationView, Plan, Snapshot
from migrator.scheduler.queues import inbound

_TABLE = OPERATIONS[Kind.LIVE_MIGRATION]
QUEUED = next(phase.name for phase in _TABLE.phases if phase.claims_host)
# from the claim to the end of the transfer, which is the last of them
UNDER_WAY = tuple(
    phase.name for phase in _TABLE.phases[_TABLE.index(QUEUED) + 1 : _TABLE.index(_TABLE.point_of_no_return or "")]
)


def ahead(connection: Connection, operation_id: int, source: str | None) -> int:
    """How many live migrations of the source go first: those under way, and those that have been queued for longer."""
    if source is None:
        return 0
    return operations.count_ahead(connection, Kind.LIVE_MIGRATION, source, operation_id, UNDER_WAY, QUEUED)


def admit(connection: Connection, snapshot: Snapshot, plan: Plan) -> None:
    """In the transaction that takes the claim: no other was admitted since, here or there. Raises ConcurrentUpdate."""
    operation, limit = snapshot.operation, snapshot.outbound_limit
    leaving = operation.source if OPERATIONS[operation.kind].live and limit else None
    hosts.lock(connection, {host for host in (leaving, plan.destination) if host is not None})
    if leaving is not None and ahead(connection, operation.id, leaving) >= limit:
        raise ConcurrentUpdate(f"Operation {operation.id} is not the next one of {leaving} any more")
    inbound.admit(connection, snapshot, plan)


def following(connection: Connection, operation: OperationView) -> int | None:
    """The id of the one that is next in the queue, now that this one is over."""
    if not OPERATIONS[operation.kind].live or operation.source is None:
        return None
    return operations.first_in(connection, operation.kind, operation.source, QUEUED)
