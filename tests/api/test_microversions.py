"""Each change of a microversion that concerns what is served: at the one below it, and at it."""

from typing import Any

import pytest

from migrator.api import microversions
from migrator.api.microversion_history import HISTORY
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api, Web
from tests.api.seed import IMAGE

SPECS = {"extra_specs": {"hw:nosuch": "1"}}
FLAVOR = {"name": "f", "ram": 64, "vcpus": 1, "disk": 1}


def test_every_microversion_that_is_offered_has_its_row() -> None:
    most = microversions.MAXIMUM[1]
    assert list(HISTORY) == [(2, minor) for minor in range(1, most + 1)]


@pytest.mark.parametrize(("version", "shown"), [("2.97", False), ("2.98", True)])
def test_a_server_shows_the_properties_that_its_image_had_from_2_98(api: Api, version: str, shown: bool) -> None:
    seed.image(api.db, seed.NOBODY, properties={"os_type": "linux"})
    server = {"name": "a", "flavorRef": "1", "imageRef": seed.NOBODY, "networks": "none"}
    uuid = api("POST", "/servers", body={"server": server}).json["server"]["id"]
    api("DELETE", f"/images/{seed.NOBODY}")
    for path in (f"/servers/{uuid}", "/servers/detail"):
        answer = api("GET", path, version).json
        image = (answer.get("server") or answer["servers"][0])["image"]
        assert image.get("properties") == ({"os_type": "linux"} if shown else None)


@pytest.mark.parametrize(("version", "gone"), [("2.101", False), ("2.102", True)])
def test_a_flavor_has_no_factor_from_2_102(api: Api, version: str, gone: bool) -> None:
    shown = api("GET", "/flavors/1", version).json["flavor"]
    assert {"rxtx_factor", "OS-FLV-DISABLED:disabled"} - set(shown) == (
        {"rxtx_factor", "OS-FLV-DISABLED:disabled"} if gone else set()
    )
    made = api("POST", "/flavors", version, {"flavor": FLAVOR | {"rxtx_factor": 2.0}})
    assert made.status == (400 if gone else 200)
    if gone:
        assert "'rxtx_factor' was unexpected" in made.message


@pytest.mark.parametrize(("version", "status"), [("2.6", 200), ("2.7", 409)])
def test_access_to_a_public_flavor_is_refused_from_2_7(api: Api, version: str, status: int) -> None:
    body = {"addTenantAccess": {"tenant": "other"}}
    assert api("POST", "/flavors/1/action", version, body).status == status


@pytest.mark.parametrize(("version", "status"), [("2.85", 200), ("2.86", 400)])
def test_an_unknown_extra_spec_of_novas_is_refused_from_2_86(api: Api, version: str, status: int) -> None:
    for method, path, body in (
        ("POST", "/flavors/1/os-extra_specs", SPECS),
        ("PUT", "/flavors/1/os-extra_specs/hw:nosuch", SPECS["extra_specs"]),
    ):
        answer = api(method, path, version, body)
        assert answer.status == status
        if status == 400:
            assert answer.message == (
                "Validation failed; extra spec 'hw:nosuch' does not appear to be a valid extra spec."
            )


@pytest.mark.parametrize(
    "spec", [{"hw:cpu_policy": "nosuch"}, {"hw:numa_nodes": "many"}, {"trait:HW": "maybe"}, {"resources1:VCPU": "x"}]
)
def test_an_extra_spec_with_a_wrong_value_is_refused_by_name(api: Api, spec: dict[str, str]) -> None:
    answer = api("POST", "/flavors/1/os-extra_specs", "2.86", {"extra_specs": spec})
    assert (answer.status, next(iter(spec)) in answer.message) == (400, True)


@pytest.mark.parametrize(
    "spec", [{"hw:numa_nodes": "1"}, {"hw:cpu_policy": "shared"}, {"mine:any": "x"}, {"plain": "x"}]
)
def test_an_extra_spec_that_nova_knows_or_does_not_own_is_stored(api: Api, spec: dict[str, str]) -> None:
    assert api("POST", "/flavors/1/os-extra_specs", "2.86", {"extra_specs": spec}).status == 200


@pytest.mark.parametrize(("version", "status"), [("2.37", 200), ("2.38", 400)])
def test_an_unknown_status_is_refused_from_2_38(api: Api, version: str, status: int) -> None:
    answer = api("GET", "/servers?status=nosuch", version)
    assert answer.status == status
    assert answer.json == {"servers": []} if status == 200 else answer.message == "Invalid status value"


