"""``/v1/networks``, and the addresses of servers that are in them: given, kept from others, freed."""

from typing import Any

import pytest
from sqlalchemy import select

from migrator.db import instances
from migrator.db.tables import hosts, operations, ports
from migrator.operations import Effect
from migrator.scheduler.decision.snapshot import NOTHING
from migrator.scheduler.state import loader
from migrator.scheduler.state.effects import EFFECTS
from tests.api import seed
from tests.api.harness import Answered, Api

LAB = {"name": "lab", "bridge": "br0", "cidr": "10.9.0.0/24", "ranges": ["10.9.0.100-10.9.0.101"]}


def network(api: Api, **more: Any) -> Answered:
    return Answered(api.web("POST", "/v1/networks", None, json={"network": LAB | more}))


def lab(api: Api, **more: Any) -> str:
    answer = network(api, **more)
    assert answer.status == 201, answer.json
    return str(answer.json["network"]["id"])


def boot(api: Api, networks: Any, **more: Any) -> Answered:
    server = {"name": "one", "flavorRef": "1", "imageRef": seed.IMAGE, "networks": networks} | more
    return api("POST", "/servers", body={"server": server})


def booted(api: Api, networks: Any) -> str:
    answer = boot(api, networks)
    assert answer.status == 202, answer.json
    return str(answer.json["server"]["id"])


def addresses(api: Api, uuid: str) -> dict[str, list[str]]:
    shown = api("GET", f"/servers/{uuid}").json["server"]["addresses"]
    return {name: [one["addr"] for one in found] for name, found in shown.items()}


def begun(api: Api) -> tuple[int, int]:
    with api.db.read() as connection:
        return tuple(len(connection.execute(select(table.c.id)).all()) for table in (operations, ports))  # type: ignore[return-value]


def test_a_network_is_named_listed_shown_and_deleted(api: Api) -> None:
    ident = lab(api, gateway="10.9.0.1", dns=["10.9.0.53"], kind="vlan", vlan=7)
    shown = api.web("GET", "/v1/networks/lab", None).json()["network"]
    assert {name: shown[name] for name in ("id", "kind", "vlan", "gateway", "dns", "ranges", "ports")} == {
        "id": ident,
        "kind": "vlan",
        "vlan": 7,
        "gateway": "10.9.0.1",
        "dns": ["10.9.0.53"],
        "ranges": ["10.9.0.100-10.9.0.101"],
        "ports": 0,
    }
    assert api.web("GET", "/v1/networks", None).json()["networks"] == [shown]
    assert api.web("DELETE", f"/v1/networks/{ident}", None).status_code == 204
    assert api.web("GET", f"/v1/networks/{ident}", None).json()["error"]["code"] == "network_not_found"
    assert api.web("DELETE", f"/v1/networks/{ident}", None).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"cidr": "10.9.0.7/24"}, "cidr: 10.9.0.7/24 has host bits set"),
        ({"cidr": "lan"}, "cidr: 'lan' does not appear to be"),
        ({"cidr": None}, "cidr: a gateway and ranges need one"),
        ({"gateway": "10.8.0.1"}, "gateway: 10.8.0.1 is no host's address: it is not in 10.9.0.0/24"),
        ({"ranges": ["10.9.0.100"]}, "ranges: 10.9.0.100 is no range: expected FIRST-LAST"),
        ({"ranges": ["10.9.0.9-10.9.0.3"]}, "ends before it begins"),
        ({"ranges": ["10.9.0.9-10.9.1.3"]}, "10.9.1.3 cannot be given to a guest: it is not in 10.9.0.0/24"),
        ({"ranges": ["10.9.0.0-10.9.0.3"]}, "it is the address of 10.9.0.0/24 itself"),
        ({"ranges": ["10.9.0.9-10.9.0.255"]}, "it is the broadcast address"),
        ({"ranges": ["10.9.0.9-fd00::1"]}, "fd00::1 cannot be given"),
        ({"gateway": "10.9.0.5", "ranges": ["10.9.0.2-10.9.0.9"]}, "has 10.9.0.5 in it, which is the gateway's"),
        ({"ranges": ["10.9.0.2-10.9.0.9", "10.9.0.9-10.9.0.12"]}, "overlaps 10.9.0.2-10.9.0.9 of the same network"),
        ({"dns": ["resolver"]}, "dns: 'resolver'"),
        ({"kind": "vlan"}, "vlan: a network of kind vlan needs one"),
        ({"vlan": 7}, "vlan: 7 needs kind vlan or openvswitch"),
        ({"kind": "wifi"}, "network.kind"),
        ({"bridge": "../br0"}, "network.bridge"),
        ({"bridge": "sixteen-letters-"}, "network.bridge"),
    ],
)
def test_addresses_that_do_not_fit_are_refused_by_name(api: Api, wrong: dict[str, Any], says: str) -> None:
    answer = network(api, **wrong)
    assert (answer.status, says in answer.json["error"]["message"]) == (400, True), answer.json


