"""What agents saw when nothing was moved: one row a host, its newest survey; and every CPU that a guest sees."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, false, func, select, true, update
from sqlalchemy.exc import IntegrityError

from migrator.db import listening
from migrator.db.clock import now, now_expression
from migrator.db.tables import guest_cpus, hosts, operations, surveys

CPU_SEEN_S = 600.0  # a CPU that no guest saw for so long is not asked for any more
_CPU_BEAT_S = 60.0  # its row is not written more often
CPUS_MAX = 500  # newest, that are asked for


def keep(connection: Connection, host: str, body: Mapping[str, Any]) -> None:
    """In place of the host's last one."""
    values = {"received_at": listening.clock(connection), "body": body}
    if connection.execute(update(surveys).where(surveys.c.host == host).values(**values)).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(surveys.insert().values(host=host, **values))
    except IntegrityError:  # its agent told twice at once; either will do
        return


def keep_cpus(connection: Connection, cpus: Mapping[str, Mapping[str, Any]]) -> None:
    """Note that guests see these CPUs (key -> protocol.GuestCpu) now; forget those that none has seen for long."""
    moment = now(connection)
    rows = connection.execute(select(guest_cpus.c.key, guest_cpus.c.seen_at).where(guest_cpus.c.key.in_(cpus)))
    known = {row.key: row.seen_at for row in rows}
    for key, body in sorted(cpus.items()):
        if key not in known:
            try:
                with connection.begin_nested():
                    connection.execute(guest_cpus.insert().values(key=key, seen_at=moment, body=body))
            except IntegrityError:  # another host told of it first
                continue
        elif moment - known[key] >= _CPU_BEAT_S:
            connection.execute(update(guest_cpus).where(guest_cpus.c.key == key).values(seen_at=moment))
    if len(known) < len(cpus):
        connection.execute(delete(guest_cpus).where(guest_cpus.c.seen_at < moment - CPU_SEEN_S))


def cpus(connection: Connection) -> Mapping[str, Any]:
    """Key -> body of every CPU that a guest has seen lately."""
    query = select(guest_cpus.c.key, guest_cpus.c.body).where(
        guest_cpus.c.seen_at >= now_expression(connection) - CPU_SEEN_S
    )
    rows = connection.execute(query.order_by(guest_cpus.c.seen_at.desc(), guest_cpus.c.key).limit(CPUS_MAX))
    return {row.key: row.body for row in rows}


def of_hosts(connection: Connection, names: Collection[str] | None) -> Mapping[str, Row[Any]]:
    """Host -> row with ``body`` and ``age_s``; None: of every host."""
    age_s = (listening.clock_expression(connection) - surveys.c.received_at).label("age_s")
    query = select(surveys.c.host, surveys.c.body, age_s)
    if names is not None:
        query = query.where(surveys.c.host.in_(names))
    return {row.host: row for row in connection.execute(query)}


def peers(connection: Connection, host: str, down_after: float, most: int) -> Sequence[Row[str, str]]:
    """(name, uri) of other hosts that are up: whom nobody can reach, nobody needs to try. Of more than ``most`` those
    that a move of the host's would go to: the destinations of what leaves it now, then the enabled ones with most free
    memory, as the scheduler takes them."""
    uri = hosts.c.report["live_migration_uri"].as_string().label("uri")
    others = select(hosts.c.name, uri).where(hosts.c.name != host, *_up(connection, down_after))
    leaving = select(operations.c.destination).where(operations.c.active == true(), operations.c.source == host)
    likely = others.order_by(hosts.c.name.in_(leaving).desc(), hosts.c.disabled, hosts.c.free_memory_mb.desc())
    return sorted(connection.execute(likely.limit(most)).all(), key=lambda row: str(row.name))


def count_up(connection: Connection, down_after: float) -> int:
    return int(
        connection.execute(select(func.count()).select_from(hosts).where(*_up(connection, down_after))).scalar_one()
    )


def _up(connection: Connection, down_after: float) -> tuple[ColumnElement[bool], ...]:
    return hosts.c.forced_down == false(), hosts.c.last_seen >= listening.clock_expression(connection) - down_after
