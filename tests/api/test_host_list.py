"""GET /v1/hosts: pages of hosts with state, capacity, claims and evidence; and operations with their progress."""

from typing import Any

import pytest

from migrator.db import claims
from tests.api import seed
from tests.api.harness import Web


def hosts(web: Web, query: str = "") -> Any:
    answer = web("GET", f"/v1/hosts{query}", None)
    assert answer.status_code == 200, answer.text
    return answer.json()


def host(web: Web, name: str) -> Any:
    answer = web("GET", f"/v1/hosts/{name}", None)
    assert answer.status_code == 200, answer.text
    return answer.json()["host"]


def test_a_host_is_shown_with_what_it_has_and_what_claims_hold(web: Web) -> None:
    uuid = seed.instance(web.db, "web-1", host="compute1")
    with web.db.write() as connection:
        claims.own(connection, "compute1", uuid, 2, 1024, 10)
    found = host(web, "compute1")
    assert (found["state"], found["enabled"], found["instances"], found["evidence"]) == ("up", True, 1, None)
    assert found["capacity"]["vcpus"] | {"allowed": 0} == {"total": 8, "allowed": 0, "claimed": 2, "free": 30}
    assert found["capacity"]["memory_mb"]["claimed"] == 1024
    assert (found["evacuation"]["possible"], "still in use" in found["evacuation"]["refusal"]) == (False, True)


@pytest.mark.parametrize(
    ("more", "state", "evidence", "refusal"),
    [
        ({"last_seen": seed.BEGAN}, "silent", None, "What would count"),
        ({"last_seen": seed.BEGAN, "forced_down": True}, "forced-down", "forced down by admin", None),
        ({"report": {"vcpus": "many"}}, "unreadable", None, None),
    ],
)
def test_a_host_that_is_not_up_says_why(
    web: Web, more: dict[str, Any], state: str, evidence: str | None, refusal: str | None
) -> None:
    seed.host(web.db, "compute9", **more)
    found = host(web, "compute9")
    assert (found["state"], found["evidence"] and found["evidence"]["message"]) == (state, evidence)
    assert found["evacuation"]["possible"] is (refusal is None)
    assert (refusal or "") in (found["evacuation"]["refusal"] or "")


def test_hosts_come_in_pages_by_name_and_are_found_by_a_part_of_it(web: Web) -> None:
    for name in ("n%1", "rack-a1", "rack-a2"):
        seed.host(web.db, name)
    first = hosts(web, "?name=RACK&limit=1")
    assert ([h["name"] for h in first["hosts"]], first["total"], first["next"]) == (["rack-a1"], 2, "rack-a1")
    second = hosts(web, f"?name=RACK&limit=1&marker={first['next']}")
    assert ([h["name"] for h in second["hosts"]], second["next"]) == (["rack-a2"], None)
    assert [h["name"] for h in hosts(web, "?name=%25")["hosts"]] == ["n%1"]  # a sign, no pattern
    assert web("GET", "/v1/hosts/nosuch", None).status_code == 404
    assert web("GET", "/v1/hosts?limit=0", None).status_code == 400


def test_operations_that_run_are_listed_with_name_and_counters(web: Web) -> None:
    uuid = seed.instance(web.db, "web-1", task_state="migrating")
    key = seed.migration(web.db, uuid, "running", kind="live-migration", phase="transfer")
    seed.job(web.db, key, "compute1", {"active": True, "memory_total_bytes": 8, "memory_remaining_bytes": 2})
    (plain,) = web("GET", "/v1/operations?active=true", None).json()["operations"]
    assert "progress" not in plain
    (found,) = web("GET", "/v1/operations?active=true&progress=true", None).json()["operations"]
    assert (found["instance_name"], found["percent"], found["progress"]["memory_total_bytes"]) == ("web-1", 75, 8)
