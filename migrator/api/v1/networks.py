"""``/v1/networks``: the networks that instances can be in, named by the operator.

A network never changes: ports keep what they were given. What is on the wire is the hosts': nothing is made there.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_us
from migrator.db import networks as rows
from migrator.db.rows import NetworkRow
from migrator.errors import BadRequest
from migrator.protocol import NetworkKind
from migrator.scheduler.requests import guest_addresses
from migrator.scheduler.requests.guest_addresses import Address, Cidr, unusable, within

Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\ufffe\uffff]+$")]
Bridge = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$")]
Text = Annotated[str, Field(min_length=1, max_length=100)]
_MOST_RANGES, _MOST_DNS = 64, 8


class NewNetwork(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name
    kind: str = Field(NetworkKind.BRIDGE, pattern=f"^({'|'.join(NetworkKind)})$")
    bridge: Bridge = Field(description="that every host has which shall take its instances")
    vlan: int | None = Field(None, ge=1, le=4094, description="tag of its frames on the bridge")
    cidr: Text | None = Field(None, description="10.9.0.0/24; without it migrator knows no addresses")
    gateway: Text | None = Field(None, description="of guests; no guest gets its address, nor a DNS server's")
    dns: list[Text] = Field(default_factory=list, max_length=_MOST_DNS)
    ranges: list[Text] = Field(
        default_factory=list, max_length=_MOST_RANGES, description="FIRST-LAST, of addresses that are given to guests"
    )


class NewNetworkRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    network: NewNetwork


def create(request: ApiRequest) -> Answer:
    """Errors: 400 for addresses that do not fit each other; 409 for a known name, or for a range that overlaps another
    network's."""
    values = _values(request.body.network)
    with request.services.db.write() as connection:
        return Answer(201, {"network": _view(rows.create(connection, values), 0)})


def index(request: ApiRequest) -> Answer:
    """By name."""
    with request.services.db.read() as connection:
        found, used = rows.every(connection), rows.used(connection)
    return Answer(200, {"networks": [_view(row, used.get(row.uuid, 0)) for row in found]})


def show(request: ApiRequest) -> Answer:
    """By id or name."""
    with request.services.db.read() as connection:
        row, used = rows.get(connection, request.params["ident"]), rows.used(connection)
    return Answer(200, {"network": _view(row, used.get(row.uuid, 0))})


def delete(request: ApiRequest) -> Answer:
    """By id or name. Errors: 404; 409 while an instance is in it."""
    with request.services.db.write() as connection:
        rows.remove(connection, request.params["ident"])
    return Answer(204)


def _view(row: NetworkRow, used: int) -> dict[str, Any]:
    """``ports``: how many instances' interfaces are in it."""
    shown = {name: getattr(row, name) for name in ("name", "kind", "bridge", "vlan", "cidr", "gateway", "dns")}
    ranges = ["-".join(one) for one in row.ranges]
    return {"id": row.uuid, **shown, "ranges": ranges, "ports": used, "created_at": iso_us(row.created_at)}


def _values(wanted: NewNetwork) -> dict[str, Any]:
    """The row's. Raises BadRequest that names what does not fit."""
    _check_vlan(wanted)
    cidr = _cidr(wanted.cidr) if wanted.cidr is not None else None
    gateway = _address("gateway", wanted.gateway) if wanted.gateway is not None else None
    if cidr is None and (gateway is not None or wanted.ranges):
        raise BadRequest("cidr: a gateway and ranges need one: give the network's CIDR, such as 10.9.0.0/24")
    if cidr is not None and gateway is not None and (message := unusable(gateway, cidr, {})):
        raise BadRequest(f"gateway: {gateway} is no host's address: {message}")
    dns = [str(_address("dns", text)) for text in wanted.dns]
    taken = guest_addresses.others(str(gateway) if gateway is not None else None, dns)
    ranges: list[tuple[Address, Address]] = []
    for text in wanted.ranges:
        assert cidr is not None
        found = _range(text, cidr, taken)
        for first, last in ranges:
            if found[0] <= last and first <= found[1]:  # type: ignore[operator]  # both are of the CIDR's version
                raise BadRequest(f"ranges: {text} overlaps {first}-{last} of the same network")
        ranges.append(found)
    return {
        "name": wanted.name,
        "kind": str(wanted.kind),
        "bridge": wanted.bridge,
        "vlan": wanted.vlan,
        "cidr": str(cidr) if cidr is not None else None,
        "gateway": str(gateway) if gateway is not None else None,
        "dns": dns,
        "ranges": [[str(first), str(last)] for first, last in ranges],
    }


def _check_vlan(wanted: NewNetwork) -> None:
    if wanted.kind == NetworkKind.VLAN and wanted.vlan is None:
        raise BadRequest("vlan: a network of kind vlan needs one, from 1 to 4094")
    if wanted.kind == NetworkKind.BRIDGE and wanted.vlan is not None:
        raise BadRequest(f"vlan: {wanted.vlan} needs kind vlan or openvswitch; a network of kind bridge has no tag")


def _cidr(text: str) -> Cidr:
    try:
        return guest_addresses.cidr(text)
    except ValueError as error:
        raise BadRequest(f"cidr: {error}; expected a network's address and its length, such as 10.9.0.0/24") from error


def _address(field: str, text: str) -> Address:
    try:
        return guest_addresses.address(text)
    except ValueError as error:
        raise BadRequest(f"{field}: {error}") from error


def _range(text: str, cidr: Cidr, taken: Mapping[str, str]) -> tuple[Address, Address]:
    parts: Sequence[str] = text.split("-")
    if len(parts) != 2:
        raise BadRequest(f"ranges: {text} is no range: expected FIRST-LAST, such as 10.9.0.100-10.9.0.199")
    first, last = (_address("ranges", part.strip()) for part in parts)
    for one in (first, last):
        if message := unusable(one, cidr, taken):
            raise BadRequest(f"ranges: {one} cannot be given to a guest: {message}")
    if int(first) > int(last):
        raise BadRequest(f"ranges: {text} ends before it begins")
    for other, owner in taken.items():
        if within(guest_addresses.address(other), [(str(first), str(last))]):
            raise BadRequest(f"ranges: {text} has {other} in it, which is {owner}")
    return first, last
