"""Which machine a host is: the one whose agent may speak for its name, and another one that wants to.

Owns ``hosts.machine`` and ``hosts.claimant`` ({machine, at, approved}). Never decides who may take a name over
(``scheduler/hosts/machines.py`` does).
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import Connection, Select, bindparam, delete, exists, null, or_, select, true, update

from migrator.db import hosts as host_rows
from migrator.db import server_heartbeat
from migrator.db.partial_rows import MachineRow
from migrator.db.rows import HostRow
from migrator.db.tables import claims, copies, facts, hosts, instances, operations, surveys


def known(connection: Connection, host: str) -> HostRow | None:
    """The host's row, locked until the transaction ends; None for a new host."""
    if not host_rows.lock(connection, [host]):
        return None
    return host_rows.get(connection, host)


_OF_HOSTS = select(hosts.c.name, hosts.c.machine).where(hosts.c.name.in_(bindparam("names", expanding=True)))


@cache
def _of(dialect: str) -> Select[Any]:
    """Built once for a kind of database: every request of every agent asks."""
    claimed_s = (server_heartbeat.clock_of(dialect) - hosts.c.claimant["at"].as_float()).label("claimed_s")
    return select(hosts.c.machine, claimed_s).where(hosts.c.name == bindparam("wanted"))


def of(connection: Connection, host: str) -> MachineRow | None:
    """None: there is no such host."""
    row = connection.execute(_of(connection.dialect.name), {"wanted": host}).one_or_none()
    return cast(MachineRow | None, row)


def of_hosts(connection: Connection, names: Collection[str]) -> Mapping[str, str | None]:
    """Host -> the machine that it is; None: no agent has said yet which. Only hosts that there are."""
    return {row.name: row.machine for row in connection.execute(_OF_HOSTS, {"names": list(names)})}


def forget_claimant(connection: Connection, host: str) -> None:
    connection.execute(update(hosts).where(hosts.c.name == host).values(claimant=null()))


def recorded(connection: Connection, host: str) -> Sequence[str]:
    """What is recorded of the host and was the old machine's, in words: instances, claims, operations under way."""
    found = connection.execute(
        select(instances.c.uuid)
        .where(instances.c.host == host, instances.c.deleted.is_(False))
        .order_by(instances.c.id)
    )
    uses = [f"instance {uuid}" for uuid in found.scalars()]
    held = connection.execute(select(claims.c.instance_uuid).where(claims.c.host == host).order_by(claims.c.id))
    uses += [f"a claim of {uuid}" for uuid in held.scalars() if f"instance {uuid}" not in uses]
    active = select(operations.c.id, operations.c.kind).where(
        operations.c.active == true(), or_(operations.c.source == host, operations.c.destination == host)
    )
    uses += [f"operation {row.id} ({row.kind})" for row in connection.execute(active.order_by(operations.c.id))]
    return uses


def bind(connection: Connection, host: str, machine: str) -> None:
    """From now on this machine is the host."""
    connection.execute(update(hosts).where(hosts.c.name == host).values(machine=machine, claimant=null()))


def replace(connection: Connection, host: str, machine: str, *, approved: bool) -> None:
    """Another machine is the host from now on: nothing that the one before said counts any more. ``approved``: the
    operator's word about the host's capacity stands for it, too."""
    under_way = exists().where(operations.c.id == facts.c.operation_id, operations.c.active == true())
    connection.execute(delete(facts).where(facts.c.host == host, under_way))
    connection.execute(delete(copies).where(copies.c.host == host))
    connection.execute(delete(surveys).where(surveys.c.host == host))
    gone = dict.fromkeys(("claimant", "proofs", "boot", "resume_until", "listed_at", "working"), null())
    values: dict[str, Any] = {"machine": machine, **gone}
    values |= {} if approved else {"approved": False}
    connection.execute(
        update(hosts).where(hosts.c.name == host).values(incarnation=0, poll_incarnation=0, poll_number=0, **values)
    )


def claim(connection: Connection, host: str, machine: str) -> None:
    """Remember the machine that wants the name, for an operator to see and approve."""
    row = connection.execute(select(hosts.c.claimant).where(hosts.c.name == host).with_for_update()).scalar_one() or {}
    approved = bool(row.get("approved")) and row.get("machine") == machine
    wanted = {"machine": machine, "at": server_heartbeat.clock(connection), "approved": approved}
    connection.execute(update(hosts).where(hosts.c.name == host).values(claimant=wanted))


def approve(connection: Connection, host: str, machine: str) -> None:
    """An operator's word that this machine takes the place of the silent one."""
    wanted = {"machine": machine, "at": server_heartbeat.clock(connection), "approved": True}
    connection.execute(update(hosts).where(hosts.c.name == host).values(claimant=wanted))
