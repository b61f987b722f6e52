"""Serials: numbers that put an instance's operations in order, also over a database that was restored from a backup.

A serial is the time (microseconds since the epoch by the database's clock), or one more than the newest that is known
of the instance: to the record, or to any host that told one. Agents refuse what is older than what they have served.
"""

from sqlalchemy import Connection, func, select, update

from migrator.db.clock import now
from migrator.db.tables import copies, instances, operations

# A host may tell any number. What lies further ahead than this is not believed, so that none can use the numbers up.
_AHEAD = 10 * 365 * 86400 * 1_000_000


def following(connection: Connection, instance_uuid: str) -> int:
    """For an operation that begins now."""
    moment = round(now(connection) * 1_000_000)
    query = select(
        select(func.max(operations.c.serial)).where(operations.c.instance_uuid == instance_uuid).scalar_subquery(),
        select(func.max(copies.c.served)).where(copies.c.instance_uuid == instance_uuid).scalar_subquery(),
        select(instances.c.served).where(instances.c.uuid == instance_uuid).scalar_subquery(),
    )
    known: list[int] = [serial for serial in connection.execute(query).one() if serial and serial < moment + _AHEAD]
    return max([moment, *(serial + 1 for serial in known)])


def told(connection: Connection, instance_uuid: str, served: int) -> None:
    """A host has served that serial for the instance."""
    newer = update(instances).where(instances.c.uuid == instance_uuid, instances.c.served < served)
    connection.execute(newer.values(served=served))


def known(connection: Connection, instance_uuid: str, serial: int) -> bool:
    """Whether the record has the instance's operation with that serial."""
    query = select(operations.c.id).where(operations.c.instance_uuid == instance_uuid, operations.c.serial == serial)
    return connection.execute(query.limit(1)).first() is not None