def test_two_networks_have_neither_a_name_nor_an_address_in_common(api: Api) -> None:
    lab(api)
    taken = network(api, ranges=[])
    assert (taken.status, taken.json["error"]["code"]) == (409, "already_exists")
    both = network(api, name="other", cidr="10.9.0.0/16", ranges=["10.9.0.50-10.9.0.100"])
    assert both.status == 409
    assert both.json["error"]["message"] == (
        "the range 10.9.0.50-10.9.0.100 overlaps 10.9.0.100-10.9.0.101 of network lab"
    )
    assert network(api, name="other", cidr="fd00::/64", ranges=["fd00::5-fd00::9"]).status == 201


@pytest.mark.parametrize("named", ["id", "lab"])
def test_each_server_gets_a_mac_and_the_lowest_free_address(api: Api, named: str) -> None:
    ident = lab(api)
    uuids = [booted(api, [{"uuid": ident if named == "id" else named}]) for _ in "ab"]
    assert [addresses(api, uuid) for uuid in uuids] == [{"lab": ["10.9.0.100"]}, {"lab": ["10.9.0.101"]}]
    with api.db.read() as connection:
        (nic,) = instances.get(connection, uuids[0]).spec["nics"]
    about = ("network", "network_id", "bridge", "ip", "cidr", "kind")
    assert [nic[name] for name in about] == ["lab", ident, "br0", "10.9.0.100", "10.9.0.0/24", "bridge"]
    assert [row["id"] for row in api("GET", "/servers?ip=10.9.0.101", "2.1").json["servers"]] == [uuids[1]]
    in_use = api.web("DELETE", "/v1/networks/lab", None)
    assert (in_use.status_code, uuids[0] in in_use.json()["error"]["message"]) == (409, True)


def test_a_range_that_is_used_up_refuses_the_boot_by_name_and_records_nothing(api: Api) -> None:
    lab(api)
    first = booted(api, [{"uuid": "lab"}])
    before = begun(api)
    two = boot(api, [{"uuid": "lab"}], min_count=2)
    assert (two.status, two.message) == (409, "No fixed IP addresses available for network: lab")
    assert begun(api) == before
    booted(api, [{"uuid": "lab"}])
    assert boot(api, [{"uuid": "lab"}]).status == 409
    ended(api, first)
    assert addresses(api, booted(api, [{"uuid": "lab"}])) == {"lab": ["10.9.0.100"]}


def ended(api: Api, uuid: str) -> None:
    """The instance is gone from its host, and its record says so."""
    with api.db.write() as connection:
        key = connection.execute(select(operations.c.id).where(operations.c.instance_uuid == uuid)).scalar_one()
        operation = loader.snapshot(connection, key, api.services.settings).operation
        EFFECTS[Effect.RECORD_DELETED](connection, operation, NOTHING)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"fixed_ip": "10.9.0.100"}, "Fixed IP address 10.9.0.100 is already in use on instance "),
        ({"fixed_ip": "10.8.0.1"}, "10.8.0.1 is not a valid ip address for network lab: it is not in 10.9.0.0/24"),
        ({"fixed_ip": "10.9.0.1"}, "it is the gateway's"),
        ({"fixed_ip": "ten"}, "fixed_ip ten is not an IP address"),
        ({"uuid": seed.NOBODY}, f"Network {seed.NOBODY} could not be found."),
        ({"uuid": "none-of-ours", "fixed_ip": "10.9.0.7"}, "migrator knows no addresses of network none-of-ours"),
        ({"port": seed.NOBODY}, "port is not supported"),
    ],
)
def test_an_address_or_a_network_that_cannot_be_had_is_refused(api: Api, asked: dict[str, str], says: str) -> None:
    lab(api, gateway="10.9.0.1")
    booted(api, [{"uuid": "lab"}])
    before = begun(api)
    answer = boot(api, [{"uuid": "lab"} | asked])
    assert (answer.status, says in answer.message) == (400, True), answer.message
    assert begun(api) == before


