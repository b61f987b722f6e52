"""/flavors: shapes by microversion, the errors a real Nova words so, extra specs, access and paging."""

from typing import Any

import pytest

from tests.api.harness import Web

SMALL: dict[str, Any] = {"name": "small", "id": "1", "ram": 64, "vcpus": 1, "disk": 1}


def create(web: Web, microversion: str = "2.96", **more: Any) -> Any:
    return web("POST", "/v2.1/flavors", microversion, json={"flavor": SMALL | more})


def test_a_flavor_is_shown_as_it_was_created(web: Web) -> None:
    assert create(web, swap=64).status_code == 200
    shown = web("GET", "/v2.1/flavors/1").json()["flavor"]
    assert (shown["ram"], shown["swap"], shown["vcpus"], shown["disk"]) == (64, 64, 1, 1)
    assert shown["links"][0] == {"rel": "self", "href": "http://testserver/v2.1/flavors/1"}
    assert shown["links"][1]["href"] == "http://testserver/flavors/1"


@pytest.mark.parametrize(
    ("version", "swap", "description", "specs"),
    [("2.1", "", False, False), ("2.55", "", True, False), ("2.61", "", True, True), ("2.75", 0, True, True)],
)
def test_fields_come_with_their_microversions(
    web: Web, version: str, swap: object, description: bool, specs: bool
) -> None:
    create(web)
    shown = web("GET", "/v2.1/flavors/1", version).json()["flavor"]
    assert shown["swap"] == swap
    assert ("description" in shown, "extra_specs" in shown) == (description, specs)


def test_the_same_id_twice_is_a_conflict(web: Web) -> None:
    create(web)
    again = create(web, name="other")
    assert again.status_code == 409
    assert again.json() == {"conflictingRequest": {"code": 409, "message": "Flavor with ID 1 already exists."}}


@pytest.mark.parametrize("more", [{"ram": 0}, {"vcpus": "x"}, {"nosuch": 1}, {"name": ""}, {"ram": 2**31}])
def test_a_wrong_attribute_is_refused_and_nothing_is_kept(web: Web, more: dict[str, Any]) -> None:
    refused = create(web, **more)
    assert refused.status_code == 400
    assert "badRequest" in refused.json()
    assert web("GET", "/v2.1/flavors").json() == {"flavors": []}


def test_a_description_belongs_to_2_55(web: Web) -> None:
    assert create(web, "2.54", description="x").status_code == 400
    assert create(web, "2.55", description="x").json()["flavor"]["description"] == "x"
    put = {"flavor": {"description": None}}
    assert web("PUT", "/v2.1/flavors/1", "2.54", json=put).status_code == 404
    assert web("PUT", "/v2.1/flavors/1", "2.55", json=put).json()["flavor"]["description"] is None


def test_extra_specs_are_added_changed_and_removed(web: Web) -> None:
    create(web)
    path = "/v2.1/flavors/1/os-extra_specs"
    assert web("POST", path, json={"extra_specs": {"a": "1", "b": "2"}}).status_code == 200
    assert web("PUT", f"{path}/a", json={"a": "3"}).json() == {"a": "3"}
    assert web("PUT", f"{path}/a", json={"b": "3"}).status_code == 400
    assert web("DELETE", f"{path}/b").status_code == 200
    assert web("DELETE", f"{path}/b").status_code == 404
    assert web("GET", path).json() == {"extra_specs": {"a": "3"}}


def test_access_is_for_private_flavors(web: Web) -> None:
    create(web)
    private: dict[str, Any] = {"name": "private", "id": "2", "os-flavor-access:is_public": False}
    web("POST", "/v2.1/flavors", json={"flavor": SMALL | private})
    add = {"addTenantAccess": {"tenant": "p"}}
    assert web("POST", "/v2.1/flavors/1/action", json=add).status_code == 409
    assert web("GET", "/v2.1/flavors/1/os-flavor-access").status_code == 404
    entry = {"flavor_id": "2", "tenant_id": "p"}
    assert web("POST", "/v2.1/flavors/2/action", json=add).json() == {"flavor_access": [entry]}
    again = web("POST", "/v2.1/flavors/2/action", json=add)
    assert (again.status_code, again.json()["conflictingRequest"]["message"]) == (
        409,
        "Flavor access already exists for flavor 2 and project p combination.",
    )
    remove = {"removeTenantAccess": {"tenant": "p"}}
    assert web("POST", "/v2.1/flavors/2/action", json=remove).json() == {"flavor_access": []}
    for flavor in ("2", "1"):
        missing = web("POST", f"/v2.1/flavors/{flavor}/action", json=remove)
        message = f"Flavor access not found for {flavor} / p combination."
        assert (missing.status_code, missing.json()["itemNotFound"]["message"]) == (404, message)
    assert [f["id"] for f in web("GET", "/v2.1/flavors").json()["flavors"]] == ["1"]
    assert len(web("GET", "/v2.1/flavors?is_public=none").json()["flavors"]) == 2


def test_pages_are_linked_until_the_last(web: Web) -> None:
    for number in range(3):
        create(web, id=str(number), name=f"f{number}")
    seen, path = [], "/v2.1/flavors?limit=2"
    while path:
        page = web("GET", path).json()
        seen += [flavor["id"] for flavor in page["flavors"]]
        path = page.get("flavors_links", [{"href": ""}])[0]["href"]
    assert seen == ["0", "1", "2"]


def test_a_deleted_flavor_is_gone(web: Web) -> None:
    create(web)
    assert web("DELETE", "/v2.1/flavors/1").status_code == 202
    gone = web("GET", "/v2.1/flavors/1")
    assert gone.status_code == 404
    assert gone.json() == {"itemNotFound": {"code": 404, "message": "Flavor 1 could not be found."}}
