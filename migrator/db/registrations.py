"""What hosts say of themselves, taken down, of many in one statement: their descriptions, and what of their capacity is
free.

Owns the columns of ``hosts`` that a registration writes. Never decides who may register
(``scheduler/hosts/registration.py``).
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import BindParameter, Connection, Select, Update, bindparam, func, null, select, update
from sqlalchemy.exc import IntegrityError

from migrator import capacity
from migrator.db import hosts as host_rows
from migrator.db import server_heartbeat
from migrator.db.clock import moment as now_of
from migrator.db.clock import now
from migrator.db.partial_rows import RegisteredRow
from migrator.db.tables import claims, hosts
from migrator.errors import ConcurrentUpdate
from migrator.protocol import HostReport, Registration

# Built once for a kind of database, as in ``hosts.py``.
_NAMES: BindParameter[str] = bindparam("names", expanding=True)
_USED = (
    select(
        claims.c.host,
        func.sum(claims.c.vcpus).label("vcpus"),
        func.sum(claims.c.memory_mb).label("memory_mb"),
        func.sum(claims.c.disk_gb).label("disk_gb"),
    )
    .where(claims.c.host.in_(_NAMES))
    .group_by(claims.c.host)
)
_KNOWN = (
    select(
        *(hosts.c[name] for name in ("name", "machine", "incarnation", "poll_incarnation", "allowed", "proofs")),
        hosts.c.report["start"].as_string().label("start"),
    )
    .where(hosts.c.name.in_(_NAMES))
    .order_by(hosts.c.name)
    .with_for_update()
)
_TOLD = (  # at each registration
    *("vcpus", "memory_mb", "disk_gb", "free_vcpus", "free_memory_mb", "free_disk_gb"),
    *("report", "proofs", "incarnation", "last_seen", "updated_at"),
)
_NOTHING = (0, 0, 0)


@cache
def _clocks(dialect: str) -> Select[float, float]:
    return select(now_of(dialect).label("moment"), server_heartbeat.clock_of(dialect).label("clock"))


@cache
def _describe(dialect: str) -> Update:
    told: dict[str, Any] = {name: bindparam(f"new_{name}", type_=hosts.c[name].type) for name in _TOLD}
    told["heard_since"] = host_rows.heard_since(dialect)
    return update(hosts).where(hosts.c.name == bindparam("wanted")).values(told)


def _counted(used: Sequence[int], report: HostReport, limits: capacity.Limits) -> Mapping[str, float]:
    """What the host has, and what of it is free: worked out anew from its claims. Its row is locked."""
    total, left = capacity.total(report, limits), capacity.left(report, limits)
    return {
        "vcpus": total.vcpus,
        "memory_mb": total.memory_mb,
        "disk_gb": total.disk_gb,
        "free_vcpus": left.vcpus - used[0],
        "free_memory_mb": left.memory_mb - used[1],
        "free_disk_gb": left.disk_gb - used[2],
    }


def _used(connection: Connection, names: Collection[str]) -> Mapping[str, Sequence[int]]:
    return {host: used for host, *used in connection.execute(_USED, {"names": list(names)})}


def known(connection: Connection, names: Collection[str]) -> Mapping[str, RegisteredRow]:
    """By name, where there is such a host. No other transaction changes them, or their claims, before this one ends."""
    return {row.name: cast(RegisteredRow, row) for row in connection.execute(_KNOWN, {"names": list(names)})}


def forget_polls(connection: Connection, names: Collection[str]) -> None:
    """Which poll of these hosts was the newest: an agent was believed that no later one could have followed."""
    if names:
        forgotten = {"poll_incarnation": 0, "poll_number": 0}
        connection.execute(update(hosts).where(hosts.c.name.in_(names)).values(forgotten))


def register(
    connection: Connection,
    told: Mapping[str, Registration],
    before: Mapping[str, RegisteredRow],
    *,
    approved: bool = True,
) -> None:
    """Create or refresh the hosts' rows; ``before``: those that ``known`` gave. Free capacity is worked out anew from
    the claims. A new row is its machine's, and ``approved`` or not. Raises ConcurrentUpdate where another server makes
    one of the rows at this moment."""
    used, at = _used(connection, told), connection.execute(_clocks(connection.dialect.name)).one()
    refreshed: list[dict[str, Any]] = []
    made: list[dict[str, Any]] = []
    for name, one in told.items():
        row = before.get(name)
        values = _values(one, used.get(name, _NOTHING), row, at)
        if row is not None:
            refreshed.append({"wanted": name} | {f"new_{key}": values[key] for key in _TOLD})
            continue
        values |= {"uuid": str(uuid.uuid4()), "hypervisor_uuid": str(uuid.uuid4()), "machine": one.machine or None}
        made.append(values | {"name": name, "approved": approved, "heard_since": at.clock, "created_at": at.moment})
    if refreshed:
        connection.execute(_describe(connection.dialect.name), refreshed)
    try:
        if made:
            with connection.begin_nested():
                connection.execute(hosts.insert(), made)
    except IntegrityError as error:
        names = ", ".join(values["name"] for values in made)
        raise ConcurrentUpdate(f"{names}: registered at this moment; ask again") from error


def _values(told: Registration, used: Sequence[int], row: RegisteredRow | None, at: Any) -> dict[str, Any]:
    """``at``: the moment, by the database's clock and by the servers'."""
    return {
        **_counted(used, told.report, (row.allowed if row is not None else None) or {}),
        "report": told.report.model_dump(mode="json"),
        "proofs": _proofs((row.proofs if row is not None else None) or {}, told.report, at.clock),
        "incarnation": told.incarnation,
        "last_seen": at.clock,
        "updated_at": at.moment,
    }


def approve(connection: Connection, name: str, report: HostReport, limits: capacity.Limits) -> None:
    """An operator's word: instances may be placed there, and be given no more than the limits. Its row is locked."""
    counted = _counted(_used(connection, [name]).get(name, _NOTHING), report, limits)
    allowed = dict(limits) if limits else null()
    said = {"approved": True, "allowed": allowed, "updated_at": now(connection)}
    connection.execute(update(hosts).where(hosts.c.name == name).values(**counted, **said))


def _proofs(known: Mapping[str, Any], report: HostReport, moment: float) -> Mapping[str, Any]:
    """Pool -> what the host wrote there last, and when that was told, by the servers' clock. ``known``: before."""
    told = {pool: found.proof for pool, found in report.storage.items() if found.proof}
    old = {pool: known[pool] for pool, proof in told.items() if known.get(pool, {}).get("token") == proof}
    return {pool: {"token": proof, "at": moment} for pool, proof in told.items()} | old
