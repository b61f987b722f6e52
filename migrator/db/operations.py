"""Operations: create, load, and change by compare-and-swap on ``generation``.

One active operation an instance is held by a partial unique index, not by a check: two requests that race for one
instance both insert, and the database lets one of them.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from sqlalchemy import BindParameter, Connection, Select, and_, bindparam, func, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from migrator.db import serials
from migrator.db.clock import now_expression
from migrator.db.partial_rows import ActiveRef, FactRow
from migrator.db.rows import OperationRow
from migrator.db.server_heartbeat import clock_of
from migrator.db.tables import facts, operations
from migrator.errors import ConcurrentUpdate, InstanceBusy, OperationNotFound

# Built once: that takes as long as running them.
_ONE = select(operations).where(operations.c.id == bindparam("wanted"))
_MANY = select(operations).where(operations.c.id.in_(bindparam("ids", expanding=True))).order_by(operations.c.id)
_ALL_PLACES = (
    select(
        operations.c.id,
        operations.c.generation,
        operations.c.kind,
        operations.c.phase,
        operations.c.forward,
        operations.c.source,
        operations.c.destination,
    )
    .where(operations.c.active == true())
    .order_by(operations.c.id)
)
_PLACES = _ALL_PLACES.where(
    or_(operations.c.source == bindparam("host"), operations.c.destination == bindparam("host"))
)
_NAMED: BindParameter[str] = bindparam("hosts", expanding=True)
_PLACES_OF = _ALL_PLACES.where(or_(operations.c.source.in_(_NAMED), operations.c.destination.in_(_NAMED)))


@cache
def _facts(dialect: str) -> Select[Any]:
    told_s = (clock_of(dialect) - func.coalesce(facts.c.told_at, facts.c.received_at)).label("told_s")
    age_s = (clock_of(dialect) - facts.c.received_at).label("age_s")
    return select(*facts.c, age_s, told_s).where(facts.c.operation_id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True, slots=True)
class NewOperation:
    """An operation as it begins: all of its row that the one who begins it decides, by the columns' names."""

    kind: str
    instance_uuid: str
    phase: str  # the first one of its table, and the status that is shown in it
    status: str
    moves: bool
    source: str | None
    request_id: str
    user_id: str
    project_id: str
    requested_host: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    locks_instance: bool = True


def create(connection: Connection, new: NewOperation) -> int:
    """Insert an active operation; its id. Raises InstanceBusy when the instance has one already."""
    moment = now_expression(connection)
    try:
        result = connection.execute(
            operations.insert().values(
                uuid=str(uuid.uuid4()),
                kind=new.kind,
                instance_uuid=new.instance_uuid,
                serial=serials.following(connection, new.instance_uuid),
                active=True,
                locks_instance=new.locks_instance,
                moves=new.moves,
                phase=new.phase,
                forward=True,
                epoch=1,
                generation=1,
                status=new.status,
                source=new.source,
                requested_host=new.requested_host,
                params=dict(new.params),
                context=dict(new.context),
                cancel_requested=False,
                request_id=new.request_id,
                user_id=new.user_id,
                project_id=new.project_id,
                phase_since=clock_of(connection.dialect.name),
                created_at=moment,
                updated_at=moment,
            )
        )
    except IntegrityError as error:
        raise InstanceBusy(f"Instance {new.instance_uuid} has another operation under way") from error
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def get(connection: Connection, operation_id: int) -> OperationRow:
    row = connection.execute(_ONE, {"wanted": operation_id}).one_or_none()
    if row is None:
        raise OperationNotFound(f"Operation {operation_id} does not exist")
    return cast(OperationRow, row)


def active_of_instance(connection: Connection, instance_uuid: str, *, lock: bool = False) -> OperationRow | None:
    """The operation that holds the instance; one that only waits for a host to clean up does not. ``lock``: no other
    transaction changes it before this one is over (in a write transaction only)."""
    c = operations.c
    query = select(operations).where(c.instance_uuid == instance_uuid, c.active == true(), c.locks_instance == true())
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return cast(OperationRow | None, row)


