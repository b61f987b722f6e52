"""The queues of what comes into a host: who may begin.

Owns ``max_concurrent_builds``: what counts (whatever brings an instance to a host that did not have it), from the claim
until the record says that it has arrived, and in which order. An operation waits for one host at a time, the
destination in its row, and holds nothing there: the slot and the claim are taken together, or neither is.
"""

from collections.abc import Iterable, Mapping, Sequence

from migrator.db import queues
from migrator.db.engine import Connection
from migrator.db.partial_rows import QueueRow
from migrator.db.rows import OperationRow
from migrator.errors import ConcurrentUpdate
from migrator.operations import OPERATIONS, Effect, Kind, Operation
from migrator.scheduler.decision.snapshot import OperationView, Plan, QueuePosition, Snapshot

_ARRIVED = frozenset({Effect.RECORD_BUILT, Effect.MOVE_RECORD, Effect.RECORD_RESIZED})
# An evacuated instance is out of service, and nothing else that comes in is.
URGENT = Kind.EVACUATION


def _incoming(table: Operation) -> list[str]:
    """Its phases after the claim, before the record of its arrival."""
    names = [phase.name for phase in table.phases]
    claims = [phase.name for phase in table.phases if phase.claims_host]
    arrived = [phase.name for phase in table.phases if phase.do in _ARRIVED]
    return names[names.index(claims[0]) + 1 : names.index(arrived[0])] if claims else []


QUEUED = next(p.name for p in OPERATIONS[Kind.BUILD].phases if p.claims_host)
UNDER_WAY = tuple((kind.value, name) for kind, table in OPERATIONS.items() for name in _incoming(table))
RULE = queues.Rule(queued=QUEUED, urgent=URGENT.value, under_way=UNDER_WAY)


def ahead_everywhere(connection: Connection, snapshot: Snapshot) -> Mapping[str, int]:
    """Host -> how many go before the operation there; hosts without any, and all without a limit, are not in it."""
    if not snapshot.inbound_limit:
        return {}
    operation = snapshot.operation
    return queues.ahead_everywhere(connection, RULE, operation.id, operation.kind is URGENT)


def positions(connection: Connection, rows: Iterable[OperationRow], limit: int) -> Mapping[int, QueuePosition]:
    """Operation id -> its place, for those of these rows of ``operations`` that wait for a host: one query."""
    waiting = {row.id: row.destination for row in rows if row.phase == QUEUED and row.forward and row.destination}
    if not waiting or not limit:
        return {}
    under_way: dict[str, int] = {}
    lines: dict[str, list[QueueRow]] = {}
    for one in queues.members(connection, RULE, set(waiting.values())):
        if one.queued:
            lines.setdefault(one.destination, []).append(one)
        else:
            under_way[one.destination] = under_way.get(one.destination, 0) + 1
    found: dict[int, QueuePosition] = {}
    for host, line in lines.items():
        foremost = True
        for ahead, one in enumerate(line, under_way.get(host, 0)):
            found[one.id] = QueuePosition(ahead, foremost)
            foremost = foremost and one.requested_host is not None
    return {key: place for key, place in found.items() if key in waiting}


def admit(connection: Connection, snapshot: Snapshot, plan: Plan) -> None:
    """With the destination's row locked: no other operation was admitted since. Raises ConcurrentUpdate."""
    operation, host, limit = snapshot.operation, plan.destination, snapshot.inbound_limit
    if not limit or host is None or host == operation.source:
        return
    if queues.ahead(connection, RULE, operation.id, operation.kind is URGENT, host) >= limit:
        raise ConcurrentUpdate(f"Operation {operation.id} is not the next one to come into {host} any more")


def following(connection: Connection, snapshot: Snapshot, after: OperationView) -> Sequence[int]:
    """Ids of operations whose turn it may be at the host at which this one stands no more as it did, now that it is as
    ``after``: the next one there, and where this one went elsewhere the next that may do so, too."""
    operation = snapshot.operation
    before = _stands(operation)
    if before is None or not snapshot.inbound_limit:
        return ()
    host, waited = before
    let_in = waited and _stands(after) == (host, False)
    if _stands(after) == before or (let_in and snapshot.inbound.ahead + 1 >= snapshot.inbound_limit):
        return ()
    found = [queues.first(connection, RULE, host)]
    if waited and not let_in and found[0] is not None:
        found.append(queues.first(connection, RULE, host, free=True))
    return [key for key in dict.fromkeys(found) if key is not None and key != operation.id]


def _stands(operation: OperationView) -> tuple[str, bool] | None:
    """(host, whether it waits); None: nowhere. What ``RULE`` says, of one operation."""
    host = operation.destination
    if host is None or operation.same_host or not operation.active or not operation.locks_instance:
        return None
    if (operation.kind.value, operation.phase) in UNDER_WAY:
        return host, False
    return (host, True) if operation.phase == QUEUED and operation.forward else None