def test_an_address_that_was_asked_for_is_given_and_not_given_again(api: Api) -> None:
    lab(api)
    fixed = booted(api, [{"uuid": "lab", "fixed_ip": "10.9.0.7", "tag": "front"}, {"uuid": "lab"}])
    assert addresses(api, fixed) == {"lab": ["10.9.0.7", "10.9.0.100"]}
    booted(api, [{"uuid": "lab", "fixed_ip": "10.9.0.101"}])
    assert boot(api, [{"uuid": "lab"}]).status == 409
    several = boot(api, [{"uuid": "lab", "fixed_ip": "10.9.0.8"}], min_count=2)
    assert "max_count cannot be greater than 1" in several.message


def test_auto_takes_the_only_network_there_is_and_says_so_where_it_is_not_clear(api: Api) -> None:
    nothing = boot(api, "auto")
    assert (nothing.status, "there is none" in nothing.message) == (400, True)
    lab(api)
    assert addresses(api, booted(api, "auto")) == {"lab": ["10.9.0.100"]}
    assert addresses(api, booted(api, "none")) == {}
    lab(api, name="other", ranges=[])
    several = boot(api, "auto")
    assert (several.status, several.message.endswith("There are 2: lab, other")) == (409, True)


def test_clients_find_a_network_by_its_name_below_2_36(api: Api) -> None:
    ident = lab(api)
    assert [one["label"] for one in api("GET", "/os-networks", "2.1").json["networks"]] == ["lab"]
    for name in ("lab", ident):
        assert api("GET", f"/os-networks/{name}", "2.35").json["network"]["id"] == ident
    assert api("GET", "/os-networks/other", "2.1").message == "Network other could not be found."
    assert api("GET", "/os-networks", "2.36").status == 404


def test_a_servers_ports_are_listed_and_shown_and_neither_made_nor_removed_later(api: Api) -> None:
    ident = lab(api)
    uuid = booted(api, [{"uuid": "lab", "tag": "front"}, {"uuid": "of-the-hosts"}])
    path = f"/servers/{uuid}/os-interface"
    (shown,) = api("GET", path).json["interfaceAttachments"]
    with api.db.read() as connection:
        known = connection.execute(select(ports.c.uuid, ports.c.mac).where(ports.c.network_uuid == ident)).one()
    assert shown == {
        "net_id": ident,
        "port_id": known.uuid,
        "mac_addr": known.mac,
        "port_state": "ACTIVE",
        "fixed_ips": [{"subnet_id": ident, "ip_address": "10.9.0.100"}],
        "tag": "front",
    }
    assert api("GET", f"{path}/{known.uuid}").json == {"interfaceAttachment": shown}
    assert "tag" not in api("GET", f"{path}/{known.uuid}", "2.69").json["interfaceAttachment"]
    assert api("GET", f"{path}/{uuid}").message == f"Instance {uuid} does not have a port with id {uuid}"
    for method, url in (("POST", path), ("DELETE", f"{path}/{known.uuid}")):
        answer = api(method, url, body={"interfaceAttachment": {}} if method == "POST" else None)
        assert (answer.status, answer.message) == (
            400,
            "Interfaces are made with the server (networks), and go when it is deleted.",
        )
    assert api("GET", f"/servers/{uuid}/ips/lab").json == {"lab": [{"version": 4, "addr": "10.9.0.100"}]}
    assert api("GET", f"/servers/{uuid}/ips/other").message == f"Network other not found for instance {uuid}"
    (address,) = api("GET", f"/servers/{uuid}").json["server"]["addresses"]["lab"]
    assert (address["OS-EXT-IPS:type"], address["OS-EXT-IPS-MAC:mac_addr"]) == ("fixed", known.mac)


def test_no_host_without_the_bridge_takes_the_server_and_the_refusal_names_it(api: Api) -> None:
    lab(api)
    for name, bridges in (("compute1", {"br1": "bridge"}), ("compute2", {"br0": "bridge"})):
        seed.pools(api.db, name, local=name)
        with api.db.write() as connection:
            report = connection.execute(select(hosts.c.report).where(hosts.c.name == name)).scalar_one()
            connection.execute(hosts.update().where(hosts.c.name == name).values(report=report | {"bridges": bridges}))
    uuid = booted(api, [{"uuid": "lab"}])
    with api.db.read() as connection:
        found = connection.execute(select(operations.c.destination).where(operations.c.instance_uuid == uuid))
        assert found.scalar_one() == "compute2"
    refused = boot(api, [{"uuid": "lab"}], host="compute1").json["server"]["id"]
    with api.db.read() as connection:
        found = connection.execute(select(operations.c.error).where(operations.c.instance_uuid == refused))
        assert "network: no bridge for lab (it has no br0)" in str(found.scalar_one())
