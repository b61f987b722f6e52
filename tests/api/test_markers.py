"""The marker of a list is an id that its caller may see: another project's is answered as one that does not exist."""

from typing import Any

import pytest

from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api

MANAGER = Caller("demo", "demo", "", is_admin=False, roles=frozenset({"manager", "member", "reader"}))


def as_manager(api: Api, path: str) -> Any:
    api.web.caller = MANAGER
    return api("GET", path)


@pytest.mark.parametrize("path", ["/servers", "/servers/detail"])
@pytest.mark.parametrize("sort", ["", "&sort_key=display_name&sort_key=uuid&sort_dir=asc&sort_dir=desc"])
def test_another_projects_server_is_no_marker(api: Api, path: str, sort: str) -> None:
    foreign = seed.instance(api.db, "b")
    mine = [seed.instance(api.db, name, project_id="demo") for name in "ac"]
    for marker in (foreign, seed.NOBODY):
        answer = as_manager(api, f"{path}?marker={marker}{sort}")
        assert (answer.status, answer.message) == (400, f"marker [{marker}] not found")
    following = as_manager(api, f"{path}?marker={mine[1 if not sort else 0]}{sort}")
    assert [one["name"] for one in following.json["servers"]] == (["a"] if not sort else ["c"])


def test_an_administrators_marker_is_of_the_projects_that_are_listed(api: Api) -> None:
    foreign = seed.instance(api.db, "a", project_id="demo")
    assert api("GET", f"/servers?marker={foreign}").status == 400
    assert api("GET", f"/servers?all_tenants=1&marker={foreign}").status == 200
    assert api("GET", f"/servers?all_tenants=1&project_id=other&marker={foreign}").status == 400


def test_another_projects_migration_is_no_marker(api: Api) -> None:
    uuid = seed.instance(api.db, "a", project_id="demo")
    first, foreign, _last = (
        seed.migration(api.db, uuid, project_id=project, uuid=f"m-{project}-{number}", created_at=seed.BEGAN + number)
        for number, project in enumerate(("demo", "admin", "demo"))
    )
    answer = as_manager(api, "/os-migrations?marker=m-admin-1")
    assert (answer.status, answer.message) == (400, "Marker m-admin-1 could not be found.")
    assert [one["id"] for one in as_manager(api, "/os-migrations?marker=m-demo-2").json["migrations"]] == [first]
    api.web.caller = Caller("admin", "admin", "")
    assert [one["id"] for one in api("GET", "/os-migrations?marker=m-demo-2").json["migrations"]] == [foreign, first]


def test_a_flavor_and_an_image_that_are_not_to_be_seen_are_no_markers(api: Api) -> None:
    seed.flavor(api.db, flavorid="secret", name="secret", is_public=False)
    hidden = seed.new_uuid()
    seed.image(api.db, hidden, visibility="private", owner="admin")
    flavor = as_manager(api, "/flavors?marker=secret")
    assert (flavor.status, flavor.message) == (400, "marker [secret] not found")
    image = api.web("GET", f"/image/v2/images?marker={hidden}")
    assert (image.status_code, f"Image {hidden} could not be found" in image.text) == (400, True)


def test_an_operation_of_another_instance_is_no_marker_of_ones_own(api: Api) -> None:
    mine, other = (seed.instance(api.db, name) for name in "ab")
    here, there = (seed.migration(api.db, uuid) for uuid in (mine, other))
    path = f"/v1/operations?instance={mine}"
    assert api.web("GET", f"{path}&marker={here}").json() == {"operations": []}
    for marker in (there, 99999, "nosuch"):
        refused = api.web("GET", f"{path}&marker={marker}")
        assert (refused.status_code, f"marker [{marker}] not found" in refused.text) == (400, True)


@pytest.mark.parametrize("key", ["host", "node"])
def test_only_administrators_sort_by_host(api: Api, key: str) -> None:
    answer = as_manager(api, f"/servers?sort_key={key}")
    assert (answer.status, answer.message) == (403, f"Only administrators can sort servers by {key}")
    api.web.caller = Caller("admin", "admin", "")
    assert api("GET", f"/servers?sort_key={key}").status == 200


def test_no_other_sort_key_tells_of_hosts(api: Api) -> None:
    """Newest first, as without it."""
    for name, host in (("a", "compute2"), ("b", "compute1")):
        seed.instance(api.db, name, host=host, project_id="demo")
    api.web.caller = MANAGER
    listed = api("GET", "/servers?sort_key=launched_on", "2.1").json["servers"]
    assert [one["name"] for one in listed] == ["b", "a"]
