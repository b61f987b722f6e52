"""What agents saw when nothing was moved: one row a host, its newest survey; and the CPUs that its guests see."""

from collections.abc import Collection, Mapping, Sequence
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
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from migrator.db import server_heartbeat
from migrator.db.clock import moment as now_of
from migrator.db.clock import now
from migrator.db.partial_rows import SurveyRow
from migrator.db.tables import guest_cpus, hosts, instances, operations, surveys

CPU_SEEN_S = 600.0  # a CPU that no guest saw for so long is not asked for any more
_CPU_BEAT_S = 60.0  # its row is not written more often
CPUS_MAX = 500  # that are asked for


# Built once for a kind of database, for thousands of agents ask and tell.
_CPUS_OF = select(guest_cpus).where(guest_cpus.c.host == bindparam("wanted"))


@cache
def _keep(dialect: str) -> Update:
    values = {"received_at": server_heartbeat.clock_of(dialect), "body": bindparam("told", type_=surveys.c.body.type)}
    return update(surveys).where(surveys.c.host == bindparam("wanted")).values(values)


@cache
def _cpus(dialect: str) -> Select[Any]:
    lately = guest_cpus.c.seen_at >= now_of(dialect) - CPU_SEEN_S
    place, host = func.min(guest_cpus.c.place).label("place"), func.min(guest_cpus.c.host).label("host")
    query = select(guest_cpus.c.key, place, host).where(lately).group_by(guest_cpus.c.key)
    first = query.order_by(place, guest_cpus.c.key).limit(CPUS_MAX).subquery()
    same = and_(guest_cpus.c.key == first.c.key, guest_cpus.c.host == first.c.host)
    return select(guest_cpus.c.key, guest_cpus.c.body).join(first, same).order_by(first.c.place, first.c.key)


@cache
def _count_up(dialect: str) -> Select[Any]:
    return select(func.count()).select_from(hosts).where(*_up(dialect))


_URI = hosts.c.report["live_migration_uri"].as_string().label("uri")


@cache
def _likely(dialect: str) -> Select[Any]:
    """Descriptions are read only of the chosen hosts: of all hosts that is most of the work."""
    order = (hosts.c.disabled, hosts.c.free_memory_mb.desc(), hosts.c.id)
    chosen = select(hosts.c.id).where(*_up(dialect)).order_by(*order).limit(bindparam("most"))
    return select(hosts.c.name, _URI).where(hosts.c.id.in_(chosen.scalar_subquery())).order_by(*order)


@cache
def _destinations(dialect: str) -> Select[Any]:
    leaving = select(operations.c.destination).where(
        operations.c.active == true(), operations.c.source == bindparam("wanted")
    )
    return select(hosts.c.name, _URI).where(
        hosts.c.name.in_(leaving), hosts.c.name != bindparam("wanted"), *_up(dialect)
    )


def upsert(connection: Connection, host: str, body: Mapping[str, Any]) -> None:
    """In place of the host's last one."""
    if connection.execute(_keep(connection.dialect.name), {"wanted": host, "told": body}).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(
                surveys.insert(), {"host": host, "received_at": server_heartbeat.clock(connection), "body": body}
            )
    except IntegrityError:  # its agent told twice at once; either will do
        return


def recorded(connection: Connection, host: str, uuids: Collection[str]) -> Collection[str]:
    """Those of the instances that are recorded on the host."""
    if not uuids:
        return ()
    there = select(instances.c.uuid).where(instances.c.host == host, instances.c.deleted == false())
    return set(uuids) & set(connection.execute(there).scalars())


def upsert_cpus(connection: Connection, host: str, cpus: Mapping[str, Mapping[str, Any]]) -> None:
    """The host's guests see these CPUs (key -> protocol.GuestCpu) now, and no others; what most see comes first. For
    who holds the host's row."""
    known = {row.key: row for row in connection.execute(_CPUS_OF, {"wanted": host})}
    if not cpus and not known:
        return
    moment, mine = now(connection), guest_cpus.c.host == host
    for place, (key, body) in enumerate(cpus.items()):
        row = known.pop(key, None)
        if row is None:
            new = {"host": host, "key": key, "place": place, "seen_at": moment, "body": body}
            connection.execute(guest_cpus.insert().values(**new))
        elif moment - row.seen_at >= _CPU_BEAT_S or row.place != place:
            seen = update(guest_cpus).where(mine, guest_cpus.c.key == key)
            connection.execute(seen.values(seen_at=moment, place=place))
    if known:
        connection.execute(delete(guest_cpus).where(mine, guest_cpus.c.key.in_(known)))


def cpus(connection: Connection) -> Mapping[str, Any]:
    """Key -> body of the CPUs that guests have seen lately: first of each host the one that most of its guests see, so
    that no host's others take its place."""
    rows = connection.execute(_cpus(connection.dialect.name))
    return {row.key: row.body for row in rows}


def of_hosts(connection: Connection, names: Collection[str] | None) -> Mapping[str, SurveyRow]:
    """By host; None: of every host."""
    age_s = (server_heartbeat.clock_expression(connection) - surveys.c.received_at).label("age_s")
    query = select(surveys.c.host, surveys.c.body, age_s)
    if names is not None:
        query = query.where(surveys.c.host.in_(names))
    return {row.host: row for row in cast(Sequence[SurveyRow], connection.execute(query).all())}


def uptimes(connection: Connection, names: Collection[str]) -> Mapping[str, tuple[Any, float]]:
    """Host -> body of protocol.Uptime, and how many seconds ago it came; of hosts that told one. The rest of a survey
    may be large, and is not read."""
    if not names:
        return {}
    age_s = server_heartbeat.clock_expression(connection) - surveys.c.received_at
    query = select(surveys.c.host, surveys.c.body["uptime"], age_s).where(surveys.c.host.in_(names))
    return {host: (body, float(age)) for host, body, age in connection.execute(query) if body is not None}


def likely(connection: Connection, down_after: float, most: int) -> Sequence[tuple[str, str | None]]:
    """(name, uri) of hosts that are up, for an unreachable host needs no probe: the enabled ones with most free memory
    first, as the scheduler takes them."""
    asked = {"down_after": down_after, "most": most}
    return [(row.name, row.uri) for row in connection.execute(_likely(connection.dialect.name), asked)]


def destinations(connection: Connection, host: str, down_after: float) -> Sequence[tuple[str, str | None]]:
    """(name, uri) of other hosts that are up and to which something leaves the host now."""
    asked = {"wanted": host, "down_after": down_after}
    return [(row.name, row.uri) for row in connection.execute(_destinations(connection.dialect.name), asked)]


def count_up(connection: Connection, down_after: float) -> int:
    return int(connection.execute(_count_up(connection.dialect.name), {"down_after": down_after}).scalar_one())


def _up(dialect: str) -> tuple[ColumnElement[bool], ...]:
    heard_after = server_heartbeat.clock_of(dialect) - bindparam("down_after", type_=hosts.c.last_seen.type)
    return hosts.c.forced_down == false(), hosts.c.last_seen >= heard_after
