"""Polls of many hosts at once: what they are compared with, and the rows that say that their agents spoke, each in one
statement for all of them.

Owns these queries. Never decides whether a poll brings news (``scheduler/hosts/routine_polls.py`` does).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from sqlalchemy import BindParameter, Connection, Select, Update, bindparam, false, null, select, update

from migrator.alarms import AlarmKind
from migrator.db import host_domains, server_heartbeat
from migrator.db.clock import moment as now_of
from migrator.db.host_domains import HeldCopy
from migrator.db.partial_rows import PolledRecord
from migrator.db.polls import NewestPoll, PollTold, columns, lock, newest, polled_update
from migrator.db.tables import alarms, copies, hosts, instances


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of one host. ``claimed_s``: how long ago another machine wanted its name. ``records``: of its
    instances, by UUID."""

    machine: str | None
    claimed_s: float | None
    boot: str | None
    resume_until: float | None
    copies: Mapping[str, HeldCopy]
    records: Mapping[str, PolledRecord]
    alarmed: bool
    working: Sequence[str] | None  # instances that its agent works on; None: it does not tell
    polled: NewestPoll


# Built once for a kind of database, as in ``hosts.py``.
_NAMES: BindParameter[str] = bindparam("names", expanding=True)
_COPIES = select(copies.c.host, *host_domains.COLUMNS).where(copies.c.host.in_(_NAMES))
_RECORDS = select(
    *(instances.c[name] for name in ("uuid", "host", "launched_at", "deleted", "power_state")),
).where(instances.c.host.in_(_NAMES), instances.c.deleted == false())
_ALARMED = select(alarms.c.host).where(
    alarms.c.cleared_at.is_(None), alarms.c.host.in_(_NAMES), alarms.c.kind.in_(bindparam("kinds", expanding=True))
)
_FIRST_BOOT = update(hosts).where(hosts.c.name == bindparam("wanted"), hosts.c.boot.is_(None))
_FIRST_BOOT = _FIRST_BOOT.values(boot=bindparam("told"), resume_until=null())


@cache
def _hosts(dialect: str) -> Select[Any]:
    claimed_s = (server_heartbeat.clock_of(dialect) - hosts.c.claimant["at"].as_float()).label("claimed_s")
    names = ("name", "machine", "boot", "resume_until", "working")
    return select(*(hosts.c[name] for name in names), *columns(dialect), claimed_s).where(hosts.c.name.in_(_NAMES))


@cache
def _seen(dialect: str) -> Update:
    return update(copies).where(copies.c.host.in_(_NAMES)).values(seen_at=now_of(dialect))


def recorded(connection: Connection, names: Collection[str], kinds: Collection[AlarmKind]) -> Mapping[str, Recorded]:
    """By host, where it exists. ``alarmed``: an alarm of one of these kinds about the host is open."""
    asked = {"names": list(names)}
    held: dict[str, dict[str, HeldCopy]] = {}
    for host, *copy in connection.execute(_COPIES, asked):
        held.setdefault(host, {})[copy[0]] = HeldCopy(*copy)
    records: dict[str, dict[str, PolledRecord]] = {}
    for record in cast(Sequence[PolledRecord], connection.execute(_RECORDS, asked).all()):
        records.setdefault(record.host, {})[record.uuid] = record
    alarmed = set(connection.execute(_ALARMED, asked | {"kinds": [kind.value for kind in kinds]}).scalars())
    found = connection.execute(_hosts(connection.dialect.name), asked)
    return {
        name: Recorded(
            row.machine,
            row.claimed_s,
            row.boot,
            row.resume_until,
            held.get(name, {}),
            records.get(name, {}),
            name in alarmed,
            row.working,
            newest(row),
        )
        for row in found
        for name in (row.name,)
    }


def beat(
    connection: Connection,
    told: Mapping[str, PollTold],
    known: Mapping[str, Recorded],
    holding: Collection[str],
    boots: Sequence[tuple[str, str]],
) -> bool:
    """Note that the agents of these hosts spoke, and what they told; that those among ``holding`` have the same copies
    as before; and the first ``boots`` (host, boot) that were told. False, and nothing is to be kept of it: not all of
    the hosts exist, or another poll of one was heard since ``known`` was read."""
    locked = lock(connection, told)  # in their order: see ``engine.py``
    if any(host not in locked or locked[host][:2] != known[host].polled[:2] for host in told):
        return False
    dialect = connection.dialect.name
    values = [{"wanted": host, **poll.values()} for host, poll in sorted(told.items())]
    connection.execute(polled_update(dialect), values)
    if boots:
        connection.execute(_FIRST_BOOT, [{"wanted": host, "told": boot} for host, boot in boots])
    if holding:
        connection.execute(_seen(dialect), {"names": list(holding)})
    return True
