"""POST /servers over HTTP: what is made, where, and what is refused in which words."""

from typing import Any

import pytest
from sqlalchemy import select

from migrator.db import instances
from migrator.db.tables import claims
from tests.api import seed
from tests.api.harness import Api
from tests.api.seed import IMAGE, NOBODY


def new(**more: Any) -> dict[str, Any]:
    return {"server": {"name": "cap", "imageRef": IMAGE, "flavorRef": "1", "networks": "none"} | more}


def test_create(api: Api) -> None:
    disk = {"uuid": IMAGE, "source_type": "image", "destination_type": "local", "boot_index": 0}
    answer = api("POST", "/servers", body=new(tags=["t"], description="d", block_device_mapping_v2=[disk]))
    assert answer.status == 202
    created = answer.json["server"]
    assert set(created) == {"id", "links", "OS-DCF:diskConfig", "security_groups"}
    assert answer.headers["location"] == f"http://testserver/v2.1/servers/{created['id']}"
    shown = api("GET", f"/servers/{created['id']}").json["server"]
    assert (shown["tags"], shown["description"], shown["name"]) == (["t"], "d", "cap")
    assert shown["OS-EXT-AZ:availability_zone"] in ("", "nova")


@pytest.mark.parametrize(
    ("asked", "targets"), [({}, ["vda", "vdb"]), ({"config_drive": "True"}, ["vda", "vdb", "sda"])]
)
def test_disks_beside_the_root(api: Api, asked: dict[str, Any], targets: list[str]) -> None:
    extra = {"migrator:storage": "shared", "migrator:ephemeral_storage": "fast"}
    for name in ("compute1", "compute2"):
        seed.pools(api.db, name, shared="same", fast=name)
    seed.flavor(api.db, flavorid="2", name="m1.scratch", ephemeral_gb=3, extra_specs=extra)
    uuid = api("POST", "/servers", body=new(flavorRef="2", **asked)).json["server"]["id"]
    with api.db.read() as connection:
        disks = instances.get(connection, uuid).spec["disks"]
        claimed = connection.execute(select(claims.c.disk_gb)).scalar_one()
    assert [disk["pool"] for disk in disks] == ["shared", "fast", "shared"][: len(disks)]
    assert (disks[1]["size_gb"], disks[1]["image_id"], disks[1]["format"]) == (3, None, "qcow2")
    assert [disk["config_drive"] for disk in disks] == [target == "sda" for target in targets]
    assert [disk["target"] for disk in disks] == targets
    assert claimed == seed.FLAVOR["disk_gb"] + 3, "both take room on the host"
    shown = api("GET", f"/servers/{uuid}").json["server"]
    assert shown["config_drive"] == ("True" if asked else "")


def test_create_many(api: Api) -> None:
    answer = api("POST", "/servers", body=new(min_count=2, max_count=2, return_reservation_id=True))
    assert (answer.status, set(answer.json)) == (202, {"reservation_id"})
    found = api("GET", f"/servers?reservation_id={answer.json['reservation_id']}").json["servers"]
    assert [server["name"] for server in found] == ["cap-2", "cap-1"]


def test_create_on_a_host(api: Api) -> None:
    for version, body in (
        (
            "2.1",
            {
                "server": {
                    "name": "a",
                    "imageRef": IMAGE,
                    "flavorRef": "1",
                    "availability_zone": "nova:compute2",
                }
            },
        ),
        ("2.74", new(host="compute2")),
        ("2.74", new(hypervisor_hostname="compute2")),
    ):
        uuid = api("POST", "/servers", version, body).json["server"]["id"]
        actions = api("GET", f"/servers/{uuid}/os-instance-actions", "2.1").json["instanceActions"]
        assert [action["action"] for action in actions] == ["create"]


@pytest.mark.parametrize(
    ("version", "server", "text"),
    [
        ("2.1", {}, "Invalid input for field/attribute server. Value: {}. 'name' is a required property"),
        ("2.96", {"flavorRef": "nosuch"}, "Flavor nosuch could not be found."),
        ("2.96", {"imageRef": NOBODY}, "Can not find requested image"),
        ("2.96", {"host": "nosuch"}, "Compute host nosuch could not be found."),
        ("2.96", {"availability_zone": "nosuch-az"}, "The requested availability zone is not available"),
        ("2.96", {"key_name": "mine"}, "Invalid key_name provided."),
        ("2.96", {"user_data": "eA="}, "User data needs to be valid base 64."),
        ("2.96", {"min_count": 3, "max_count": 2}, "min_count must be <= max_count"),
        ("2.96", {"max_count": 10**6}, "max_count must be at most 100"),
        ("2.96", {"min_count": 0}, "Invalid input for field/attribute min_count."),
        ("2.96", {"nosuch": 1}, "Additional properties are not allowed ('nosuch' was unexpected)"),
        ("2.96", {"networks": None}, "Invalid input for field/attribute networks."),
        ("2.96", {"name": " "}, "Invalid input for field/attribute name."),
        ("2.96", {"imageRef": None}, "Invalid input for field/attribute imageRef."),
        ("2.18", {"networks": [], "description": "d"}, "('description' was unexpected)"),
    ],
)
def test_create_refusals(api: Api, version: str, server: dict[str, Any], text: str) -> None:
    body = new(**server) if server else {"server": {}}
    answer = api("POST", "/servers", version, body)
    assert answer.status == 400
    assert text in answer.message
    assert api("GET", "/servers").json == {"servers": []}, "nothing half done"


def test_networks_are_required_from_2_37(api: Api) -> None:
    body = {"server": {"name": "x", "imageRef": IMAGE, "flavorRef": "1"}}
    answer = api("POST", "/servers", "2.37", body)
    assert answer.status == 400
    assert answer.message.endswith("'networks' is a required property")
    assert api("POST", "/servers", "2.36", body).status == 202


def test_image_that_does_not_fit(api: Api) -> None:
    seed.image(api.db, NOBODY, virtual_size=5 * 1024**3)
    assert api("POST", "/servers", body=new(imageRef=NOBODY)).message == (
        "Flavor's disk is too small for requested image. Flavor disk is 1073741824 bytes, image is 5368709120 bytes."
    )


def test_user_data_is_kept_for_the_config_drive_that_such_a_server_has(api: Api) -> None:
    uuid = api("POST", "/servers", body=new(user_data="I2Nsb3Vk\nLWNvbmZpZwo=")).json["server"]["id"]
    with api.db.read() as connection:
        spec = instances.get(connection, uuid).spec
    assert (spec["user_data"], spec["hostname"]) == ("I2Nsb3VkLWNvbmZpZwo=", "cap")
    assert [disk["config_drive"] for disk in spec["disks"]] == [False, True]
    shown = api("GET", f"/servers/{uuid}").json["server"]
    assert (shown["config_drive"], shown["OS-EXT-SRV-ATTR:user_data"]) == ("True", "I2Nsb3VkLWNvbmZpZwo=")
    too_long = api("POST", "/servers", body=new(user_data="a" * 65536))
    assert (too_long.status, "user_data" in too_long.message) == (400, True)
