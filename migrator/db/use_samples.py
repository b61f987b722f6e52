"""What hosts and instances really used: copied from the newest surveys into sums of an hour, and read again.

Owns that a sample is one statement, whatever the number of hosts, and that the table's size has a bound: one row for
an hour and a host, and for each instance that was there. Only what is recorded on a host counts of what it tells.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Select,
    String,
    column,
    delete,
    false,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from migrator.db import server_heartbeat
from migrator.db.clock import now, now_expression
from migrator.db.tables import instances, surveys, use_hours, use_sampling

HOUR_S = 3600
_H = use_hours.c
_SUMS = ("samples", "cpus", "waiting_cpus", "memory_mb")
_PEAKS = ("cpus_peak", "memory_peak_mb")
_COLUMNS = ("hour", "host", "instance_uuid", "samples", "cpus", "waiting_cpus", "memory_mb", *_PEAKS)


class HourRow(NamedTuple):
    """Means and peaks of the samples of one hour. ``at``: its begin, s since the epoch."""

    at: int
    samples: int
    cpus: float
    cpus_peak: float
    waiting_cpus: float
    memory_mb: float
    memory_peak_mb: float


class UseRow(NamedTuple):
    """Means and peaks of all samples since a moment. ``instance_uuid`` "": of the host."""

    host: str
    instance_uuid: str
    samples: int
    cpus: float
    cpus_peak: float
    waiting_cpus: float
    memory_mb: float
    memory_peak_mb: float


def due(connection: Connection, interval_s: float) -> bool:
    """Whether a server is to sample now. Asked first, for a reader keeps no writer waiting."""
    return connection.execute(select(use_sampling.c.id).where(_due(connection, interval_s))).first() is not None


def begin(connection: Connection, interval_s: float) -> bool:
    """Whether the caller is to sample now: it is due, and no other server has begun."""
    mine = update(use_sampling).where(_due(connection, interval_s)).values(begun_at=now_expression(connection))
    return connection.execute(mine).rowcount > 0


def _due(connection: Connection, interval_s: float) -> ColumnElement[bool]:
    moment, begun_at = now_expression(connection), use_sampling.c.begun_at
    return or_(begun_at <= moment - interval_s, begun_at > moment)  # a clock was set back


def sample(connection: Connection, within_s: float) -> None:
    """Add what surveys of the last ``within_s`` seconds tell to the present hour."""
    hour = int(now(connection) // HOUR_S)
    heard = surveys.c.received_at > server_heartbeat.clock_expression(connection) - within_s
    found = union_all(_of_hosts(hour, heard), _of_guests(hour, heard)).subquery()
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    # SQLite reads ON CONFLICT after a SELECT only where that has a WHERE.
    statement = insert(use_hours).from_select(_COLUMNS, select(found).where(true()))
    new, larger = statement.excluded, func.max if connection.dialect.name == "sqlite" else func.greatest
    values: dict[str, Any] = {name: _H[name] + new[name] for name in _SUMS}
    values |= {name: larger(_H[name], new[name]) for name in _PEAKS}
    keys = ["hour", "host", "instance_uuid"]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))


def _of_hosts(hour: int, heard: ColumnElement[bool]) -> Select[Any]:
    use = surveys.c.body["use"]
    cpus, memory_mb = use["cpus"].as_float(), use["memory_mb"].as_float()
    told = _counted(hour, literal("", String), cpus, literal(0.0), memory_mb)
    return select(*told).where(heard, cpus.is_not(None))


def _of_guests(hour: int, heard: ColumnElement[bool]) -> Select[Any]:
    guest = func.json_each(surveys.c.body["guests"]).table_valued(column("key", String), column("value", JSON))
    use = guest.c.value["use"]
    cpus, memory_mb, waiting = use["cpus"].as_float(), use["memory_mb"].as_float(), use["waiting_cpus"].as_float()
    told = _counted(hour, instances.c.uuid, cpus, func.coalesce(waiting, 0.0), memory_mb)
    recorded = [instances.c.uuid == guest.c.key, instances.c.host == surveys.c.host, instances.c.deleted == false()]
    query = select(*told).select_from(surveys).join(guest, true()).join(instances, instances.c.uuid == guest.c.key)
    return query.where(heard, cpus.is_not(None), *recorded)


def _counted(hour: int, uuid: Any, cpus: Any, waiting: Any, memory_mb: Any) -> Sequence[Any]:
    first = [literal(hour).label("hour"), surveys.c.host, uuid.label("instance_uuid"), literal(1).label("samples")]
    sums = [cpus.label("cpus"), waiting.label("waiting_cpus"), memory_mb.label("memory_mb")]
    return [*first, *sums, cpus.label("cpus_peak"), memory_mb.label("memory_peak_mb")]


def prune(connection: Connection, older_s: float) -> None:
    """Forget hours that ended longer ago than that, and those that a clock which was ahead has written."""
    moment = now(connection)
    old, to_come = _H.hour < int((moment - older_s) // HOUR_S), _H.hour > int(moment // HOUR_S) + 1
    connection.execute(delete(use_hours).where(or_(old, to_come)))


def hours(connection: Connection, host: str | None, instance_uuid: str, most: int) -> Sequence[HourRow]:
    """The newest, oldest first: of an instance wherever it was, or ("") of the host."""
    mean = [(func.sum(_H[name]) / func.sum(_H.samples)).label(name) for name in _SUMS[1:]]
    peak = [func.max(_H[name]).label(name) for name in _PEAKS]
    query = select((_H.hour * HOUR_S).label("at"), func.sum(_H.samples).label("samples"), *mean, *peak)
    come = _H.hour <= int(now(connection) // HOUR_S)
    query = query.where(_H.instance_uuid == instance_uuid, come).group_by(_H.hour).order_by(_H.hour.desc()).limit(most)
    if host is not None:
        query = query.where(_H.host == host)
    return [HourRow(**row._mapping) for row in reversed(connection.execute(query).all())]


def window(connection: Connection, over_s: float, host: str | None = None) -> Sequence[UseRow]:
    """Of every host (or that one) and every instance there, over the last ``over_s`` seconds."""
    moment = now(connection)
    hours = [_H.hour >= int((moment - over_s) // HOUR_S), _H.hour <= int(moment // HOUR_S)]
    return _summed(connection, [*hours, *([_H.host == host] if host is not None else [])])


def after(connection: Connection, names: Collection[str], moment: float, hours: int) -> Sequence[UseRow]:
    """Of these hosts, in up to so many whole hours after the moment (s since the epoch, by the database's clock)."""
    hour = int(moment // HOUR_S)
    return _summed(connection, [_H.hour > hour, _H.hour <= hour + hours, _H.host.in_(names), _H.instance_uuid == ""])


def _summed(connection: Connection, where: Sequence[ColumnElement[bool]]) -> Sequence[UseRow]:
    mean = [(func.sum(_H[name]) / func.sum(_H.samples)).label(name) for name in _SUMS[1:]]
    peak = [func.max(_H[name]).label(name) for name in _PEAKS]
    query = select(_H.host, _H.instance_uuid, func.sum(_H.samples).label("samples"), *mean, *peak)
    query = query.where(*where).group_by(_H.host, _H.instance_uuid).order_by(_H.host, _H.instance_uuid)
    return [UseRow(**row._mapping) for row in connection.execute(query)]


def of_hosts_now(connection: Connection, names: Collection[str]) -> Mapping[str, tuple[Any, float]]:
    """Host -> body of protocol.HostUse, and how many seconds ago it came; of hosts that told one. The rest of a survey
    may be large, and is not read."""
    if not names:
        return {}
    age_s = server_heartbeat.clock_expression(connection) - surveys.c.received_at
    query = select(surveys.c.host, surveys.c.body["use"], age_s).where(surveys.c.host.in_(names))
    rows = cast(Sequence[tuple[str, Any, float]], connection.execute(query).all())
    return {host: (body, float(age)) for host, body, age in rows if body is not None}
