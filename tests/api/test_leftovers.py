"""/v1/leftovers: what a host has that no record explains."""

from typing import Any

import pytest

from migrator.protocol import Leftover, Survey
from migrator.scheduler.state import surveys
from tests.api import seed
from tests.api.harness import Web

NOBODYS = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0001"


def told(web: Web, host: str, *leftovers: Leftover) -> None:
    surveys.accept(web.db, host, Survey(leftovers=leftovers))


def disks(uuid: str, pool: str = "local", size: int = 5) -> Leftover:
    return Leftover(kind="disks", pool=pool, path=f"/p/{uuid}", instance=uuid, bytes=size, age_s=60)


def listed(web: Web, host: str = "") -> list[dict[str, Any]]:
    answer = web("GET", f"/v1/leftovers{host and '?host='}{host}", None)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["leftovers"]
    return found


def test_an_instance_that_no_record_knows_is_shown_with_its_host_size_and_age(web: Web) -> None:
    told(web, "compute1", disks(NOBODYS, size=4), disks(seed.instance(web.db, "a", host="compute1")))
    (one,) = listed(web)
    assert (one["host"], one["path"], one["instance"]) == ("compute1", f"/p/{NOBODYS}", NOBODYS)
    assert (one["bytes"], one["age_s"], one["removed"]) == (4, 60.0, False)
    assert one["why"] == "no record knows this instance"
    assert listed(web, "compute2") == []


def test_it_says_where_the_instance_is_or_that_it_was_deleted(web: Web) -> None:
    elsewhere = seed.instance(web.db, "a", host="compute2")
    deleted = seed.instance(web.db, "b", host="compute1", deleted=True)
    told(web, "compute1", disks(elsewhere), disks(deleted, size=9))
    assert [one["why"] for one in listed(web)] == ["the instance was deleted", "the instance is on compute2"]


def test_on_storage_that_both_hosts_share_the_instances_of_either_are_explained(web: Web) -> None:
    for host in ("compute1", "compute2"):
        seed.pools(web.db, host, shared="one", local=host)
    uuid = seed.instance(web.db, "a", host="compute2")
    told(web, "compute1", disks(uuid, "shared"), disks(uuid, "local", 7))
    assert [one["pool"] for one in listed(web)] == ["local"]


def test_while_an_operation_has_to_do_with_the_host_its_files_are_explained(web: Web) -> None:
    uuid = seed.instance(web.db, "a", host="compute2", task_state="migrating")
    seed.migration(web.db, uuid, "running", source="compute2", destination="compute1")
    told(web, "compute1", disks(uuid))
    assert listed(web) == []


@pytest.mark.parametrize(("source", "destination"), [("compute1", "compute2"), ("compute2", "compute1")])
def test_an_operation_that_has_ended_explains_no_files(web: Web, source: str, destination: str) -> None:
    uuid = seed.instance(web.db, "a", host="compute2")
    seed.migration(web.db, uuid, "completed", source=source, destination=destination)
    told(web, "compute1", disks(uuid))
    (one,) = listed(web)
    assert one["why"] == "the instance is on compute2"


@pytest.mark.parametrize(
    ("kind", "message"),
    [("base", "an image that no disk lies over"), ("a newer agent's word", "nothing uses it")],
)
def test_what_nothing_uses_is_shown_as_what_the_agent_will_remove(web: Web, kind: str, message: str) -> None:
    told(web, "compute1", Leftover(kind=kind, path="/p/_base/x", bytes=5))
    (one,) = listed(web)
    assert (one["kind"], one["why"], one["removed"]) == (kind, message, True)
