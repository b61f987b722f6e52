"""Copies: which domains each host says that it holds, and what the records say of the same instances.

Owns the rows of ``copies``, and the queries that hold them against instances and operations. Never decides what is
right; ``scheduler/hosts/audit.py`` does.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    and_,
    bindparam,
    delete,
    false,
    func,
    not_,
    or_,
    select,
    true,
    update,
)

from migrator.db.clock import moment as now_of
from migrator.db.clock import now, now_expression
from migrator.db.partial_rows import RecordRow, StampingRow, UnderWayRow
from migrator.db.rows import CopyRow
from migrator.db.tables import copies, instances, operations
from migrator.operations import VERIFY, Kind

QUIET_S = 15.0  # a record younger than this may be newer than the copies that an agent listed
_STEP_S = 1.0  # what is later than now by more was written before the database's clock was set back
LIVE = ("running", "paused", "incoming")  # a process: it executes guest code, or may go on to do so
_O = operations.c


@dataclass(frozen=True, slots=True)
class HeldCopy:
    """One host's word about one instance. ``stamp_host``: for which a server issued the stamp; None: none did."""

    instance_uuid: str
    state: str
    stamp_operation: str | None = None
    stamp_epoch: int | None = None
    stamp_host: str | None = None
    believed: bool = True
    served: int = 0  # serial of the newest operation that the host served for the instance


# Every poll of every agent asks these: built once for a kind of database.
COLUMNS = [copies.c[name] for name in HeldCopy.__dataclass_fields__]
_OF_HOST = select(*COLUMNS).where(copies.c.host == bindparam("wanted"))


@cache
def _seen(dialect: str) -> Update:
    return update(copies).where(copies.c.host == bindparam("wanted")).values(seen_at=now_of(dialect))


def of_host(connection: Connection, host: str) -> Mapping[str, HeldCopy]:
    """Instance -> the copy of it that the host listed last."""
    rows = connection.execute(_OF_HOST, {"wanted": host})
    return {row.instance_uuid: HeldCopy(*row) for row in rows}


def replace(
    connection: Connection, host: str, held: Sequence[HeldCopy], before: Mapping[str, HeldCopy] | None = None
) -> None:
    """Make the host's rows exactly ``held``, seen now. ``before``: what they are, if that is known."""
    known = of_host(connection, host) if before is None else before
    wanted = {copy.instance_uuid: copy for copy in held}
    if gone := [uuid for uuid, copy in known.items() if wanted.get(uuid) != copy]:
        connection.execute(delete(copies).where(copies.c.host == host, copies.c.instance_uuid.in_(gone)))
    if known:
        connection.execute(_seen(connection.dialect.name), {"wanted": host})
    new = [copy for uuid, copy in wanted.items() if known.get(uuid) != copy]
    names = list(HeldCopy.__dataclass_fields__)
    if new:
        moment = now(connection)
        rows = [{"host": host, "seen_at": moment} | dict(zip(names, astuple(copy), strict=True)) for copy in new]
        connection.execute(copies.insert(), rows)


def forget(connection: Connection, host: str, instance_uuid: str) -> None:
    """The host's word about the instance counts no more: an operator took it back."""
    connection.execute(delete(copies).where(copies.c.host == host, copies.c.instance_uuid == instance_uuid))


def involved(connection: Connection, host: str, uuids: Collection[str]) -> frozenset[str]:
    """Those of ``uuids`` that were recorded on the host, or that some operation ever had to do with there."""
    if not uuids:
        return frozenset()
    here = or_(_O.source == host, _O.destination == host)
    begun = select(_O.instance_uuid).where(_O.instance_uuid.in_(uuids), here)
    recorded = select(instances.c.uuid).where(instances.c.uuid.in_(uuids), instances.c.host == host)
    return frozenset(connection.execute(begun.union(recorded)).scalars())


@cache
def _records(dialect: str, *, named: bool) -> Select[Any]:
    i = instances.c
    changed = func.coalesce(i.updated_at, i.created_at, type_=i.updated_at.type)
    quiet = and_(_past(dialect, changed, QUIET_S), _past(dialect, func.coalesce(i.terminated_at, 0), QUIET_S))
    here = and_(i.host == bindparam("wanted"), i.deleted == false())
    query = select(
        *(i.uuid, i.host, i.vm_state, i.power_state, i.launched_at, i.deleted, i.accepted_stamps), quiet.label("quiet")
    )
    return query.where(or_(here, i.uuid.in_(bindparam("uuids", expanding=True))) if named else here)


