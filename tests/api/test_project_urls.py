"""The Compute API with the caller's project in its URLs, where older catalogs and clients have it."""

import pytest

from migrator.api.routing import ANYBODY, Surface
from migrator.api.urls import ROUTES, by_path
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Answered, Api

OWN, OTHER = "b02401f4bd854189a25bd1068201cd70", "0" * 32
MEMBER = Caller("alice", OWN, "", is_admin=False)


def ask(api: Api, method: str, path: str, version: str = "2.96") -> Answered:
    return Answered(api.web(method, path, version))


def test_every_row_of_the_compute_api_stands_below_the_project_too_and_is_guarded_alike() -> None:
    table = by_path()
    rows = [route for route in ROUTES if route.surface is Surface.COMPUTE]
    assert len(rows) > 80
    assert all(route in table[route.path.replace("/v2.1", "/v2.1/{project_id}", 1)] for route in rows)
    below = [route for path, routes in table.items() if "{project_id}" in path for route in routes]
    assert len(below) == len(rows)
    assert all(route.access is not ANYBODY for route in below)


@pytest.mark.parametrize("project", [OWN, "demo"])
def test_answers_are_the_same_and_links_lead_to_where_the_request_was(api: Api, project: str) -> None:
    api.web.caller = Caller("alice", project, "", is_admin=False)
    first, second = (seed.instance(api.db, name, project_id=project) for name in "ab")
    seed.instance(api.db, "c", project_id="another")
    plain, placed = (ask(api, "GET", f"{base}/servers/detail?limit=1") for base in ("/v2.1", f"/v2.1/{project}"))
    assert str(placed.json).replace(f"testserver/v2.1/{project}", "testserver/v2.1").replace(
        f"testserver/{project}", "testserver"
    ) == str(plain.json)
    (shown,) = placed.json["servers"]
    assert [link["href"] for link in shown["links"]] == [
        f"http://testserver/v2.1/{project}/servers/{second}",
        f"http://testserver/{project}/servers/{second}",
    ]
    (further,) = placed.json["servers_links"]
    (last,) = ask(api, "GET", further["href"].removeprefix("http://testserver")).json["servers"]
    assert last["id"] == first
    assert ask(api, "GET", last["links"][0]["href"].removeprefix("http://testserver")).json["server"]["id"] == first
    tagged = ask(api, "PUT", f"/v2.1/{project}/servers/{first}/tags/x")
    assert tagged.headers["Location"] == f"http://testserver/v2.1/{project}/servers/{first}/tags/x"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/servers"), ("DELETE", "/servers/{}"), ("GET", "/os-services"), ("GET", "/limits")]
)
@pytest.mark.parametrize("is_admin", [True, False])
def test_another_project_in_the_url_is_refused_in_novas_words(api: Api, method: str, path: str, is_admin: bool) -> None:
    api.web.caller = Caller("alice", OWN, "", is_admin=is_admin)
    uuid = seed.instance(api.db, "a", project_id=OTHER)
    answer = ask(api, method, f"/v2.1/{OTHER}{path.format(uuid)}")
    assert answer.status == 400
    assert answer.message == (  # as in the captures
        f"Malformed request URL: URL's project_id '{OTHER}' doesn't match Context's project_id '{OWN}'"
    )


def test_what_is_no_project_or_no_resource_is_not_found(api: Api) -> None:
    api.web.caller = MEMBER
    for path in ("/v2.1/nosuch/servers", f"/v2.1/{OWN}/nosuch", f"/v2.1/{OWN}", f"/v2.1/{OWN}/", f"/v1/{OWN}/drains"):
        answer = ask(api, "GET", path)
        assert (answer.status, answer.json["code"]) == (404, "404 Not Found"), path
    assert ask(api, "GET", f"/v2.1/{OWN}/os-services").status == 403
    assert ask(api, "GET", f"/v2.1/{OWN}/os-hosts", "2.43").status == 404
    assert ask(api, "GET", f"/v2.1/{OWN}/servers", "2.999").status == 406
