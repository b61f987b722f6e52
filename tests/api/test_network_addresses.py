"""Which addresses of a network a guest can have: by one spelling each, never the gateway's, and chosen by whom."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.db import networks
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api, Web
from tests.api.test_networks import addresses, begun, boot, booted, lab, network

V6 = {"cidr": "fd00::/64", "gateway": "fd00::1", "ranges": ["fd00::2-fd00::9"]}
MEMBER = Caller("m", "members", "", is_admin=False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cidr", "fe80::%eth0/64"),
        ("gateway", "fd00::1%yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"),
        ("dns", ["fd00::53%a"]),
        ("ranges", ["fd00::2%a-fd00::9"]),
    ],
)
def test_a_zone_id_is_no_part_of_a_networks_addresses(api: Api, field: str, value: Any) -> None:
    answer = network(api, **V6 | {field: value})
    assert (answer.status, "has a zone id" in answer.json["error"]["message"]) == (400, True), answer.json


@pytest.mark.parametrize("asked", ["fd00::2%a", "fd00::1%a", "fd00::1%", "fd00::5%25eth0"])
def test_a_zone_id_gives_no_address_twice_nor_the_gateways(api: Api, asked: str) -> None:
    lab(api, **V6)
    assert addresses(api, booted(api, [{"uuid": "lab"}])) == {"lab": ["fd00::2"]}
    before = begun(api)
    answer = boot(api, [{"uuid": "lab", "fixed_ip": asked}])
    assert (answer.status, f"fixed_ip {asked} is not an IP address" in answer.message) == (400, True), answer.message
    assert begun(api) == before


def test_a_dns_servers_address_is_no_guests_as_the_gateways_is_not(api: Api) -> None:
    lab(api, dns=["10.9.0.53", "9.9.9.9"])
    answer = boot(api, [{"uuid": "lab", "fixed_ip": "10.9.0.53"}])
    assert (answer.status, answer.message.endswith("it is a DNS server's")) == (400, True), answer.message
    both = network(api, name="other", ranges=["10.9.0.50-10.9.0.59"], dns=["10.9.0.53"])
    assert (both.status, both.json["error"]["message"]) == (
        400,
        "ranges: 10.9.0.50-10.9.0.59 has 10.9.0.53 in it, which is a DNS server's",
    )


def test_a_network_of_an_earlier_release_gives_no_guest_the_dns_servers_address(api: Api) -> None:
    values: dict[str, Any] = {"name": "old", "kind": "bridge", "bridge": "br0", "vlan": None, "cidr": "10.9.0.0/24"}
    values |= {"gateway": "10.9.0.2", "dns": ["10.9.0.1"], "ranges": [["10.9.0.1", "10.9.0.3"]]}
    with api.db.write() as connection:
        networks.create(connection, values)
    assert addresses(api, booted(api, [{"uuid": "old"}])) == {"old": ["10.9.0.3"]}
    assert boot(api, [{"uuid": "old"}]).status == 409


def test_an_address_in_another_networks_range_is_that_networks(api: Api) -> None:
    lab(api)
    lab(api, name="wide", cidr="10.9.0.0/16", ranges=["10.9.1.1-10.9.1.9"])
    answer = boot(api, [{"uuid": "wide", "fixed_ip": "10.9.0.100"}])
    assert answer.status == 400
    assert answer.message == (
        "Fixed IP address 10.9.0.100 is not a valid ip address for network wide: it is in a range of network lab"
    )
    assert addresses(api, booted(api, [{"uuid": "wide", "fixed_ip": "10.9.0.102"}])) == {"wide": ["10.9.0.102"]}


def test_only_an_administrator_gives_an_address_outside_the_networks_ranges(api: Api) -> None:
    lab(api)
    lab(api, name="open", cidr="10.7.0.0/24", ranges=[])
    booted(api, [{"uuid": "lab", "fixed_ip": "10.9.0.7"}])
    api.web.caller = MEMBER
    before = begun(api)
    for name, ip, ranges in (("lab", "10.9.0.8", "10.9.0.100-10.9.0.101"), ("open", "10.7.0.8", "none")):
        answer = boot(api, [{"uuid": name, "fixed_ip": ip}])
        said = f"only an administrator gives one that is outside its ranges ({ranges})"
        assert (answer.status, said in answer.message) == (400, True), answer.message
    assert begun(api) == before
    mine = booted(api, [{"uuid": "lab", "fixed_ip": "10.9.0.101"}])
    assert addresses(api, mine) == {"lab": ["10.9.0.101"]}
    again = boot(api, [{"uuid": "lab", "fixed_ip": "10.9.0.101"}])
    assert again.message == f"Fixed IP address 10.9.0.101 is already in use on instance {mine}."


def test_who_has_an_address_is_not_told_to_another_project(api: Api) -> None:
    lab(api)
    booted(api, [{"uuid": "lab"}])
    api.web.caller = MEMBER
    answer = boot(api, [{"uuid": "lab", "fixed_ip": "10.9.0.100"}])
    assert (answer.status, answer.message) == (
        400,
        "Fixed IP address 10.9.0.100 is already in use on an instance of another project.",
    )


@pytest.mark.parametrize(
    ("version", "known"), [("2.31", 0), ("2.32", 1), ("2.36", 1), ("2.37", 0), ("2.41", 0), ("2.42", 1)]
)
def test_a_networks_tag_is_asked_for_where_nova_has_it(api: Api, version: str, known: int) -> None:
    lab(api)
    server = {"name": "one", "flavorRef": "1", "imageRef": seed.IMAGE, "networks": [{"uuid": "lab", "tag": "front"}]}
    answer = api("POST", "/servers", version, {"server": server})
    assert answer.status == (202 if known else 400), answer.json


def test_below_2_37_a_server_that_names_no_network_is_in_the_only_one(api: Api) -> None:
    server = {"name": "one", "flavorRef": "1", "imageRef": seed.IMAGE}

    def given(more: Any, version: str = "2.36") -> dict[str, list[str]]:
        answer = api("POST", "/servers", version, {"server": server | more})
        assert answer.status == 202, answer.json
        return addresses(api, answer.json["server"]["id"])

    assert given({}) == {}
    lab(api)
    assert given({"networks": []}, "2.37") == {}
    assert [given({}), given({"networks": []})] == [{"lab": ["10.9.0.100"]}, {"lab": ["10.9.0.101"]}]
    lab(api, name="other", ranges=[])
    assert given({}) == {}


@pytest.fixture
def bounded(api: Api, tmp_path: Path) -> Iterator[Api]:
    """Projects have three ports at most."""
    made = Web(api.db, tmp_path, quota_ports=3)
    yield Api(made)
    made.services.db.close()


def test_a_projects_ports_are_bounded_in_one_request_and_in_all(bounded: Api) -> None:
    api = bounded
    lab(api, ranges=["10.9.0.100-10.9.0.199"])
    before = begun(api)
    for networks_asked, more in (([{"uuid": "lab"}] * 4, {}), ([{"uuid": "lab"}] * 2, {"min_count": 2})):
        answer = boot(api, networks_asked, **more)
        assert (answer.status, answer.message) == (403, "Maximum number of ports exceeded")
    assert begun(api) == before
    booted(api, [{"uuid": "lab"}] * 2)
    assert boot(api, [{"uuid": "lab"}], min_count=1, max_count=3).status == 202
    assert begun(api) == (2, 3), "as many as the quota allows"
    assert boot(api, "auto").status == 403
    assert boot(api, "none").status == 202
    api.web.caller = MEMBER
    assert boot(api, [{"uuid": "lab"}]).status == 202, "another project has its own"
