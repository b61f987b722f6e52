"""Claims: capacity held on a host. Taken in the transaction that checks it, so placing never oversubscribes."""

from sqlalchemy import Connection, false, select, update

from migrator.db.clock import now
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
    connection.execute(
        claims.insert().values(
            host=host,
            instance_uuid=instance_uuid,
            operation_id=operation_id,
            vcpus=vcpus,
            memory_mb=memory_mb,
            disk_gb=disk_gb,
            created_at=now(connection),
        )
    )
    return True


def release(connection: Connection, host: str, instance_uuid: str) -> None:
    """Give the instance's claim on the host back. No claim: nothing to do."""
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


def hand_over(connection: Connection, operation_id: int) -> None:
    """The operation is over: what it claimed and still holds is the instance's own from now on."""
    connection.execute(update(claims).where(claims.c.operation_id == operation_id).values(operation_id=None))
