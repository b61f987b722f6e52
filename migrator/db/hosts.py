"""Hosts: heartbeat, evidence, capacity, and the rows that the scheduler reads.

Free capacity is kept beside the totals, so that a claim is one conditional UPDATE (see ``claims.py``).
What a registration writes is in ``registrations.py``.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

from pydantic import ValidationError
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Update,
    bindparam,
    case,
    false,
    func,
    null,
    select,
    true,
    update,
)

from migrator.db import events, server_heartbeat
from migrator.db.clock import now, now_expression
from migrator.db.engine import put_off
from migrator.db.rows import HostRow
from migrator.db.tables import claims, hosts, instances
from migrator.errors import HostNotFound
from migrator.event_types import EventType
from migrator.protocol import StoragePool

SILENCE_S = 30.0  # an agent that listens is heard more often
UNDER_WAY_S = 5.0  # what an agent sent before its host lost its power may arrive that much later


# Building these statements takes several times as long as running them: each is built once for a kind of database.
@cache
def all_hosts(dialect: str) -> Select[Any]:
    silent_s = (server_heartbeat.clock_of(dialect) - hosts.c.last_seen).label("silent_s")
    listening_s = server_heartbeat.seconds(dialect).label("listening_s")
    since = func.coalesce(hosts.c.heard_since, hosts.c.last_seen)
    heard_s = (server_heartbeat.clock_of(dialect) - since).label("heard_s")
    listed_s = (server_heartbeat.clock_of(dialect) - hosts.c.listed_at).label("listed_s")
    return select(*hosts.c, silent_s, listening_s, heard_s, listed_s, server_heartbeat.behind().label("behind_s"))


@cache
def _one(dialect: str) -> Select[Any]:
    return all_hosts(dialect).where(hosts.c.name == bindparam("wanted"))


@cache
def _named(dialect: str) -> Select[Any]:
    return all_hosts(dialect).where(hosts.c.name.in_(bindparam("wanted", expanding=True)))


_ID = select(hosts.c.id).where(hosts.c.name == bindparam("wanted"))
_BOOT = select(hosts.c.boot, hosts.c.resume_until).where(hosts.c.name == bindparam("wanted"))
_INCARNATION = select(hosts.c.incarnation).where(hosts.c.name == bindparam("wanted"))
LOCK = (
    select(hosts.c.name)
    .where(hosts.c.name.in_(bindparam("wanted", expanding=True)))
    .order_by(hosts.c.name)
    .with_for_update()
)


@cache
def beat(dialect: str) -> Update:
    """Of the host ``wanted``, whose agent just spoke."""
    beaten = {"last_seen": server_heartbeat.clock_of(dialect), "heard_since": heard_since(dialect)}
    return update(hosts).where(hosts.c.name == bindparam("wanted")).values(beaten)


def get(connection: Connection, name: str) -> HostRow:
    row = connection.execute(_one(connection.dialect.name), {"wanted": name}).one_or_none()
    if row is None:
        raise HostNotFound(f"Host {name} is not registered", advice="start its agent")
    return cast(HostRow, row)


def by_names(connection: Connection, names: Collection[str]) -> Sequence[HostRow]:
    if not names:
        return ()
    rows = connection.execute(_named(connection.dialect.name), {"wanted": list(names)}).all()
    return cast(Sequence[HostRow], rows)


def every(connection: Connection) -> Sequence[HostRow]:
    rows = connection.execute(all_hosts(connection.dialect.name).order_by(hosts.c.name)).all()
    return cast(Sequence[HostRow], rows)


def storage(connection: Connection) -> Mapping[str, Mapping[str, StoragePool]]:
    """Host -> its pools (``HostReport.storage``); a host whose pools cannot be read has none."""
    rows = connection.execute(select(hosts.c.name, hosts.c.report["storage"].label("pools")).order_by(hosts.c.name))
    return {row.name: _pools_of(row.pools) for row in rows}


def _pools_of(pools: Any) -> Mapping[str, StoragePool]:
    try:
        return {name: StoragePool.model_validate(pool) for name, pool in (pools or {}).items()}
    except (ValidationError, AttributeError):
        return {}


def placeable(
    connection: Connection,
    vcpus: int,
    memory_mb: int,
    disk_gb: int,
    down_after: float,
    limit: int,
    without: Collection[str] = (),
) -> Sequence[HostRow]:
    """The ``limit`` hosts with most free memory that are up, enabled, large enough and not among ``without``."""
    query = (
        all_hosts(connection.dialect.name)
        .where(
            hosts.c.disabled == false(),
            hosts.c.approved == true(),
            hosts.c.forced_down == false(),
            hosts.c.free_memory_mb >= memory_mb,
            hosts.c.free_vcpus >= vcpus,
            hosts.c.free_disk_gb >= disk_gb,
            hosts.c.last_seen >= server_heartbeat.clock_expression(connection) - down_after,
            hosts.c.name.not_in(list(without)),
        )
        .order_by(hosts.c.free_memory_mb.desc())
        .limit(limit)
    )
    return cast(Sequence[HostRow], connection.execute(query).all())


def seen(connection: Connection, name: str) -> None:
    """Note that the host's agent just spoke: the last thing that the transaction writes, for others want this row.
    Raises HostNotFound."""
    note(connection, name, beat(connection.dialect.name), {})


def note(connection: Connection, name: str, change: Update, values: Mapping[str, Any]) -> None:
    if connection.execute(_ID, {"wanted": name}).first() is None:
        raise HostNotFound(f"Host {name} is not registered", advice="register it first")
    put_off(connection, lambda: connection.execute(change, {"wanted": name, **values}))


def booted(connection: Connection, name: str, boot: str, within_s: float) -> bool:
    """Note the boot of the host's machine; whether another one ended ``within_s`` seconds ago, by the servers' clock,
    at the most. The host's row is locked."""
    row = connection.execute(_BOOT, {"wanted": name}).one()
    if row.boot == boot and row.resume_until is None:
        return False
    moment = server_heartbeat.clock(connection)
    if row.boot == boot:
        return bool(moment < row.resume_until)
    until = moment + within_s if row.boot is not None else None
    connection.execute(update(hosts).where(hosts.c.name == name).values(boot=boot, resume_until=until))
    return until is not None


