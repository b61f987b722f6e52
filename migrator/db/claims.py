"""Claims: capacity held on a host. Taken in the transaction that checks it, so placing never oversubscribes."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, false, select, true, update

from migrator.db.clock import now_expression
from migrator.db.tables import claims, hosts


def take(
    connection: Connection,
    host: str,
    instance_uuid: str,
    operation_id: int,
    vcpus: int,
    memory_mb: int,
    disk_gb: int,
) -> bool:
    """Claim, if the host still has it free and may still be placed on. False: it does not; nothing was changed."""
    taken = connection.execute(
        update(hosts)
        .where(
            hosts.c.name == host,
            hosts.c.disabled == false(),
            hosts.c.approved == true(),
            hosts.c.forced_down == false(),
            hosts.c.free_vcpus >= vcpus,
            hosts.c.free_memory_mb >= memory_mb,
            hosts.c.free_disk_gb >= disk_gb,
        )
        .values(
            free_vcpus=hosts.c.free_vcpus - vcpus,
            free_memory_mb=hosts.c.free_memory_mb - memory_mb,
            free_disk_gb=hosts.c.free_disk_gb - disk_gb,
        )
    )
    if taken.rowcount == 0:
        return False
    amounts = {"vcpus": vcpus, "memory_mb": memory_mb, "disk_gb": disk_gb}
    _record(connection, host, instance_uuid, operation_id, amounts)
    return True


def resize(
    connection: Connection, host: str, instance_uuid: str, operation_id: int, vcpus: int, memory_mb: int, disk_gb: int
) -> bool:
    """Make the instance's claim on the host as large as this, if the host has room for what is more. False: it has
    not; nothing was changed."""
    _lock_host(connection, host)
    mine = (claims.c.host == host) & (claims.c.instance_uuid == instance_uuid)
    row = connection.execute(select(claims).where(mine).with_for_update()).one_or_none()
    if row is None:
        return False
    more = {"vcpus": vcpus - row.vcpus, "memory_mb": memory_mb - row.memory_mb, "disk_gb": disk_gb - row.disk_gb}
    free = {name: getattr(hosts.c, f"free_{name}") for name in more}
    room = [free[name] >= needed for name, needed in more.items() if needed > 0]
    changed = connection.execute(
        update(hosts)
        .where(hosts.c.name == host, *room)
        .values({f"free_{name}": free[name] - needed for name, needed in more.items()})
    )
    if changed.rowcount == 0:
        return False
    sizes = {"vcpus": vcpus, "memory_mb": memory_mb, "disk_gb": disk_gb}
    connection.execute(update(claims).where(claims.c.id == row.id).values(operation_id=operation_id, **sizes))
    return True


def holders(connection: Connection, instance_uuid: str) -> Sequence[str]:
    """Hosts on which the instance, or an operation of it, holds a claim: where it is, or left something behind."""
    query = select(claims.c.host).where(claims.c.instance_uuid == instance_uuid)
    return connection.execute(query.order_by(claims.c.host)).scalars().all()


def all_holders(connection: Connection, uuids: Collection[str] | None) -> Mapping[str, frozenset[str]]:
    """Instance -> as ``holders``. None: of all instances."""
    query = select(claims.c.instance_uuid, claims.c.host)
    found: dict[str, set[str]] = {}
    for uuid, host in connection.execute(
        query.where(claims.c.instance_uuid.in_(uuids)) if uuids is not None else query
    ):
        found.setdefault(uuid, set()).add(host)
    return {uuid: frozenset(names) for uuid, names in found.items()}


def release(connection: Connection, host: str, instance_uuid: str) -> None:
    """Give the instance's claim on the host back. No claim: nothing to do."""
    _lock_host(connection, host)
    mine = (claims.c.host == host) & (claims.c.instance_uuid == instance_uuid)
    row = connection.execute(select(claims).where(mine)).one_or_none()
    if row is None or connection.execute(claims.delete().where(claims.c.id == row.id)).rowcount == 0:
        return
    connection.execute(
        update(hosts)
        .where(hosts.c.name == host)
        .values(
            free_vcpus=hosts.c.free_vcpus + row.vcpus,
            free_memory_mb=hosts.c.free_memory_mb + row.memory_mb,
            free_disk_gb=hosts.c.free_disk_gb + row.disk_gb,
        )
    )


def own(connection: Connection, host: str, instance_uuid: str, vcpus: int, memory_mb: int, disk_gb: int) -> None:
    """The instance is there: its claim is its own, and taken whether there is room or not."""
    _lock_host(connection, host)
    mine = (claims.c.host == host) & (claims.c.instance_uuid == instance_uuid)
    if connection.execute(update(claims).where(mine).values(operation_id=None)).rowcount:
        return
    amounts = {"vcpus": vcpus, "memory_mb": memory_mb, "disk_gb": disk_gb}
    left = {f"free_{name}": hosts.c[f"free_{name}"] - amount for name, amount in amounts.items()}
    connection.execute(update(hosts).where(hosts.c.name == host).values(left))
    _record(connection, host, instance_uuid, None, amounts)


def hand_over(connection: Connection, operation_id: int) -> None:
    """The operation is over: what it claimed and still holds is the instance's own from now on."""
    connection.execute(update(claims).where(claims.c.operation_id == operation_id).values(operation_id=None))


def _record(
    connection: Connection, host: str, instance_uuid: str, operation_id: int | None, amounts: Mapping[str, int]
) -> None:
    """What was subtracted from the host's free capacity, as a row."""
    row = {"host": host, "instance_uuid": instance_uuid, "operation_id": operation_id, **amounts}
    connection.execute(claims.insert().values(created_at=now_expression(connection), **row))


def _lock_host(connection: Connection, host: str) -> None:
    """The host's row before its claims, as in ``take``."""
    connection.execute(select(hosts.c.id).where(hosts.c.name == host).with_for_update())
