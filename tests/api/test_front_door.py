"""One front door: every URL is in one table, and no request passes it without the caller that its row asks for."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route as Place

from migrator.api import microversions
from migrator.api.dashboard import assets
from migrator.api.identity.authenticator import NEEDED, Identity
from migrator.api.routing import ANYBODY, Route, Surface
from migrator.api.urls import ROUTES, by_path
from migrator.db.engine import Database
from migrator.errors import Unauthorized
from migrator.scheduler.requests.requests import Caller
from tests.api.harness import Web

# Every caller may read how to find the API, whether it is there, and the dashboard's files: nothing of a cloud.
FOR_ANYBODY = {
    "/",
    "/v1",
    "/v1/",
    "/v2",
    "/v2/",
    "/v2.1",
    "/v2.1/",
    "/identity",
    "/identity/v3",
    "/identity/v3/",
    "/volume/v3",
    "/image",
    "/image/",
    "/image/v2",
    "/image/v2/",
    "/image/versions",
    "/openapi.json",
    "/healthz",
    *(asset.path for asset in assets.files()),
}


class Nobody:
    """The strategy that refuses all."""

    challenge = None

    async def refresh(self) -> None:
        """It reads no file."""

    def remembered(self, headers: Mapping[str, str]) -> Identity | None:  # noqa: ARG002 - the interface
        return None

    async def verified(self, headers: Mapping[str, str], address: str = "") -> Identity:  # noqa: ARG002 - the interface
        raise Unauthorized(NEEDED)


@pytest.fixture
def closed(db: Database, tmp_path: Path) -> Iterator[Web]:
    made = Web(db, tmp_path, Nobody())
    yield made
    made.services.db.close()


def path_of(route: Route) -> str:
    return route.path.replace("{", "").replace("}", "")


def ask(web: Web, route: Route, **more: Any) -> Any:
    return web(route.method, path_of(route), microversions.text(route.since), **more)


def served_by(web: Web) -> set[tuple[str, str]]:
    """What the application's own router reaches, whatever the table says."""
    places = [place for place in web.app.routes if isinstance(place, Place)]
    assert len(places) == len(web.app.routes)
    table = by_path()
    assert table.keys() == {place.path for place in places}
    return {(route.method, route.path) for place in places for route in table[place.path]}


def test_nothing_is_served_without_the_caller_that_its_row_asks_for(closed: Web) -> None:
    assert served_by(closed) == {(route.method, route.path) for route in ROUTES}
    assert len(ROUTES) > 100
    statuses = {(route.method, route.path): ask(closed, route).status_code for route in ROUTES}
    refused = {key for key, status in statuses.items() if status == 401}
    assert {path for _, path in statuses.keys() - refused} == FOR_ANYBODY


def test_a_body_does_not_open_the_door(closed: Web) -> None:
    for route in ROUTES:
        if route.path not in FOR_ANYBODY:
            kind = "application/octet-stream" if route.octets else "application/json"
            answer = ask(closed, route, content=b"{}", headers={"Content-Type": kind})
            assert answer.status_code == 401, route.path


def test_a_row_for_anybody_takes_no_more_than_get() -> None:
    assert {(route.method, route.surface) for route in ROUTES if route.access is ANYBODY} == {
        ("GET", Surface.DISCOVERY)
    }


def test_only_agents_rows_ask_for_an_agent() -> None:
    assert all((route.access.kind is not None) == (route.surface is Surface.AGENT) for route in ROUTES)


@pytest.mark.parametrize("path", ["/v2.1/nosuch", "/v1/nosuch", "/image/nosuch", "/agent/v1/nosuch", "/agent/nosuch"])
def test_a_stranger_is_not_told_what_is_not_served(closed: Web, path: str) -> None:
    assert closed("GET", path, None).status_code == 401


def test_an_operators_route_is_refused_to_anybody_else_by_the_name_of_its_rule(web: Web) -> None:
    web.caller = Caller("demo", "demo", "", is_admin=False)
    guarded = [route for route in ROUTES if route.access.rule]
    assert {Surface.NATIVE, Surface.COMPUTE, Surface.DISCOVERY} == {route.surface for route in guarded}
    for route in guarded:
        answer = ask(web, route, json={} if route.method in ("POST", "PUT") else None)
        assert answer.status_code == 403, (route.method, route.path)
        assert f"Policy doesn't allow {route.access.rule} to be performed." in answer.text


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v2.1/servers/nosuch", {"itemNotFound"}),
        ("/image/v2/images/nosuch", {"itemNotFound"}),
        ("/v1/operations/nosuch", {"error"}),
        ("/v1/nosuch", {"message", "code", "title"}),
    ],
)
def test_a_surface_has_one_form_of_errors_and_every_answer_a_request_id(web: Web, path: str, shape: set[str]) -> None:
    answer = web("GET", path)
    assert (answer.status_code, set(answer.json())) == (404, shape)
    assert answer.headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize("method", ["DELETE", "HEAD", "PATCH"])
@pytest.mark.parametrize(
    ("path", "status"),
    [("/v2.1/servers", 404), ("/v1/operations", 404), ("/", 300), ("/v2/images", 300), ("/metrics", 300)],
)
def test_a_method_that_no_row_has_is_answered_as_by_novas_router(web: Web, method: str, path: str, status: int) -> None:
    answer = web(method, path, "2.999")  # no microversion is looked at
    assert answer.status_code == status
    assert "OpenStack-API-Version" not in answer.headers
    if method != "HEAD":
        assert set(answer.json()) == ({"choices"} if status == 300 else {"message", "code", "title"})


@pytest.mark.parametrize("content", [b"[]", b"{bad", b"", b"3"])
def test_a_native_body_that_is_no_object_is_told_without_a_word_of_ours(web: Web, content: bytes) -> None:
    answer = web("POST", "/v1/volumes", None, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
    message = {b"{bad": "Malformed request body", b"": "body: Field required"}
    assert answer.json()["error"]["message"] == message.get(content, "body: Input should be an object")


@pytest.mark.parametrize("path", ["/v2.1/flavors", "/v1/operations", "/image/v2/images", "/metrics"])
def test_a_defect_is_told_without_its_words_on_every_surface(
    web: Web, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_anything: Any) -> None:
        raise RuntimeError("the secret detail")

    monkeypatch.setattr(Database, "read", broken)
    answer = web("GET", path)
    assert answer.status_code == 500
    assert "the secret detail" not in answer.text
    assert "ask the operator to look there" in answer.text
    assert "the secret detail" in caplog.text
    assert answer.headers["x-openstack-request-id"] in caplog.text
