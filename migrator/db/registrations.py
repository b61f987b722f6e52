"""What a host says of itself, taken down: its description, and what of its capacity is free.

Owns the columns of ``hosts`` that a registration writes. Never decides who may register
(``scheduler/hosts/machines.py``).
"""

import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Update, bindparam, func, null, select, update
from sqlalchemy.exc import IntegrityError

from migrator import capacity
from migrator.db import hosts as host_rows
from migrator.db import server_heartbeat
from migrator.db.clock import moment as now_of
from migrator.db.clock import now
from migrator.db.tables import claims, hosts
from migrator.errors import ConcurrentUpdate
from migrator.protocol import HostReport

# Built once for a kind of database, as in ``hosts.py``.
_USED = select(
    func.coalesce(func.sum(claims.c.vcpus), 0),
    func.coalesce(func.sum(claims.c.memory_mb), 0),
    func.coalesce(func.sum(claims.c.disk_gb), 0),
).where(claims.c.host == bindparam("wanted"))
_KNOWN = select(hosts.c.allowed, hosts.c.proofs).where(hosts.c.name == bindparam("wanted")).with_for_update()
_TOLD = (  # at each registration
    *("vcpus", "memory_mb", "disk_gb", "free_vcpus", "free_memory_mb", "free_disk_gb"),
    *("report", "proofs", "incarnation", "last_seen", "updated_at"),
)


@cache
def _clocks(dialect: str) -> Select[float, float]:
    return select(now_of(dialect).label("moment"), server_heartbeat.clock_of(dialect).label("clock"))


@cache
def _describe(dialect: str) -> Update:
    told: dict[str, Any] = {name: bindparam(f"new_{name}", type_=hosts.c[name].type) for name in _TOLD}
    told["heard_since"] = host_rows.heard_since(dialect)
    return update(hosts).where(hosts.c.name == bindparam("wanted")).values(told)


def _counted(connection: Connection, name: str, report: HostReport, limits: capacity.Limits) -> Mapping[str, float]:
    """What the host has, and what of it is free: worked out anew from its claims. Its row is locked."""
    used = connection.execute(_USED, {"wanted": name}).one()
    total, left = capacity.total(report, limits), capacity.left(report, limits)
    return {
        "vcpus": total.vcpus,
        "memory_mb": total.memory_mb,
        "disk_gb": total.disk_gb,
        "free_vcpus": left.vcpus - used[0],
        "free_memory_mb": left.memory_mb - used[1],
        "free_disk_gb": left.disk_gb - used[2],
    }


def register(
    connection: Connection,
    name: str,
    incarnation: int,
    report: HostReport,
    machine: str = "",
    *,
    approved: bool = True,
) -> None:
    """Create or refresh the host's row; free capacity is worked out anew from its claims, which no other transaction
    changes until this one ends. A new row is ``machine``'s, and ``approved`` or not. Raises ConcurrentUpdate where
    another server makes the row at this moment."""
    dialect = connection.dialect.name
    known = connection.execute(_KNOWN, {"wanted": name}).one_or_none()
    at = connection.execute(_clocks(dialect)).one()
    told: dict[str, Any] = {
        **_counted(connection, name, report, (known.allowed if known is not None else None) or {}),
        "report": report.model_dump(mode="json"),
        "proofs": _proofs((known.proofs if known is not None else None) or {}, report, at.clock),
        "incarnation": incarnation,
        "last_seen": at.clock,
        "updated_at": at.moment,
    }
    if known is not None:
        connection.execute(_describe(dialect), {"wanted": name} | {f"new_{key}": told[key] for key in _TOLD})
        return
    told |= {"uuid": str(uuid.uuid4()), "hypervisor_uuid": str(uuid.uuid4()), "machine": machine or None}
    told |= {"name": name, "approved": approved, "heard_since": at.clock, "created_at": at.moment}
    try:
        with connection.begin_nested():
            connection.execute(hosts.insert(), told)
    except IntegrityError as error:
        raise ConcurrentUpdate(f"Host {name} was registered at this moment; ask again") from error


def approve(connection: Connection, name: str, report: HostReport, limits: capacity.Limits) -> None:
    """An operator's word: instances may be placed there, and be given no more than the limits. Its row is locked."""
    counted = _counted(connection, name, report, limits)
    allowed = dict(limits) if limits else null()
    said = {"approved": True, "allowed": allowed, "updated_at": now(connection)}
    connection.execute(update(hosts).where(hosts.c.name == name).values(**counted, **said))


def _proofs(known: Mapping[str, Any], report: HostReport, moment: float) -> Mapping[str, Any]:
    """Pool -> what the host wrote there last, and when that was told, by the servers' clock. ``known``: before."""
    told = {pool: found.proof for pool, found in report.storage.items() if found.proof}
    old = {pool: known[pool] for pool, proof in told.items() if known.get(pool, {}).get("token") == proof}
    return {pool: {"token": proof, "at": moment} for pool, proof in told.items()} | old