def records(connection: Connection, host: str, uuids: Collection[str]) -> Sequence[RecordRow]:
    """What is recorded of ``uuids`` and of every instance on the host, deleted ones among ``uuids`` too.
    ``quiet``: the record has not changed for
    ``QUIET_S`` seconds, so that a list of copies made a moment ago cannot contradict it by being old."""
    asked: dict[str, Any] = {"wanted": host} | ({"uuids": list(uuids)} if uuids else {})
    rows = connection.execute(_records(connection.dialect.name, named=bool(uuids)), asked).all()
    return cast(Sequence[RecordRow], rows)


def under_way(connection: Connection, uuids: Collection[str]) -> Sequence[UnderWayRow]:
    """Active operations of these instances. A move that waits
    for its confirmation, perhaps for days, acts on nothing until then, and is left out."""
    if not uuids:
        return ()
    unanswered = and_(_O.confirm_requested == false(), _O.cancel_requested == false())
    waits = and_(_O.phase == VERIFY, _O.forward == true(), unanswered)
    query = select(_O.instance_uuid, _O.kind, _O.phase, _O.source, _O.destination, _O.locks_instance)
    rows = connection.execute(query.where(_O.instance_uuid.in_(uuids), _O.active == true(), not_(waits))).all()
    return cast(Sequence[UnderWayRow], rows)


def stamping(connection: Connection, operation_uuids: Collection[str]) -> Mapping[str, StampingRow]:
    """Operation's UUID -> its row, where this database knows it."""
    if not operation_uuids:
        return {}
    query = select(_O.uuid, _O.epoch, _O.source, _O.destination).where(_O.uuid.in_(operation_uuids))
    return {row.uuid: row for row in cast(Sequence[StampingRow], connection.execute(query).all())}


def of_instance(connection: Connection, uuid: str) -> Sequence[CopyRow]:
    """Every host's word about the instance, by host, with ``age_s`` since it was given."""
    age_s = (now_expression(connection) - copies.c.seen_at).label("age_s")
    query = select(*copies.c, age_s).where(copies.c.instance_uuid == uuid)
    return cast(Sequence[CopyRow], connection.execute(query.order_by(copies.c.host)).all())


def live_elsewhere(connection: Connection, uuid: str, host: str | None) -> Sequence[tuple[str, str]]:
    """Other hosts that are believed, and said, since the instance's record last changed, that they have a live copy of
    it: (host, state)."""
    changed = select(instances.c.updated_at).where(instances.c.uuid == uuid).scalar_subquery()
    query = select(copies.c.host, copies.c.state).where(
        copies.c.instance_uuid == uuid,
        copies.c.host != host,
        copies.c.state.in_(LIVE),
        copies.c.believed == true(),
        or_(copies.c.seen_at > changed, changed > now(connection) + _STEP_S),
    )
    return [(row.host, row.state) for row in connection.execute(query.order_by(copies.c.host))]


def left(
    connection: Connection, uuid: str, source: str | None, heard_within_s: float = QUIET_S
) -> Sequence[tuple[str, str]]:
    """Hosts other than ``source`` that are believed and report a copy of the instance, whatever its state: (host,
    state). Not those that an operation will still have clean up, nor a word that may be older than the end of the last
    operation there. What cleans up leaves a running guest alone, unless it is an evacuation: one that a host reported
    within ``heard_within_s`` counts, too."""
    here = or_(_O.source == copies.c.host, _O.destination == copies.c.host)
    mine = and_(_O.instance_uuid == uuid, here)
    owed = select(_O.id).where(mine, _O.active == true(), _O.locks_instance == false()).exists()
    killed = select(_O.id).where(mine, _O.active == true(), _O.kind == Kind.EVACUATION.value).exists()
    lately = copies.c.seen_at > now(connection) - heard_within_s
    runs_on = and_(copies.c.state.in_(LIVE), lately, not_(killed))
    ended = func.coalesce(select(func.max(_O.finished_at)).where(mine).scalar_subquery(), -QUIET_S)
    query = select(copies.c.host, copies.c.state).where(
        copies.c.instance_uuid == uuid,
        copies.c.host != (source or ""),
        copies.c.believed == true(),
        or_(not_(owed), runs_on),
        or_(copies.c.seen_at > ended + QUIET_S, ended > now(connection) + _STEP_S),
    )
    return [(row.host, row.state) for row in connection.execute(query.order_by(copies.c.host))]


def _past(dialect: str, moment: ColumnElement[float], seconds: float) -> ColumnElement[bool]:
    """Whether that long has passed; a moment that is to come was before the clock was set back."""
    return or_(moment < now_of(dialect) - seconds, moment > now_of(dialect) + _STEP_S)
