"""Flavors and images that two callers change, or create, at one moment; on both databases."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from migrator.db import flavors, images
from migrator.db import tables as t
from migrator.db.engine import Connection
from tests.api import seed
from tests.api.harness import Web
from tests.db import test_races
from tests.db.test_races import Meanwhile

PRIVATE = {"id": 7, "flavorid": "7", "name": "private", "is_public": False, "access": ["gone"]}
ACTION = "/v2.1/flavors/7/action"


@contextmanager
def racing(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object]) -> Iterator[None]:
    """``act`` begins once the first request that asks ``flavors.name`` was answered; that one goes on when it is over,
    or has to wait."""
    original, other, begun = getattr(flavors, name), Meanwhile(lambda: (act(), None)[1]), list[bool]()

    def wrapped(*args: Any, **more: Any) -> Any:
        answer = original(*args, **more)
        if not begun:
            begun.append(True)
            other.begin()
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(test_races, "MEANWHILE_S", 0.3)
        patched.setattr(flavors, name, wrapped)
        yield
    other.end()


def access(web: Web) -> list[str]:
    listed = web("GET", "/v2.1/flavors/7/os-flavor-access").json()["flavor_access"]
    return sorted(one["tenant_id"] for one in listed)


def test_access_that_is_taken_while_another_is_given_does_not_come_back(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed.flavor(web.db, **PRIVATE)
    statuses: list[int] = []

    def take() -> None:
        statuses.append(web("POST", ACTION, json={"removeTenantAccess": {"tenant": "gone"}}).status_code)

    with racing(monkeypatch, "get", take):
        given = web("POST", ACTION, json={"addTenantAccess": {"tenant": "new"}})
    assert (given.status_code, statuses) == (200, [200])
    assert access(web) == ["new"]


def test_extra_specs_that_are_added_at_one_moment_both_stay(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    seed.flavor(web.db, **PRIVATE)
    at = "/v2.1/flavors/7/os-extra_specs"
    with racing(monkeypatch, "get", lambda: web("PUT", f"{at}/a", json={"a": "1"})):
        web("PUT", f"{at}/b", json={"b": "2"})
    assert web("GET", at).json() == {"extra_specs": {"a": "1", "b": "2"}}


def test_a_flavor_that_is_deleted_meanwhile_is_not_there(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other waits for the lock, and finds nothing."""
    seed.flavor(web.db, **PRIVATE)
    statuses: list[int] = []

    def give() -> None:
        statuses.append(web("POST", ACTION, json={"addTenantAccess": {"tenant": "new"}}).status_code)

    with racing(monkeypatch, "remove", give):
        assert web("DELETE", "/v2.1/flavors/7").status_code == 202
    assert statuses == [404]


def insert_first(monkeypatch: pytest.MonkeyPatch, module: Any, table: Any, values: dict[str, Any]) -> None:
    """Another has made one of these ids or names, once ours was looked for in vain."""
    original, done = module.now, list[bool]()

    def now(connection: Connection) -> Any:
        if not done:
            done.append(True)
            connection.execute(table.insert().values(**values))
        return original(connection)

    monkeypatch.setattr(module, "now", now)


@pytest.mark.parametrize(("flavorid", "name", "message"), [("7", "other", "ID 7"), ("8", "private", "name private")])
def test_a_flavor_that_another_makes_at_that_moment_is_a_conflict(
    web: Web, monkeypatch: pytest.MonkeyPatch, flavorid: str, name: str, message: str
) -> None:
    taken = {**seed.FLAVOR, **PRIVATE, "rxtx_factor": 1.0, "created_at": seed.BEGAN}
    insert_first(monkeypatch, flavors, t.flavors, taken)
    wanted = {"name": name, "id": flavorid, "ram": 64, "vcpus": 1, "disk": 1}
    refused = web("POST", "/v2.1/flavors", json={"flavor": wanted})
    assert refused.status_code == 409
    assert refused.json()["conflictingRequest"]["message"] == f"Flavor with {message} already exists."


def test_an_image_that_another_makes_at_that_moment_is_a_conflict(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {"id": seed.IMAGE, "status": "queued", "visibility": "shared", "properties": {}, "tags": []}
    times = {"created_at": seed.BEGAN, "updated_at": seed.BEGAN}
    insert_first(monkeypatch, images, t.images, taken | times)
    refused = web("POST", "/image/v2/images", json={"id": seed.IMAGE, "name": "mine"})
    assert refused.status_code == 409
    assert f"Image ID {seed.IMAGE} already exists!" in refused.text
