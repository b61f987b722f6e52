"""Serials: numbers that put an instance's operations in order, also over a database that was restored from a backup.

A serial is the time (microseconds since the epoch by the database's clock), or one more than the newest that is known
of the instance: to the record, or to a host that has to do with it. Agents refuse what is older than what they have
served. A serial that a host has served and the record does not know is one of an operation that the record has lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, true, update

from migrator.db.clock import now
from migrator.db.tables import copies, instances, operations

# A host may tell any number. What lies further ahead than this is not believed, so that none can use the numbers up. It
# is only for what hosts say: the record's own serials count wherever the clock is set to.
_AHEAD = 10 * 365 * 86400 * 1_000_000


@dataclass(frozen=True, slots=True)
class FirstWay:
    instance_uuid: str
    serial: int
    kind: str
    phase: str
    forward: bool
    source: str | None
    destination: str | None


def following(connection: Connection, instance_uuid: str) -> int:
    """For an operation that begins now."""
    moment = round(now(connection) * 1_000_000)
    mine = copies.c.instance_uuid == instance_uuid, copies.c.believed == true()
    query = select(
        select(func.max(operations.c.serial)).where(operations.c.instance_uuid == instance_uuid).scalar_subquery(),
        select(func.max(copies.c.served)).where(*mine).scalar_subquery(),
        select(instances.c.served).where(instances.c.uuid == instance_uuid).scalar_subquery(),
    )
    recorded, *said = connection.execute(query).one()
    believed: list[int] = [serial for serial in said if serial and serial < moment + _AHEAD]
    return max(moment, int(recorded or 0) + 1, *(serial + 1 for serial in believed))


def told(connection: Connection, instance_uuid: str, served: int) -> None:
    """A host that an operation of the instance has to do with has served that serial for it."""
    if served >= round(now(connection) * 1_000_000) + _AHEAD:
        return
    newer = update(instances).where(instances.c.uuid == instance_uuid, instances.c.served < served)
    connection.execute(newer.values(served=served))


def known(connection: Connection, instance_uuid: str, serial: int) -> bool:
    """Whether the record has the instance's operation with that serial."""
    query = select(operations.c.id).where(operations.c.instance_uuid == instance_uuid, operations.c.serial == serial)
    return connection.execute(query.limit(1)).first() is not None


def on_first_way(connection: Connection, served: Mapping[str, int]) -> Sequence[FirstWay]:
    """Of these (instance -> serial that a host has served for it) the operations that are on their first way forward:
    what they have asked so far is what they have been through."""
    c = operations.c
    names = ("instance_uuid", "serial", "kind", "phase", "forward", "source", "destination")
    query = select(*(c[name] for name in names)).where(
        c.instance_uuid.in_(served), c.serial.in_(set(served.values())), c.active == true(), c.forward == true()
    )
    rows = connection.execute(query.where(c.epoch == 1)).all()
    found = (FirstWay(*row) for row in rows)
    return [one for one in found if served.get(one.instance_uuid) == one.serial]


def accepted(serial: int) -> str:
    """What ``instances.accepted_stamps`` says of a serial that the record does not know, once an operator has compared
    the copies."""
    return f"served/{serial}"


def unknown(connection: Connection, served: Mapping[str, int]) -> frozenset[str]:
    """Those of the instances (instance -> serial that a host has served for it) of which the record has no operation
    with that serial, for all that an operator has not accepted. An agent is given no operation before it is committed,
    and none is ever removed: the database is older than the host."""
    told = {uuid: serial for uuid, serial in served.items() if serial}
    if not told:
        return frozenset()
    c, i = operations.c, instances.c
    kept = select(c.instance_uuid, c.serial).where(c.instance_uuid.in_(told), c.serial.in_(set(told.values())))
    known = {(row.instance_uuid, row.serial) for row in connection.execute(kept)}
    left = [uuid for uuid, serial in told.items() if (uuid, serial) not in known]
    if not left:
        return frozenset()
    accepted_stamps: dict[str, Any] = {
        row.uuid: row.accepted_stamps or ()
        for row in connection.execute(select(i.uuid, i.accepted_stamps).where(i.uuid.in_(left)))
    }
    return frozenset(uuid for uuid in left if accepted(told[uuid]) not in accepted_stamps.get(uuid, ()))