def active_of(connection: Connection, instance_uuid: str, *, lock: bool = False) -> Sequence[OperationRow]:
    """Every active operation of the instance, the oldest first, those too that only wait for a host to clean up."""
    query = select(operations).where(operations.c.instance_uuid == instance_uuid, operations.c.active == true())
    query = query.order_by(operations.c.id)
    return cast(Sequence[OperationRow], connection.execute(query.with_for_update() if lock else query).all())


def holding(connection: Connection, kind: str) -> Sequence[OperationRow]:
    """Active operations of a kind that hold their instances, the oldest first."""
    query = select(operations).where(
        operations.c.kind == kind, operations.c.active == true(), operations.c.locks_instance == true()
    )
    return cast(Sequence[OperationRow], connection.execute(query.order_by(operations.c.id)).all())


def active_ids(connection: Connection) -> Sequence[int]:
    return (
        connection.execute(select(operations.c.id).where(operations.c.active == true()).order_by(operations.c.id))
        .scalars()
        .all()
    )


def get_many(connection: Connection, ids: Collection[int]) -> Sequence[OperationRow]:
    """The operations that there are among ``ids``, in their order."""
    if not ids:
        return ()
    return cast(Sequence[OperationRow], connection.execute(_MANY, {"ids": list(ids)}).all())


def active_refs(connection: Connection, host: str) -> Sequence[ActiveRef]:
    """Where the active operations are that have this host as their source or destination: (id, generation, kind,
    phase, forward, source, destination). Cheap where there are many."""
    return cast(Sequence[ActiveRef], connection.execute(_PLACES, {"host": host}).all())


def places_of(connection: Connection, hosts: Collection[str]) -> Sequence[ActiveRef]:
    """As ``active_refs``, of all these hosts."""
    return cast(Sequence[ActiveRef], connection.execute(_PLACES_OF, {"hosts": list(hosts)}).all())


def all_active_refs(connection: Connection) -> Sequence[ActiveRef]:
    """As ``active_refs``, of all active operations."""
    return cast(Sequence[ActiveRef], connection.execute(_ALL_PLACES).all())


def active_on_host(connection: Connection, host: str) -> Sequence[OperationRow]:
    """Active operations that have this host as their source or destination."""
    query = select(operations).where(
        operations.c.active == true(), or_(operations.c.source == host, operations.c.destination == host)
    )
    return cast(Sequence[OperationRow], connection.execute(query.order_by(operations.c.id)).all())


def set_source(connection: Connection, operation_id: int, host: str | None) -> None:
    """In the transaction that created it, or that raises its epoch: it acts there."""
    connection.execute(update(operations).where(operations.c.id == operation_id).values(source=host))


def compare_and_swap(connection: Connection, operation_id: int, seen: int, values: Mapping[str, Any]) -> None:
    """Change the row if it is still active at generation ``seen``. Raises ConcurrentUpdate otherwise."""
    changed = connection.execute(
        update(operations)
        .where(operations.c.id == operation_id, operations.c.generation == seen, operations.c.active == true())
        .values(generation=seen + 1, updated_at=now_expression(connection), **values)
    )
    if changed.rowcount == 0:
        raise ConcurrentUpdate(f"Operation {operation_id} changed since generation {seen}")


def hold_up(connection: Connection, operation_id: int, reason: str, quiet_s: float) -> dict[str, Any] | None:
    """Name why an active operation, unchanged for ``quiet_s``, waits. Its generation stays, so that a reconciler
    can still advance it. The UUIDs of its instance and its own; None: nothing was changed."""
    query = (
        update(operations)
        .where(
            operations.c.id == operation_id,
            operations.c.active == true(),
            func.coalesce(operations.c.wait_reason, "") != reason,
            operations.c.updated_at < now_expression(connection) - quiet_s,
        )
        .values(wait_reason=reason, updated_at=now_expression(connection))
        .returning(operations.c.instance_uuid, operations.c.uuid.label("operation_uuid"))
    )
    row = connection.execute(query).one_or_none()
    return dict(row._mapping) if row is not None else None


