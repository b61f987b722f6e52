"""Runs of the fence command: whose turn it is, and what came of it.

Owns ``hosts.fence_attempt`` ({at, by, ok, words}; ok None: it runs) and the evidence that a success leaves in
``hosts.fencing``. Of many server processes one at a time begins a run for a host: the row is locked while they look.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, null, select, true, tuple_, update

from migrator.db import server_heartbeat
from migrator.db.clock import now
from migrator.db.hosts import lock, said_down
from migrator.db.rows import HostRow
from migrator.db.tables import hosts, operations


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of the fence command that was begun. ``at``: seconds by the database's clock, ``clock``: by the
    servers'."""

    host: str
    by: str
    at: float
    clock: float


def waiting_operations(connection: Connection, phases: Collection[tuple[str, str]]) -> Mapping[str, Sequence[Row[Any]]]:
    """Source -> its active operations, on their way forward, in one of ``phases`` ((kind, phase) pairs)."""
    query = select(operations).where(
        operations.c.active == true(),
        operations.c.forward == true(),
        operations.c.source.is_not(None),
        tuple_(operations.c.kind, operations.c.phase).in_(list(phases)),
    )
    found: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(query.order_by(operations.c.id)):
        found.setdefault(row.source, []).append(row)
    return found


def begin(connection: Connection, name: str, by: str, stale_s: float) -> Attempt | None:
    """A run that is the caller's to do; None while another one is under way that is younger than ``stale_s``.
    ``hosts.lock`` comes first."""
    known = connection.execute(select(hosts.c.fence_attempt).where(hosts.c.name == name)).scalar_one() or {}
    moment, clock = now(connection), server_heartbeat.clock(connection)
    began = known.get("clock", known.get("at"))
    if began is not None and known.get("ok") is None and clock - began < stale_s:
        return None
    attempt = {"at": moment, "clock": clock, "by": by, "ok": None, "words": "the fence command runs"}
    connection.execute(update(hosts).where(hosts.c.name == name).values(fence_attempt=attempt))
    return Attempt(name, by, moment, clock)


def finish(connection: Connection, attempt: Attempt, ok: bool, message: str) -> None:
    """What came of it. A success is evidence even if the run took so long that another one was begun; a failure of
    such a run counts for nothing any more."""
    lock(connection, [attempt.host])
    moment = now(connection)
    values: dict[str, Any] = {}
    if _current(connection, attempt):
        ended = {"at": moment, "clock": server_heartbeat.clock(connection)}
        values["fence_attempt"] = {"by": attempt.by, "ok": ok, "words": message} | ended
    if ok and not _forced_down(connection, attempt.host):
        # As of the run's begin: a host that was heard since may have been reset early in it, and be back.
        begun = {"at": attempt.at, "clock": attempt.clock}
        values["fencing"] = {"kind": "fence_command", "by": attempt.by, "words": message} | begun
    if values:
        connection.execute(update(hosts).where(hosts.c.name == attempt.host).values(updated_at=moment, **values))


def witness(connection: Connection, name: str, by: str, message: str, age_s: float) -> None:
    """Record ``by``'s word, given ``age_s`` ago, that the host has no power. It counts while the host stays silent. An
    operator's word that stands is kept. ``hosts.lock`` comes first."""
    if _forced_down(connection, name):
        return
    said = {"at": now(connection) - age_s, "clock": server_heartbeat.clock(connection) - age_s}
    values = {"kind": "notification", "by": by, "words": message} | said
    moment = now(connection)
    connection.execute(update(hosts).where(hosts.c.name == name).values(fencing=values, updated_at=moment))


def succeeded_before_s(row: HostRow) -> float | None:
    """How long ago the command succeeded for a host that was heard after that; None: it did not, or was not."""
    known = row.fence_attempt or {}
    ended = known.get("clock")
    if known.get("ok") is not True or ended is None or ended >= row.last_seen:
        return None
    return row.last_seen + row.silent_s - float(ended)


def give_up(connection: Connection, attempt: Attempt) -> None:
    """The run was ended before it was over: it counts for nothing, and the next look may begin another."""
    lock(connection, [attempt.host])
    if _current(connection, attempt):
        connection.execute(update(hosts).where(hosts.c.name == attempt.host).values(fence_attempt=null()))


def _forced_down(connection: Connection, name: str) -> bool:
    """Whether an operator's word that the host is down stands: until it is taken back, or counts no more."""
    columns = (hosts.c.forced_down, hosts.c.fencing, hosts.c.last_seen)
    host = connection.execute(select(*columns).where(hosts.c.name == name)).one_or_none()
    since = server_heartbeat.since(connection)
    return host is not None and bool(host.forced_down) and said_down(host.fencing, host.last_seen, since)


def _current(connection: Connection, attempt: Attempt) -> bool:
    query = select(hosts.c.fence_attempt).where(hosts.c.name == attempt.host)
    known = connection.execute(query).scalar_one_or_none() or {}
    return (known.get("at"), known.get("by"), known.get("ok")) == (attempt.at, attempt.by, None)
