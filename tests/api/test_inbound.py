"""Builds that wait to come into a host, as a client sees them: where they stand, and deleted as any other server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.db.engine import Database
from tests.api import seed
from tests.api.harness import Web


@pytest.fixture
def web(db: Database, tmp_path: Path) -> Iterator[Web]:
    """One host, which takes in one instance at a time."""
    seed.host(db, "compute1")
    seed.pools(db, "compute1", local="one")
    seed.flavor(db)
    seed.image(db, seed.IMAGE)
    made = Web(db, tmp_path, max_concurrent_builds=1)
    yield made
    made.services.db.close()


def created(web: Web) -> str:
    body = {"server": {"name": "cap", "imageRef": seed.IMAGE, "flavorRef": "1", "networks": "none"}}
    answer = web("POST", "/v2.1/servers", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["server"]["id"])


def build_of(web: Web, uuid: str) -> Any:
    found = web("GET", f"/v1/operations?instance={uuid}", None).json()["operations"]
    return next(operation for operation in found if operation["kind"] == "build")


def place(web: Web, uuid: str) -> tuple[str | None, str | None]:
    found = build_of(web, uuid)
    message = "queued: position {} of what comes into compute1, of which 1 may be under way (max_concurrent_builds)"
    told = {message.format(number): f"position {number}" for number in range(1, 9)}
    return found["phase"], told.get(found["waiting"], found["waiting"])


def test_a_build_that_waits_is_shown_with_its_place_and_can_be_deleted(web: Web) -> None:
    first, second, third = (created(web) for _ in range(3))
    assert place(web, first) == ("disks", None)
    assert [place(web, uuid) for uuid in (second, third)] == [("claim", "position 1"), ("claim", "position 2")]
    server = web("GET", f"/v2.1/servers/{second}").json()["server"]
    assert (server["status"], server["OS-EXT-STS:task_state"]) == ("BUILD", "scheduling")
    assert server["OS-EXT-SRV-ATTR:host"] is None
    assert web("DELETE", f"/v2.1/servers/{second}").status_code == 204
    for _ in range(2):  # it leaves the queue, and is deleted; then the others move up
        web.services.reconciler.sweep()
    assert web("GET", f"/v2.1/servers/{second}").status_code == 404
    assert place(web, third) == ("claim", "position 1")
    assert build_of(web, second)["status"] == "cancelled"


def test_only_that_it_began_to_wait_is_in_the_timeline(web: Web) -> None:
    first, second, third = (created(web) for _ in range(3))
    web("DELETE", f"/v2.1/servers/{second}")
    for _ in range(2):
        web.services.reconciler.sweep()
    assert place(web, third) == ("claim", "position 1")
    lines = web("GET", f"/v1/operations/{build_of(web, third)['id']}/timeline", None).json()["events"]
    assert [line["name"] for line in lines] == ["begin", "waiting"]
    assert build_of(web, first)["active"] is True
