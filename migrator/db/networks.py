"""Networks and ports: rows in and out. Owns that no address and no MAC belongs to two ports, whatever the order.

A transaction that adds a port to a network locks the network's row, as one that removes the network does: addresses are
chosen one after another.
"""

import ipaddress
import uuid as uuids
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, delete, func, or_, select, text
from sqlalchemy.exc import IntegrityError

from migrator.db.clock import now
from migrator.db.rows import NetworkRow
from migrator.db.tables import instances, networks, ports
from migrator.errors import AddressesUsedUp, AlreadyExists, Conflict, NetworkNotFound

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def create(connection: Connection, values: Mapping[str, Any]) -> NetworkRow:
    """``values``: name, kind, bridge, vlan, cidr, gateway, dns, ranges. Raises AlreadyExists for a name that is taken,
    and Conflict for ranges that overlap those of another network, by name."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        connection.execute(text("LOCK TABLE networks IN SHARE ROW EXCLUSIVE MODE"))
    for other in every(connection):
        if other.name == values["name"]:
            raise AlreadyExists(f"there is a network {other.name} already")
        for mine in values["ranges"]:
            for theirs in other.ranges:
                _refuse_overlap(mine, theirs, other.name)
    ident = str(uuids.uuid4())
    connection.execute(networks.insert().values(uuid=ident, created_at=now(connection), **values))
    return get(connection, ident)


def _refuse_overlap(mine: Sequence[str], theirs: Sequence[str], name: str) -> None:
    (first, last), (others_first, others_last) = map(_ends, (mine, theirs))
    if first.version == others_first.version and int(first) <= int(others_last) and int(others_first) <= int(last):
        raise Conflict(
            f"the range {first}-{last} overlaps {others_first}-{others_last} of network {name}",
            advice="two networks never give the same address: take another range",
        )


def _ends(one: Sequence[str]) -> tuple[Address, Address]:
    return ipaddress.ip_address(one[0]), ipaddress.ip_address(one[1])


def get(connection: Connection, name_or_id: str, *, lock: bool = False) -> NetworkRow:
    """By its id, else by its name. ``lock``: until the transaction ends no other gives its addresses, or removes it.
    Raises NetworkNotFound."""
    query = select(networks).where(or_(networks.c.uuid == name_or_id, networks.c.name == name_or_id))
    rows = connection.execute(query.with_for_update() if lock else query).all()
    if not rows:
        raise NetworkNotFound(f"Network {name_or_id} could not be found.")
    return cast(NetworkRow, min(rows, key=lambda row: row.uuid != name_or_id))


def lock(connection: Connection, idents: Collection[str]) -> set[str]:
    """Those of them that there are, locked by id: until the transaction ends no other gives their addresses, or removes
    them."""
    query = select(networks.c.uuid).where(networks.c.uuid.in_(idents)).order_by(networks.c.uuid).with_for_update()
    return set(connection.execute(query).scalars())


def every(connection: Connection) -> Sequence[NetworkRow]:
    """By name."""
    return cast(Sequence[NetworkRow], connection.execute(select(networks).order_by(networks.c.name)).all())


def used(connection: Connection) -> Mapping[str, int]:
    """Network -> how many ports it has; one without any is left out."""
    query = select(ports.c.network_uuid, func.count()).where(ports.c.network_uuid.is_not(None))
    return {row[0]: row[1] for row in connection.execute(query.group_by(ports.c.network_uuid))}


def count(connection: Connection, project_id: str) -> int:
    """Ports of the project's instances."""
    mine = ports.join(instances, instances.c.uuid == ports.c.instance_uuid)
    query = select(func.count()).select_from(mine).where(instances.c.project_id == project_id)
    return int(connection.execute(query).scalar_one())


def remove(connection: Connection, name_or_id: str) -> None:
    """Raises NetworkNotFound, and Conflict while it has ports."""
    row = get(connection, name_or_id, lock=True)
    query = select(ports.c.instance_uuid).where(ports.c.network_uuid == row.uuid).order_by(ports.c.id).limit(1)
    user = connection.execute(query).scalar_one_or_none()
    if user is not None:
        raise Conflict(f"Network {row.name} is in use by instance {user}", advice="delete its instances first")
    connection.execute(delete(networks).where(networks.c.uuid == row.uuid))


class Addresses:
    """Of one network, which the transaction has locked: read once, then given one after another.

    No other transaction gives one of its ranges in that time; a request for one outside of them has locked it too.
    """

    def __init__(self, connection: Connection, network: NetworkRow) -> None:
        self._network = network
        self._taken = {network.gateway, *network.dns}
        self._taken |= set(connection.execute(select(ports.c.ip).where(ports.c.ip.is_not(None))).scalars())
        self._free = (one for one in map(str, _addresses(network.ranges)) if one not in self._taken)

    def lowest(self) -> str | None:
        """The lowest of the network's ranges that is free: no port has it, nor the gateway or a DNS server; None: the
        network has no ranges. Raises AddressesUsedUp."""
        if not self._network.ranges:
            return None
        found = next(self._free, None)
        if found is None:
            raise AddressesUsedUp(
                f"No fixed IP addresses available for network: {self._network.name}",
                advice="delete instances that are in it, or take another network",
            )
        return found

    def take(self, ip: str) -> None:
        """A port gets this one."""
        self._taken.add(ip)


def _addresses(ranges: Sequence[Sequence[str]]) -> Iterator[Address]:
    for first, last in map(_ends, ranges):
        for number in range(int(first), int(last) + 1):
            yield type(first)(number)


def add_port(connection: Connection, values: Mapping[str, Any]) -> str:
    """``values``: instance_uuid, network_uuid, mac, ip, tag; the port's id. Raises AlreadyExists for a MAC or an
    address that another port has."""
    ident = str(uuids.uuid4())
    try:
        with connection.begin_nested():
            connection.execute(ports.insert().values(uuid=ident, created_at=now(connection), **values))
    except IntegrityError as error:
        named = " or ".join(filter(None, (values["mac"], values["ip"])))
        raise AlreadyExists(f"{named} is already in use on another instance.") from error
    return ident


def user_of(connection: Connection, ip: str) -> Any:
    """The instance whose port has the address: ``instance_uuid``, ``project_id``; None: no port does."""
    joined = ports.outerjoin(instances, instances.c.uuid == ports.c.instance_uuid)
    query = select(ports.c.instance_uuid, instances.c.project_id).select_from(joined).where(ports.c.ip == ip)
    return connection.execute(query).one_or_none()


def has_mac(connection: Connection, mac: str) -> bool:
    """Whether a port has it."""
    return connection.execute(select(ports.c.id).where(ports.c.mac == mac)).first() is not None


def release(connection: Connection, instance_uuid: str) -> None:
    """The instance is no more: its addresses are free."""
    connection.execute(delete(ports).where(ports.c.instance_uuid == instance_uuid))
