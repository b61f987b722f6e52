"""A name in a query that nothing reads is refused: a misspelt filter would answer with everything."""

import re
from typing import Any

import pytest

from migrator import supported_requests
from migrator.api import urls
from migrator.api.routing import Surface
from migrator.api.urls import ROUTES
from tests.api import seed
from tests.api.harness import Web

UNEXPECTED = "Additional properties are not allowed ('nosuch' was unexpected)"
STRICT_FROM = {"/servers/{id}/os-instance-actions": "2.58", "/os-migrations": "2.59"}
BEFORE = {"2.53": "2.52", "2.58": "2.57", "2.59": "2.58", "2.75": "2.74"}


OTHERWISE = {  # than 200
    "GET /os-hypervisors/{id}": 404,
    "GET /os-keypairs/{name}": 404,
    "DELETE /os-keypairs/{name}": 404,
    "PUT /os-quota-sets/{id}": 400,  # without a body
    "DELETE /os-quota-sets/{id}": 202,
}
ENDED = {"GET /os-hosts", "GET /images", "GET /images/detail"}  # before any microversion refuses an unknown name


@pytest.mark.parametrize("route", sorted(supported_requests.QUERIES.keys() - ENDED))
def test_an_unknown_name_is_refused_where_novas_schema_refuses_it(web: Web, route: str) -> None:
    method, path = route.split(" ")
    first = "2.53" if path.startswith("/os-hypervisors") else STRICT_FROM.get(path, "2.75")
    listed = web("GET", "/v2.1/os-hypervisors").json()["hypervisors"][0]["id"]
    ident = listed if path.startswith("/os-hypervisors") else seed.instance(web.db, "one")
    at = f"/v2.1{path.replace('{id}', str(ident))}?nosuch=1"
    for version in (first, "2.96"):
        answer = web(method, at, version)
        assert (answer.status_code, answer.json()["badRequest"]["message"]) == (400, UNEXPECTED)
    assert web(method, at, BEFORE[first]).status_code == OTHERWISE.get(route, 200)


def native_routes() -> list[tuple[str, str]]:
    return [(route.path, route.method) for route in ROUTES if route.surface is Surface.NATIVE]


def test_every_native_route_refuses_an_unknown_name_and_says_which_it_knows(web: Web) -> None:
    routes = native_routes()
    assert len(routes) > 15
    for path, method in routes:
        answer = web(method, f"{path.replace('{', '').replace('}', '')}?nosuch=1", None, json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request"), (method, path)
        assert "'nosuch'" in answer.text


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/v1/operations?instnace=x", "active, instance, limit, marker"),
        ("/v1/alarms?hots=x", "host"),
        ("/v1/volumes?name=x", "nothing"),
    ],
)
def test_a_misspelt_native_filter_is_told_the_right_ones(web: Web, path: str, known: str) -> None:
    assert known in web("GET", path, None).json()["error"]["message"]


def test_no_native_body_takes_a_field_that_it_does_not_know() -> None:
    document = urls.document()
    bodies = [
        ways["requestBody"]["content"]["application/json"]["schema"]
        for path, item in document["paths"].items()
        for ways in item.values()
        if path.startswith("/v1/") and "requestBody" in ways
    ]
    assert len(bodies) > 5
    seen = {name for body in bodies for name in re.findall(r"schemas/(\w+)", str(body))}
    known = document["components"]["schemas"]
    while more := {inner for name in seen for inner in re.findall(r"schemas/(\w+)", str(known[name]))} - seen:
        seen |= more
    shapes = {name: known[name] for name in seen if "properties" in known[name]}
    assert [name for name, shape in shapes.items() if shape.get("additionalProperties", True)] == []


def test_limits_count_another_projects_servers_for_an_administrator(web: Web) -> None:
    seed.instance(web.db, "theirs", project_id="other")

    def used(query: str) -> Any:
        return web("GET", f"/v2.1/limits{query}").json()["limits"]["absolute"]["totalInstancesUsed"]

    assert (used("?tenant_id=other"), used("?tenant_id=zz"), used("")) == (1, 0, 0)


def test_whether_servers_are_shown_is_true_or_false(web: Web) -> None:
    assert web("GET", "/v2.1/os-hypervisors?with_servers=yess").status_code == 400
    assert web("GET", "/v2.1/os-hypervisors?with_servers=True").status_code == 200
