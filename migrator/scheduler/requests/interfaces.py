"""The interfaces of a new instance: its networks, a MAC each, and addresses, given as the instance is recorded.

Owns what ``auto`` means, and which addresses may be asked for. A name that no network of the operator has is left to
the hosts' own settings (``networks``), as ever.
"""

import secrets
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from migrator.db import networks
from migrator.db.engine import Connection
from migrator.db.rows import NetworkRow
from migrator.errors import BadRequest, Conflict, NetworkNotFound
from migrator.protocol import NicSpec
from migrator.scheduler.requests import guest_addresses
from migrator.scheduler.requests.guest_addresses import Address, overlapping, unusable, within

AUTO = "auto"  # in the place of a network's name: the only network there is


@dataclass(frozen=True, slots=True)
class WantedNic:
    """``network``: its id or name, or AUTO; ``optional``: AUTO, or no interface where that is not clear."""

    network: str
    fixed_ip: str | None = None
    tag: str | None = None
    optional: bool = False


class Interfaces:
    """Gives the instances that one transaction records their ports. Reads the addresses of a network once.

    ``project``: whose instances may be named, and who gets addresses of the networks' own ranges alone; None: an
    administrator.
    """

    def __init__(self, connection: Connection, project: str | None) -> None:
        self._connection = connection
        self._project = project
        self._addresses: dict[str, networks.Addresses] = {}  # network -> its own

    def give(self, instance_uuid: str, wanted: Sequence[WantedNic]) -> tuple[NicSpec, ...]:
        """Ports for the instance, recorded. Raises BadRequest for a network or an address that cannot be had, Conflict
        for a choice that is not clear, AddressesUsedUp."""
        named = self.named(wanted)
        found = _locked(self._connection, named)
        return tuple(self._port(instance_uuid, nic, found.get(nic.network)) for nic in named)

    def named(self, wanted: Sequence[WantedNic]) -> Sequence[WantedNic]:
        """With the only network there is in the place of AUTO. Raises BadRequest, Conflict."""
        if all(nic.network != AUTO for nic in wanted):
            return wanted
        known = networks.every(self._connection)
        clear = [nic for nic in wanted if not (nic.optional and len(known) != 1)]
        return [replace(nic, network=_only(known)) if nic.network == AUTO else nic for nic in clear]

    def _port(self, instance_uuid: str, nic: WantedNic, row: NetworkRow | None) -> NicSpec:
        ip = self._address(nic, row)
        mac = _mac(self._connection)
        owned = {"network_uuid": row.uuid if row else None, "ip": ip, "tag": nic.tag}
        port = networks.add_port(self._connection, {"instance_uuid": instance_uuid, "mac": mac, **owned})
        if row is None:
            return NicSpec(network=nic.network, mac=mac, tag=nic.tag, port=port)
        return NicSpec(
            network=row.name,
            mac=mac,
            ip=ip,
            tag=nic.tag,
            port=port,
            network_id=row.uuid,
            kind=row.kind,
            bridge=row.bridge,
            vlan=row.vlan,
            cidr=row.cidr,
            gateway=row.gateway,
            dns=tuple(row.dns),
        )

    def _address(self, nic: WantedNic, row: NetworkRow | None) -> str | None:
        if row is None:
            if nic.fixed_ip is None:
                return None
            raise BadRequest(
                f"Fixed IP {nic.fixed_ip} cannot be given: migrator knows no addresses of network {nic.network}"
            )
        if row.uuid not in self._addresses:
            self._addresses[row.uuid] = networks.Addresses(self._connection, row)
        addresses = self._addresses[row.uuid]
        if nic.fixed_ip is None:
            return addresses.lowest()
        known = networks.every(self._connection)
        wanted = asked_address(row, nic.fixed_ip, known, only_ranges=self._project is not None)
        self._refuse_used(wanted)
        addresses.take(wanted)
        return wanted

    def _refuse_used(self, ip: str) -> None:
        user = networks.user_of(self._connection, ip)
        if user is None:
            return
        nameable = self._project in (None, user.project_id)
        instance = f"instance {user.instance_uuid}" if nameable else "an instance of another project"
        raise BadRequest(f"Fixed IP address {ip} is already in use on {instance}.")