def request_cancel(connection: Connection, operation_id: int) -> None:
    """Raise the flag that ``decide`` looks at; the generation rises so that no plan made before it is applied."""
    connection.execute(
        update(operations)
        .where(operations.c.id == operation_id, operations.c.active == true())
        .values(cancel_requested=True, generation=operations.c.generation + 1, updated_at=now_expression(connection))
    )


def request_confirm(connection: Connection, operation_id: int) -> None:
    """Raise the flag that ends the waiting for an operator's word."""
    connection.execute(
        update(operations)
        .where(operations.c.id == operation_id, operations.c.active == true())
        .values(confirm_requested=True, generation=operations.c.generation + 1, updated_at=now_expression(connection))
    )


def steer(connection: Connection, operation_id: int, changes: Mapping[str, Any]) -> None:
    """Merge what an operator wants of the transfer into what was wanted before."""
    row = connection.execute(
        select(operations.c.steering).where(operations.c.id == operation_id).with_for_update()
    ).one()
    connection.execute(
        update(operations)
        .where(operations.c.id == operation_id, operations.c.active == true())
        .values(
            steering={**(row.steering or {}), **changes},
            generation=operations.c.generation + 1,
            updated_at=now_expression(connection),
        )
    )


def count_ahead(
    connection: Connection, kind: str, source: str, operation_id: int, under_way: Sequence[str], queued: str
) -> int:
    """Operations of the kind that hold their instance on the source, other than this one: on their way forward in a
    phase of ``under_way``, or for longer in the phase ``queued``; and those that are going back in the last phase of
    ``under_way``, which may not have ended yet."""
    c = operations.c
    before = or_(c.phase.in_(under_way), and_(c.phase == queued, c.id < operation_id))
    occupied = or_(and_(c.forward == true(), before), c.phase == under_way[-1])
    query = select(func.count()).where(
        c.active == true(),
        c.locks_instance == true(),
        c.kind == kind,
        c.source == source,
        c.id != operation_id,
        occupied,
    )
    return int(connection.execute(query).scalar_one())


def first_in(connection: Connection, kind: str, source: str, phase: str) -> int | None:
    """The id of the oldest active operation of the kind and source that is in the phase on its way forward."""
    c = operations.c
    mine = (c.active == true(), c.forward == true(), c.kind == kind, c.source == source, c.phase == phase)
    query = select(func.min(c.id)).where(*mine)
    found = connection.execute(query).scalar()
    return int(found) if found is not None else None


def add_outcome(connection: Connection, operation_id: int, measured: Mapping[str, Any]) -> None:
    """Merge measurements into the outcome. No state is touched, so the generation stays."""
    row = connection.execute(
        select(operations.c.outcome).where(operations.c.id == operation_id).with_for_update()
    ).one_or_none()
    if row is not None:
        merged = {**(row.outcome or {}), **measured}
        if merged != row.outcome:
            connection.execute(update(operations).where(operations.c.id == operation_id).values(outcome=merged))


def facts_of(connection: Connection, ids: Collection[int]) -> Sequence[FactRow]:
    if not ids:
        return ()
    return cast(Sequence[FactRow], connection.execute(_facts(connection.dialect.name), {"ids": list(ids)}).all())


def ids_by_uuid(connection: Connection, uuids: Sequence[str]) -> Mapping[str, OperationRow]:
    if not uuids:
        return {}
    rows = connection.execute(select(operations).where(operations.c.uuid.in_(uuids))).all()
    return {row.uuid: row for row in cast(Sequence[OperationRow], rows)}
