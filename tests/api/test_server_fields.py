"""accessIPv4, accessIPv6, OS-DCF:diskConfig and hostname: asked for, recorded, shown and filtered by, as in Nova."""

from typing import Any

import pytest

from migrator.db import instances
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api
from tests.api.seed import IMAGE

ASKED = {
    "accessIPv4": "192.0.2.7",
    "accessIPv6": "2001:db8::7",
    "OS-DCF:diskConfig": "AUTO",
    "hostname": "guest-7",
}
MADE = {"accessIPv4": "", "accessIPv6": "", "OS-DCF:diskConfig": "MANUAL", "hostname": "web-1"}


def boot(api: Api, version: str = "2.96", **more: Any) -> Any:
    server = {"name": "Web_1", "flavorRef": "1", "imageRef": IMAGE, "networks": "none"} | more
    return api("POST", "/servers", version, {"server": server})


def shown(api: Api, uuid: str) -> dict[str, Any]:
    server = api("GET", f"/servers/{uuid}").json["server"] | {}
    server["hostname"] = server["OS-EXT-SRV-ATTR:hostname"]
    return {name: server[name] for name in ASKED}


def test_they_are_recorded_at_the_creation_and_the_guest_is_told_its_host_name(api: Api) -> None:
    made = boot(api, **ASKED).json["server"]
    assert made["OS-DCF:diskConfig"] == "AUTO"
    assert shown(api, made["id"]) == ASKED
    with api.db.read() as connection:
        assert instances.get(connection, made["id"]).spec["hostname"] == "guest-7"
    assert shown(api, boot(api).json["server"]["id"]) == MADE


def test_they_are_changed_by_put_and_a_new_name_changes_no_host_name(api: Api) -> None:
    uuid = boot(api).json["server"]["id"]
    assert api("PUT", f"/servers/{uuid}", body={"server": {"name": "other"}}).status == 200
    assert shown(api, uuid) == MADE
    answer = api("PUT", f"/servers/{uuid}", body={"server": ASKED})
    assert (answer.status, answer.json["server"]["accessIPv4"]) == (200, "192.0.2.7")
    assert shown(api, uuid) == ASKED
    assert api("PUT", f"/servers/{uuid}", body={"server": {"accessIPv4": "", "accessIPv6": ""}}).status == 200
    assert shown(api, uuid) == ASKED | {"accessIPv4": "", "accessIPv6": ""}


def test_servers_of_one_request_have_numbered_host_names_and_cannot_share_one(api: Api) -> None:
    refused = boot(api, hostname="many", max_count=2)
    assert (refused.status, refused.message) == (400, "Unable to allocate a single hostname to multiple instances")
    boot(api, name="auto", max_count=2)
    boot(api, name="long" * 20, max_count=2)
    found = api("GET", "/servers/detail?sort_key=hostname&sort_dir=asc").json["servers"]
    long = ("long" * 20)[:61]
    assert [one["OS-EXT-SRV-ATTR:hostname"] for one in found] == ["auto-1", "auto-2", f"{long}-1", f"{long}-2"]


def test_an_address_is_recorded_in_its_short_spelling(api: Api) -> None:
    long = "0000:0000:0000:0000:0000:FFFF:192.168.100.228"
    uuid = boot(api, accessIPv6=long).json["server"]["id"]
    assert shown(api, uuid)["accessIPv6"] in ("::ffff:c0a8:64e4", "::ffff:192.168.100.228")
    assert api("PUT", f"/servers/{uuid}", body={"server": {"accessIPv6": "2001:DB8:0::1"}}).status == 200
    assert shown(api, uuid)["accessIPv6"] == "2001:db8::1"


@pytest.mark.parametrize(("version", "found"), [("2.89", 2), ("2.90", 1)])
def test_members_filter_by_host_name_from_2_90_on(api: Api, version: str, found: int) -> None:
    boot(api, **ASKED)
    boot(api)
    api.web.caller = Caller("admin", "admin", "", is_admin=False)
    assert len(api("GET", "/servers?hostname=guest-7", version).json["servers"]) == found
    assert len(api("GET", "/servers?access_ip_v4=nosuch", version).json["servers"]) == 2


@pytest.mark.parametrize("name", ["hostname", "access_ip_v4", "access_ip_v6"])
def test_servers_are_found_by_them(api: Api, name: str) -> None:
    uuid = boot(api, **ASKED).json["server"]["id"]
    boot(api)
    values = {
        "hostname": ("guest-7", "uest", "^guest-[0-9]$"),
        "access_ip_v4": ("192.0.2.7", "192", "^192[.]0"),
        "access_ip_v6": ("2001:db8::7", "db8", "db8::[7-9]$"),
    }[name]
    for value in values:
        assert [one["id"] for one in api("GET", f"/servers?{name}={value}").json["servers"]] == [uuid]
    assert api("GET", f"/servers?{name}=nosuch").json["servers"] == []
    assert api("GET", f"/servers?{name}=^[12]$").json["servers"] == []
    assert len(api("GET", f"/servers?{name}=.*").json["servers"]) == (2 if name == "hostname" else 1), "none is no text"
    refused = api("GET", f"/servers?{name}=((a{{900}}){{900}}){{900}}")
    assert (refused.status, f"Invalid regular expression for {name}: " in refused.message) == (400, True)


@pytest.mark.parametrize(
    ("version", "field", "value"),
    [
        ("2.96", "accessIPv4", "1.2.3"),
        ("2.96", "accessIPv4", "2001:db8::7"),
        ("2.96", "accessIPv6", "192.0.2.7"),
        ("2.96", "accessIPv6", "fe80::1%eth0"),
        ("2.96", "accessIPv4", None),
        ("2.96", "OS-DCF:diskConfig", "auto"),
        ("2.93", "hostname", "a"),
        ("2.93", "hostname", "-a"),
        ("2.93", "hostname", "a.example"),
        ("2.96", "hostname", ""),
        ("2.96", "hostname", "a b"),
        ("2.89", "hostname", "guest"),
    ],
)
def test_what_is_none_is_refused_by_name(api: Api, version: str, field: str, value: Any) -> None:
    uuid = seed.instance(api.db, "one")
    before = shown(api, uuid)
    put = api("PUT", f"/servers/{uuid}", version, {"server": {"name": "two", field: value}})
    for answer in (boot(api, version, **{field: value}), put):
        assert (answer.status, field in answer.message) == (400, True), answer.message
    assert shown(api, uuid) == before


def test_a_resize_sets_the_disk_config(api: Api) -> None:
    seed.flavor(api.db, flavorid="2", name="m1.large", disk_gb=2)
    uuid = seed.instance(api.db, "one")
    resize = {"resize": {"flavorRef": "2", "OS-DCF:diskConfig": "AUTO"}}
    assert api("POST", f"/servers/{uuid}/action", body=resize).status == 202
    assert shown(api, uuid)["OS-DCF:diskConfig"] == "AUTO"


def test_a_change_of_nothing_is_allowed_and_changes_nothing(api: Api) -> None:
    uuid = seed.instance(api.db, "a")
    before = api("GET", f"/servers/{uuid}").json
    assert api("PUT", f"/servers/{uuid}", body={"server": {}}).status == 200
    assert api("GET", f"/servers/{uuid}").json == before
