"""What a body or a query may hold at most, and that what is wrong with it is said by the field's name."""

import asyncio
from typing import Any

import pytest

from migrator.api import json_schema
from tests.api import seed
from tests.api.harness import Api, Web
from tests.api.seed import IMAGE

SERVER: dict[str, Any] = {"name": "x", "flavorRef": "1", "imageRef": IMAGE, "networks": "none"}


def refused(api: Api, **changed: Any) -> str:
    answer = api("POST", "/servers", "2.96", {"server": SERVER | changed})
    assert answer.status == 400, answer.json
    return answer.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x\n"),
        ("min_count", "1\n"),
        ("min_count", "9" * 5000),
        ("min_count", 2**31),
        ("max_count", "99999999999999999999"),
        ("max_count", 2**63),
        ("imageRef", f"urn:uuid:{IMAGE}"),
        ("imageRef", "{" + IMAGE + "}"),
        ("imageRef", IMAGE + "\n"),
        ("networks", [{"uuid": "lan"}] * 1000),
        ("security_groups", [{"name": "default"}] * 1000),
        ("tags", ["t"] * 2000),
    ],
)
def test_a_value_that_no_column_holds_is_refused_by_its_field(api: Api, field: str, value: Any) -> None:
    message = refused(api, **{field: value})
    assert field in message
    assert len(message) < 1000


def test_block_devices_are_bounded(api: Api) -> None:
    disk = {"source_type": "volume", "uuid": IMAGE, "boot_index": 0}
    assert "boot_index" in refused(api, block_device_mapping_v2=[disk | {"boot_index": "9" * 30}])
    assert "block_device_mapping_v2" in refused(api, block_device_mapping_v2=[disk] * 1000)


def test_a_name_leaves_room_for_the_number_that_several_servers_get(api: Api) -> None:
    assert "field/attribute name" in refused(api, name="n" * 255, min_count=2)
    assert api("POST", "/servers", "2.96", {"server": SERVER | {"name": "n" * 255}}).status == 202
    answer = api("POST", "/servers", "2.96", {"server": SERVER | {"name": "n" * 253, "min_count": 2}})
    assert answer.status == 202


def test_metadata_has_novas_limit_however_it_comes(api: Api) -> None:
    many = {f"k{number}": "v" for number in range(129)}
    limit = "Maximum number of metadata items exceeds 128"
    answer = api("POST", "/servers", "2.96", {"server": SERVER | {"metadata": many}})
    assert (answer.status, answer.message) == (403, limit)
    path = f"/servers/{seed.instance(api.db, 'a', metadata={'k128': 'v'})}/metadata"
    almost = {key: value for key, value in many.items() if key != "k128"}
    for method in ("POST", "PUT"):
        answer = api(method, path, "2.96", {"metadata": many})
        assert (answer.status, answer.message) == (403, limit)
    del almost["k0"]
    assert api("POST", path, "2.96", {"metadata": almost}).status == 200
    answer = api("PUT", f"{path}/k0", "2.96", {"meta": {"k0": "v"}})
    assert (answer.status, answer.message) == (403, limit)
    assert api("PUT", f"{path}/k1", "2.96", {"meta": {"k1": "w"}}).status == 200


@pytest.mark.parametrize("value", ["1\n", "9" * 5000, "1" * 19, "٣"])
def test_a_number_in_a_query_is_one_that_a_database_knows(api: Api, value: str) -> None:
    for path in ("/servers", "/os-migrations", f"/servers/{seed.instance(api.db, 'a')}/os-instance-actions"):
        answer = api("GET", f"{path}?limit={value.replace(chr(10), '%0A')}")
        assert (answer.status, "limit" in answer.message) == (400, True)


@pytest.mark.parametrize("name", ["minRam", "minDisk"])
def test_a_size_in_a_query_of_flavors_fits_its_column(web: Web, name: str) -> None:
    answer = web("GET", f"/v2.1/flavors?{name}=2147483648")
    assert (answer.status_code, name in answer.text) == (400, True)
    assert web("GET", f"/v2.1/flavors?{name}=2147483647").json() == {"flavors": []}


def test_thousands_of_values_of_one_parameter_are_refused(api: Api) -> None:
    answer = api("GET", "/servers?" + "&".join(["uuid=a"] * 1001))
    assert (answer.status, "uuid" in answer.message) == (400, True)
    assert api("GET", "/servers?" + "&".join(["sort_key=display_name"] * 2500)).status == 200


def test_a_tag_that_is_no_latin_text_is_named_in_the_answer(api: Api) -> None:
    path = f"/servers/{seed.instance(api.db, 'a')}/tags/%E6%97%A5%E6%9C%AC"
    answer = api("PUT", path)
    assert (answer.status, answer.headers["Location"]) == (201, f"http://testserver/v2.1{path}")


def test_a_body_and_a_query_are_validated_beside_the_event_loop(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    original = json_schema.check
    places: list[str] = []

    def check(*given: Any, **more: Any) -> None:
        try:
            asyncio.get_running_loop()
            places.append("loop")
        except RuntimeError:
            places.append("thread")
        original(*given, **more)

    monkeypatch.setattr(json_schema, "check", check)
    assert api("POST", "/servers", "2.96", {"server": {}}).status == 400
    assert api("GET", "/servers?limit=x").status == 400
    assert places == ["thread", "thread"]