def heard_since(dialect: str) -> ColumnElement[float]:
    """Anew after a silence: what its agent has not reported yet, it may be about to."""
    moment = server_heartbeat.clock_of(dialect)
    since = func.coalesce(hosts.c.heard_since, hosts.c.last_seen)
    return case((hosts.c.last_seen < moment - SILENCE_S, moment), else_=since)


def incarnation(connection: Connection, name: str) -> int:
    """The newest of its agents that was heard; 0 for none."""
    return int(connection.execute(_INCARNATION, {"wanted": name}).scalar_one_or_none() or 0)


def lock(connection: Connection, names: Collection[str]) -> Sequence[str]:
    """Keep others from locking or changing these rows until the transaction ends (SQLite has one writer anyway). Always
    in the same order, so that two transactions never wait for each other. The names that there are."""
    return connection.execute(LOCK, {"wanted": list(names)}).scalars().all()


def change(connection: Connection, name: str, values: Mapping[str, Any]) -> bool:
    """Set an operator's columns (disabled, disabled_reason). False: there is no such host."""
    changed = connection.execute(
        update(hosts).where(hosts.c.name == name).values(updated_at=now_expression(connection), **values)
    )
    return changed.rowcount > 0


def force_down(connection: Connection, name: str, down: bool, by: str) -> bool:
    """Record ``by``'s word that the host is down, which is fencing evidence; or take every evidence back, the fence
    command's too, for an operator who forces a host up lets it run guests again. Saying the same twice keeps the
    first word, unless the host was heard since, or the servers were away. False: there is no such host."""
    columns = (hosts.c.forced_down, hosts.c.fencing, hosts.c.last_seen)
    host = connection.execute(select(*columns).where(hosts.c.name == name).with_for_update()).one_or_none()
    if host is None:
        return False
    clock, since = server_heartbeat.clock(connection), server_heartbeat.since(connection)
    if host.forced_down == down and (not down or said_down(host.fencing, host.last_seen, since, under_way_s=0.0)):
        return True
    moment = now(connection)
    message = (
        f"forced {'down' if down else 'up'} by {by} at {datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
    )
    said = {"kind": "forced_down", "by": by, "at": moment, "clock": clock, "words": message} if down else null()
    connection.execute(
        update(hosts).where(hosts.c.name == name).values(forced_down=down, fencing=said, updated_at=moment)
    )
    events.add(connection, EventType.FORCED_DOWN if down else EventType.FORCED_UP, message, host=name)
    return True


def said_down(
    said: Mapping[str, Any] | None, last_seen: float, since: float, *, under_way_s: float = UNDER_WAY_S
) -> bool:
    """Whether ``said`` (a host's ``fencing``) is a word that the host is down, and it was not heard after that, but for
    what was under way: one that speaks later is alive, or was dead and is back. ``since``: when servers began to listen
    without a break, by their clock: an older word may be a backup's, and the host healthy since."""
    known = said or {}
    given = given_at(known)
    return known.get("kind") == "forced_down" and given >= since and last_seen <= given + under_way_s


def given_at(said: Mapping[str, Any]) -> float:
    """When the word was given, by the servers' clock; one of an earlier release tells the time of day."""
    return float(said.get("clock", said.get("at", 0.0)))


def instances_on(connection: Connection, names: Collection[str]) -> Sequence[Row[int, str, str | None]]:
    """(id, uuid, host) of the instances recorded on the hosts named."""
    query = select(instances.c.id, instances.c.uuid, instances.c.host).where(
        instances.c.host.in_(names), instances.c.deleted == false()
    )
    return connection.execute(query.order_by(instances.c.id)).all()


def used(connection: Connection, names: Collection[str] | None = None) -> Mapping[str, Row[Any]]:
    """Host -> (vcpus, memory_mb, disk_gb, count) of its claims; ``names``: of these hosts alone."""
    query = select(
        claims.c.host,
        func.sum(claims.c.vcpus).label("vcpus"),
        func.sum(claims.c.memory_mb).label("memory_mb"),
        func.sum(claims.c.disk_gb).label("disk_gb"),
        func.count().label("count"),
    ).group_by(claims.c.host)
    if names is not None:
        query = query.where(claims.c.host.in_(names))
    return {row.host: row for row in connection.execute(query).all()}