@pytest.mark.parametrize(
    ("query", "below", "at"),
    [("ip6=fe80", "2.4", "2.5"), ("vm_state=error", "2.82", "2.83"), ("power_state=4", "2.82", "2.83")],
)
def test_a_filter_that_is_opened_later_says_nothing_to_a_member_before(
    web: Web, api: Api, query: str, below: str, at: str
) -> None:
    seed.instance(api.db, "a", project_id="p")
    web.caller = Caller("u", "p", "", is_admin=False)
    assert len(api("GET", f"/servers?{query}", below).json["servers"]) == 1
    assert api("GET", f"/servers?{query}", at).json["servers"] == []


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        ("2.35", {"maxImageMeta", "maxPersonality", "maxSecurityGroups", "totalFloatingIpsUsed"}),
        ("2.38", {"maxImageMeta", "maxPersonality"}),
        ("2.39", {"maxPersonality"}),
        ("2.56", {"maxPersonality"}),
        ("2.57", set()),
    ],
)
def test_limits_lose_their_names_one_by_one(api: Api, version: str, shown: set[str]) -> None:
    dropped = {"maxImageMeta", "maxPersonality", "maxSecurityGroups", "totalFloatingIpsUsed"}
    assert set(api("GET", "/limits", version).json["limits"]["absolute"]) & dropped == shown


@pytest.mark.parametrize(("version", "listed"), [("2.74", False), ("2.75", True)])
def test_a_hypervisor_without_servers_lists_none_from_2_75(api: Api, version: str, listed: bool) -> None:
    (one, _) = api("GET", "/os-hypervisors/detail?with_servers=true", version).json["hypervisors"]
    assert one.get("servers") == ([] if listed else None)
    shown = api("GET", f"/os-hypervisors/{one['id']}?with_servers=true", version).json["hypervisor"]
    assert shown.get("servers") == ([] if listed else None)


@pytest.mark.parametrize(("version", "status"), [("2.77", 404), ("2.78", 200)])
def test_topology_is_served_from_2_78(api: Api, version: str, status: int) -> None:
    answer = api("GET", f"/servers/{seed.instance(api.db, 'a')}/topology", version)
    assert answer.status == status
    assert status == 404 or answer.json == {"nodes": [], "pagesize_kb": None}


@pytest.mark.parametrize(("version", "shown"), [("2.70", False), ("2.71", True), ("2.75", True)])
def test_put_of_a_server_answers_with_its_groups_from_2_71(api: Api, version: str, shown: bool) -> None:
    answer = api("PUT", f"/servers/{seed.instance(api.db, 'a')}", version, {"server": {"name": "b"}})
    assert ("server_groups" in answer.json["server"]) == shown


def test_a_host_name_may_be_a_full_domain_name_from_2_94(api: Api) -> None:
    uuid = seed.instance(api.db, "a.example")
    body = {"server": {"hostname": "a.example"}}
    below = api("PUT", f"/servers/{uuid}", "2.93", body)
    assert (below.status, "hostname" in below.message) == (400, True)
    assert api("PUT", f"/servers/{uuid}", "2.94", body).status == 200


def pin(api: Api, uuid: str, zone: Any, version: str = "2.104") -> Any:
    return api("PUT", f"/servers/{uuid}", version, {"server": {"pinned_availability_zone": zone}})


def test_a_server_is_pinned_to_its_zone_or_to_none_from_2_104(api: Api) -> None:
    uuid = seed.instance(api.db, "a", host="compute1")
    assert "pinned_availability_zone" in pin(api, uuid, None, "2.103").message
    for zone in ("nova", None, "nova"):
        answer = pin(api, uuid, zone)
        assert (answer.status, answer.json["server"]["pinned_availability_zone"]) == (200, zone)


@pytest.mark.parametrize(("zone", "more"), [("other", {}), ("nova", {"host": None}), (7, {}), ("", {})])
def test_a_zone_that_a_server_cannot_be_pinned_to_is_refused(api: Api, zone: Any, more: dict[str, Any]) -> None:
    answer = pin(api, seed.instance(api.db, "a", **more), zone)
    assert (answer.status, "pinned_availability_zone" in answer.message) == (400, True)


def test_a_server_that_is_moved_is_not_pinned(api: Api) -> None:
    uuid = seed.instance(api.db, "a", task_state="migrating")
    assert pin(api, uuid, "nova").status == 409


def test_an_instance_without_recorded_properties_shows_none(api: Api) -> None:
    uuid = seed.instance(api.db, "old", image_id=IMAGE)
    assert api("GET", f"/servers/{uuid}", "2.98").json["server"]["image"]["properties"] == {}