def _only(known: Sequence[NetworkRow]) -> str:
    if not known:
        raise BadRequest(
            "Unable to automatically allocate a network: there is none; name one with migrator network-create, or ask "
            "for none"
        )
    if len(known) > 1:
        names = ", ".join(row.name for row in known[:10])
        raise Conflict(
            f"Multiple possible networks found, use a Network ID to be more specific. There are {len(known)}: {names}"
        )
    return known[0].uuid


def _locked(connection: Connection, wanted: Sequence[WantedNic]) -> Mapping[str, NetworkRow]:
    """By the name they were asked for; a name that only hosts know has none. All builds lock them in the same order,
    and with them the networks in whose CIDR an address is asked for: else two requests for the same two addresses
    wait for each other."""
    rows: dict[str, NetworkRow] = {}
    for nic in wanted:
        try:
            rows[nic.network] = networks.get(connection, nic.network)
        except NetworkNotFound as error:
            if _is_id(nic.network):
                raise BadRequest(error.message) from error
    asked = {row.uuid for row in rows.values()}
    fixed = [rows[nic.network].cidr for nic in wanted if nic.fixed_ip is not None and nic.network in rows]
    known = networks.every(connection) if fixed else ()
    beside = {other.uuid for other in known if any(overlapping(cidr, other.cidr) for cidr in fixed)}
    if gone := asked - networks.lock(connection, asked | beside):
        raise BadRequest(f"Network {min(gone)} could not be found.")
    return rows


def _is_id(name: str) -> bool:
    try:
        return bool(uuids.UUID(name))
    except ValueError:
        return False


def asked_address(network: NetworkRow, text: str, known: Sequence[NetworkRow], *, only_ranges: bool) -> str:
    """The address in its canonical form. ``known``: all networks. Raises BadRequest unless a guest of the network can
    have it."""
    try:
        found = guest_addresses.address(text)
    except ValueError as error:
        raise BadRequest(f"Bad networks format: fixed_ip {text[:64]} is not an IP address") from error
    if network.cidr is None:
        raise BadRequest(f"Fixed IP {found} cannot be given: network {network.name} has no CIDR")
    taken = guest_addresses.others(network.gateway, network.dns)
    message = unusable(found, guest_addresses.cidr(network.cidr), taken)
    if message is None and not within(found, network.ranges):
        message = _outside(network, found, known, only_ranges=only_ranges)
    if message is not None:
        raise BadRequest(f"Fixed IP address {found} is not a valid ip address for network {network.name}: {message}")
    return str(found)


def _outside(network: NetworkRow, address: Address, known: Sequence[NetworkRow], *, only_ranges: bool) -> str | None:
    """Why an address that is in none of the network's ranges cannot be had; None: it can."""
    if only_ranges:
        ranges = ", ".join("-".join(one) for one in network.ranges) or "none"
        return f"only an administrator gives one that is outside its ranges ({ranges})"
    theirs = (other.name for other in known if within(address, other.ranges))
    name = next(theirs, None)
    return f"it is in a range of network {name}" if name is not None else None


def _mac(connection: Connection) -> str:
    """A locally administered unicast address that no port has, under the prefix that OpenStack uses for its ports."""
    while True:
        found = "fa:16:3e:" + ":".join(f"{secrets.randbelow(256):02x}" for _ in range(3))
        if not networks.has_mac(connection, found):
            return found


def recorded(nics: Sequence[NicSpec]) -> list[Mapping[str, object]]:
    """What lists and views read of them: ``instances.networks``."""
    return [nic.model_dump(mode="json", include={"network", "mac", "ip"}) for nic in nics]
