"""The interfaces of a new instance: its networks, a MAC each, and addresses, given as the instance is recorded.

Owns what ``auto`` means, and which addresses may be asked for. A name that no network of the operator has is left to
the hosts' own settings (``networks``), as ever.
"""

import ipaddress
import secrets
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from migrator.db import networks
from migrator.db.engine import Connection
from migrator.db.rows import NetworkRow
from migrator.errors import BadRequest, Conflict, NetworkNotFound
from migrator.protocol import NicSpec

AUTO = "auto"  # in the place of a network's name: the only network there is


@dataclass(frozen=True, slots=True)
class WantedNic:
    """``network``: its id or name, or AUTO."""

    network: str
    fixed_ip: str | None = None
    tag: str | None = None


def give(connection: Connection, instance_uuid: str, wanted: Sequence[WantedNic]) -> tuple[NicSpec, ...]:
    """Ports for the instance, recorded. Raises BadRequest for a network or an address that cannot be had, Conflict for
    a choice that is not clear, AddressesUsedUp."""
    found = _locked(connection, [_only(connection) if nic.network == AUTO else nic.network for nic in wanted])
    return tuple(_port(connection, instance_uuid, nic, row) for nic, row in zip(wanted, found, strict=True))


def _only(connection: Connection) -> str:
    known = networks.every(connection)
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


def _locked(connection: Connection, names: Sequence[str]) -> list[NetworkRow | str]:
    """The row of each, or the name that only hosts know. All builds lock them in the same order."""
    rows: dict[str, NetworkRow] = {}
    for name in names:
        try:
            rows[name] = networks.get(connection, name)
        except NetworkNotFound as error:
            if _is_id(name):
                raise BadRequest(error.message) from error
    try:
        for ident in sorted({row.uuid for row in rows.values()}):
            networks.get(connection, ident, lock=True)
    except NetworkNotFound as error:  # removed in that time
        raise BadRequest(error.message) from error
    return [rows.get(name, name) for name in names]


def _is_id(name: str) -> bool:
    try:
        return bool(uuids.UUID(name))
    except ValueError:
        return False


def _port(connection: Connection, instance_uuid: str, nic: WantedNic, network: NetworkRow | str) -> NicSpec:
    row = None if isinstance(network, str) else network
    ip = _address(connection, nic, network)
    mac = _mac(connection)
    owned = {"network_uuid": row.uuid if row else None, "ip": ip, "tag": nic.tag}
    port = networks.add_port(connection, {"instance_uuid": instance_uuid, "mac": mac, **owned})
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


def _address(connection: Connection, nic: WantedNic, network: NetworkRow | str) -> str | None:
    if isinstance(network, str):
        if nic.fixed_ip is None:
            return None
        raise BadRequest(f"Fixed IP {nic.fixed_ip} cannot be given: migrator knows no addresses of network {network}")
    if nic.fixed_ip is None:
        return networks.address(connection, network)
    wanted = asked_address(network, nic.fixed_ip)
    user = networks.user_of(connection, ip=wanted)
    if user is not None:
        raise BadRequest(f"Fixed IP address {wanted} is already in use on instance {user}.")
    return wanted


def asked_address(network: NetworkRow, text: str) -> str:
    """The address in its canonical form. Raises BadRequest unless a guest of the network can have it."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError as error:
        raise BadRequest(f"Bad networks format: fixed_ip {text[:64]} is not an IP address") from error
    if network.cidr is None:
        raise BadRequest(f"Fixed IP {found} cannot be given: network {network.name} has no CIDR")
    if words := unusable(found, ipaddress.ip_network(network.cidr), network.gateway):
        raise BadRequest(f"Fixed IP address {found} is not a valid ip address for network {network.name}: {words}")
    return str(found)


def unusable(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    cidr: ipaddress.IPv4Network | ipaddress.IPv6Network,
    gateway: str | None,
) -> str | None:
    """Why no guest can have the address; None: one can."""
    if address not in cidr:
        return f"it is not in {cidr}"
    if cidr.num_addresses > 2 and address == cidr.network_address:
        return f"it is the address of {cidr} itself"
    if address.version == 4 and cidr.num_addresses > 2 and address == cidr.broadcast_address:
        return f"it is the broadcast address of {cidr}"
    if gateway is not None and address == ipaddress.ip_address(gateway):
        return "it is the gateway's"
    return None


def _mac(connection: Connection) -> str:
    """A locally administered unicast address that no port has, under the prefix that OpenStack uses for its ports."""
    while True:
        found = "fa:16:3e:" + ":".join(f"{secrets.randbelow(256):02x}" for _ in range(3))
        if networks.user_of(connection, mac=found) is None:
            return found


def recorded(nics: Sequence[NicSpec]) -> list[Mapping[str, object]]:
    """What lists and views read of them: ``instances.networks``."""
    return [nic.model_dump(mode="json", include={"network", "mac", "ip"}) for nic in nics]
