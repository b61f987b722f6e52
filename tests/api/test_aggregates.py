"""/os-aggregates, and the availability zones that they make, over HTTP as a real Nova answers."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from migrator.db.tables import operations
from tests.api import seed
from tests.api.harness import Api
from tests.api.seed import IMAGE


@pytest.fixture
def api(api: Api) -> Api:
    for number in "12":
        seed.pools(api.db, f"compute{number}", local=f"id-{number}")
    return api


def create(api: Api, name: str = "agg", version: str = "2.96", **more: Any) -> Any:
    return api("POST", "/os-aggregates", version, {"aggregate": {"name": name} | more})


def act(api: Api, name: str, value: Any, key: int = 1, version: str = "2.96") -> Any:
    return api("POST", f"/os-aggregates/{key}/action", version, {name: value})


def boot(api: Api, flavor: str = "1", **more: Any) -> Any:
    server = {"name": "a", "flavorRef": flavor, "imageRef": IMAGE, "networks": "none"} | more
    return api("POST", "/servers", body={"server": server})


def placed(api: Api) -> list[Any]:
    with api.db.read() as connection:
        return list(connection.execute(select(operations.c.destination).order_by(operations.c.id)).scalars())


def zone(api: Api, host: str = "compute1", name: str = "az") -> None:
    """Host is in the zone, which an aggregate makes."""
    key = create(api, name, availability_zone=name).json["aggregate"]["id"]
    assert act(api, "add_host", {"host": host}, key).status == 200


@pytest.mark.parametrize(("version", "more"), [("2.1", set()), ("2.40", set()), ("2.41", {"uuid"})])
def test_an_aggregate_lives_as_its_microversion_has_it(api: Api, version: str, more: set[str]) -> None:
    made = create(api, version=version)
    stamps = {"created_at", "updated_at", "deleted_at", "deleted"}
    assert made.status == 200
    assert set(made.json["aggregate"]) == {"id", "name", "availability_zone"} | stamps | more
    shown = act(api, "add_host", {"host": "compute1"}, version=version).json["aggregate"]
    assert set(shown) == {"id", "name", "availability_zone", "hosts", "metadata"} | stamps | more
    assert (shown["hosts"], shown["metadata"], shown["updated_at"]) == (["compute1"], {}, None)
    set_to = act(api, "set_metadata", {"metadata": {"ssd": "true", "gone": None}}, version=version)
    assert set_to.json["aggregate"]["metadata"] == {"ssd": "true"}
    changed = api("PUT", "/os-aggregates/1", version, {"aggregate": {"name": "b", "availability_zone": "az"}})
    assert changed.json["aggregate"]["metadata"] == {"ssd": "true", "availability_zone": "az"}
    assert changed.json["aggregate"]["availability_zone"] == "az"
    assert api("GET", "/os-aggregates", version).json == {"aggregates": [changed.json["aggregate"]]}
    assert api("GET", "/os-aggregates/1", version).json == changed.json
    full = api("DELETE", "/os-aggregates/1", version)
    assert (full.status, full.message) == (
        400,
        "Cannot remove host from aggregate 1. Reason: Host aggregate is not empty.",
    )
    assert act(api, "remove_host", {"host": "compute1"}, version=version).json["aggregate"]["hosts"] == []
    assert api("DELETE", "/os-aggregates/1", version).status == 200
    assert api("GET", "/os-aggregates/1", version).message == "Aggregate 1 could not be found."


REFUSED: list[tuple[str, Any, int, str]] = [
    ("add_host", {"host": "nosuch"}, 404, "Compute host nosuch could not be found."),
    ("remove_host", {"host": "compute1"}, 404, "Cannot remove host compute1 in aggregate 1"),
    ("add_host", {"host": "a b"}, 400, "host"),
    ("add_host", {}, 400, "'host' is a required property"),
    ("add_host", None, 400, "add_host"),
    ("set_metadata", {"metadata": {"k": 7}}, 400, "k"),
    ("set_metadata", {"metadata": {"k": "x" * 256}}, 400, "k"),
    ("set_metadata", {"metadata": {"a/b": "x"}}, 400, "a/b"),
    ("set_metadata", {"metadata": {"availability_zone": "a:b"}}, 400, "availability_zone"),
    ("set_metadata", {"metadata": []}, 400, "metadata"),
    ("nosuch", {}, 400, "There is no such action: nosuch"),
]


@pytest.mark.parametrize(("name", "value", "status", "message"), REFUSED, ids=range(len(REFUSED)))
def test_a_wrong_action_is_refused_by_name(api: Api, name: str, value: Any, status: int, message: str) -> None:
    create(api)
    answer = act(api, name, value)
    assert (answer.status, message in answer.message) == (status, True), answer.message


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "a", "availability_zone": "a:b"}, "availability_zone"),
        ({"name": "a", "availability_zone": ""}, "availability_zone"),
        ({"name": "a", "nosuch": 1}, "nosuch"),
        ({}, "name"),
    ],
)
def test_an_aggregate_that_cannot_be_is_refused_by_field(api: Api, body: dict[str, Any], field: str) -> None:
    answer = api("POST", "/os-aggregates", body={"aggregate": body})
    assert (answer.status, field in answer.message) == (400, True)
    create(api)
    changed = api("PUT", "/os-aggregates/1", body={"aggregate": body})
    assert changed.status == 400


def test_names_are_taken_once_and_ids_are_numbers(api: Api) -> None:
    create(api)
    assert (create(api).status, create(api).message) == (409, "Aggregate agg already exists.")
    other = create(api, "other").json["aggregate"]["id"]  # not the next number on PostgreSQL
    assert api("PUT", f"/os-aggregates/{other}", body={"aggregate": {"name": "agg"}}).status == 409
    assert (api("GET", "/os-aggregates/x").status, api("GET", f"/os-aggregates/{'9' * 40}").status) == (400, 404)
    act(api, "add_host", {"host": "compute1"})
    twice = act(api, "add_host", {"host": "compute1"})
    assert (twice.status, twice.message) == (409, "Aggregate 1 already has host compute1.")


def test_images_of_an_aggregate_are_refused_by_name(api: Api) -> None:
    create(api)
    for version, status in (("2.80", 404), ("2.81", 400)):
        answer = api("POST", "/os-aggregates/1/images", version, {"cache": [{"id": IMAGE}]})
        assert (answer.status, status == 404 or "images" in answer.message) == (status, True)


def test_zones_are_listed_and_shown_on_hosts_services_and_servers(api: Api) -> None:
    zone(api)
    (az, nova) = api("GET", "/os-availability-zone/detail").json["availabilityZoneInfo"]
    assert (az["zoneName"], list(az["hosts"]), nova["zoneName"], list(nova["hosts"])) == (
        "az",
        ["compute1"],
        "nova",
        ["compute2"],
    )
    listed = api("GET", "/os-availability-zone").json["availabilityZoneInfo"]
    assert [(one["zoneName"], one["hosts"]) for one in listed] == [("az", None), ("nova", None)]
    assert [one["zone"] for one in api("GET", "/os-services").json["services"]] == ["az", "nova"]
    uuid = seed.instance(api.db, "a", host="compute1")
    assert api("GET", f"/servers/{uuid}").json["server"]["OS-EXT-AZ:availability_zone"] == "az"
    pin = {"server": {"pinned_availability_zone": "nova"}}
    assert "it is in az" in api("PUT", f"/servers/{uuid}", "2.104", pin).message
    pin["server"]["pinned_availability_zone"] = "az"
    assert api("PUT", f"/servers/{uuid}", "2.104", pin).status == 200


@pytest.mark.parametrize("key", ["-1", "0", "99", "9" * 30])
def test_an_aggregate_that_cannot_be_is_not_found(api: Api, key: str) -> None:
    for method in ("GET", "DELETE"):
        assert api(method, f"/os-aggregates/{key}").status == 404
    assert api("GET", "/os-aggregates/x").status == 400


@pytest.mark.parametrize(("version", "status"), [("2.42", 200), ("2.43", 404)])
def test_hosts_are_listed_below_2_43(api: Api, version: str, status: int) -> None:
    zone(api)
    answer = api("GET", "/os-hosts", version)
    assert answer.status == status
    if status == 404:
        return
    assert {"host_name": "compute1", "service": "compute", "zone": "az"} in answer.json["hosts"]
    assert len(api("GET", "/os-hosts?zone=nova", version).json["hosts"]) == 1
    assert len(api("GET", "/os-hosts?zone=", version).json["hosts"]) == 2
    total = api("GET", "/os-hosts/compute1", version).json["host"][0]["resource"]
    assert total == {"host": "compute1", "project": "(total)", "cpu": 8, "memory_mb": 16384, "disk_gb": 100}
    assert api("GET", "/os-hosts/nosuch", version).message == "Compute host nosuch could not be found."


def test_a_server_stays_in_the_zone_that_it_was_made_in(api: Api) -> None:
    zone(api)
    for asked in ("az", "nova", "az:compute1"):
        assert boot(api, availability_zone=asked).status == 202
    wrong = boot(api, availability_zone="az:compute2").json["server"]["id"]
    assert placed(api) == ["compute1", "compute2", "compute1", None]
    assert api("GET", f"/servers/{wrong}").json["server"]["status"] == "ERROR"
    with api.db.read() as connection:
        (error,) = list(
            connection.execute(select(operations.c.error).where(operations.c.instance_uuid == wrong)).scalars()
        )
    assert "zone: it is in availability zone nova, and the instance is pinned to az" in str(error)
    assert boot(api, availability_zone="nosuch").message == "The requested availability zone is not available"


@pytest.mark.parametrize("act_on", ["add", "remove", "update", "metadata"])
def test_the_zone_of_a_host_with_instances_stays(api: Api, act_on: str) -> None:
    create(api, "other", availability_zone="other")
    zone(api)
    seed.instance(api.db, "a", host="compute1" if act_on != "add" else "compute2")
    answers: dict[str, Callable[[], Any]] = {
        "add": lambda: act(api, "add_host", {"host": "compute2"}, 1),
        "remove": lambda: act(api, "remove_host", {"host": "compute1"}, 2),
        "update": lambda: api("PUT", "/os-aggregates/2", body={"aggregate": {"availability_zone": "x"}}),
        "metadata": lambda: act(api, "set_metadata", {"metadata": {"availability_zone": None}}, 2),
    }
    answer = answers[act_on]()
    assert answer.status == 409
    assert "One or more hosts contain instances in this zone" in answer.message
    assert [one["zone"] for one in api("GET", "/os-services").json["services"]] == ["az", "nova"]


def test_a_host_is_in_one_zone_at_most(api: Api) -> None:
    create(api, "other", availability_zone="other")
    create(api, "plain")
    zone(api)
    answer = act(api, "add_host", {"host": "compute1"}, 1)
    assert (answer.status, answer.message) == (
        409,
        'Cannot add host to aggregate 1. Reason: Host already in availability zone "az".',
    )
    act(api, "add_host", {"host": "compute1"}, 2)
    changed = api("PUT", "/os-aggregates/2", body={"aggregate": {"availability_zone": "other"}})
    assert (changed.status, "different availability zone" in changed.message) == (400, True)


def test_a_flavor_asks_for_an_aggregate_by_its_metadata(api: Api) -> None:
    create(api)
    act(api, "add_host", {"host": "compute2"})
    act(api, "set_metadata", {"metadata": {"ssd": "true"}})
    spec = {"aggregate_instance_extra_specs:ssd": "true"}
    seed.flavor(api.db, flavorid="ssd", name="ssd", extra_specs=spec)
    seed.flavor(api.db, flavorid="tape", name="tape", extra_specs={"aggregate_instance_extra_specs:tape": "true"})
    boot(api, "ssd")
    boot(api, "tape")
    assert placed(api) == ["compute2", None]
