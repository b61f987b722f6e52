"""/v1/drains: what a drain is asked, plans and begins; the moves themselves are carried out in tests/world."""

from typing import Any

import pytest

from migrator.db import hosts
from tests.api import seed
from tests.api.harness import Web


def drain(web: Web, host: str = "compute1", **more: Any) -> Any:
    return web("POST", "/v1/drains", None, json={"host": host, **more})


def begun(web: Web, **more: Any) -> Any:
    answer = drain(web, **more)
    assert answer.status_code == 202, answer.text
    return answer.json()["drain"]


def shown(web: Web, uuid: str) -> Any:
    return web("GET", f"/v1/drains/{uuid}", None).json()["drain"]


def host_row(web: Web, name: str = "compute1") -> Any:
    with web.db.read() as connection:
        return hosts.get(connection, name)


def refusal(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"]["message"])


@pytest.fixture(autouse=True)
def pools(web: Web) -> None:
    for name in ("compute1", "compute2"):
        seed.pools(web.db, name, local="shared")


def test_a_drain_disables_the_host_and_begins_moves_under_its_budget(web: Web) -> None:
    uuids = [seed.instance(web.db, name) for name in "abc"]
    found = begun(web, reason="new fan", at_most=2)
    assert (found["state"], found["kind"], found["host"]) == ("running", "drain", "compute1")
    assert sorted(move["server"] for move in found["moves"]) == sorted(uuids)
    assert sorted(move["state"] for move in found["moves"]) == ["moving", "moving", "waiting"]
    assert {(move["way"], move["destination"]) for move in found["moves"]} == {("live", "compute2")}
    assert {move["operation"]["kind"] for move in found["moves"] if move["operation"]} == {"live-migration"}
    row = host_row(web)
    assert (row.disabled, row.disabled_reason) == (True, f"drain {found['uuid']}: new fan")
    assert [event["name"] for event in found["events"]] == ["begun", "planned", "begun", "begun"]
    assert found["events"][1]["message"].startswith("3 live; ")


def test_a_dry_run_answers_the_plan_and_begins_nothing(web: Web) -> None:
    seed.instance(web.db, "a")
    seed.instance(web.db, "off", vm_state="stopped", power_state=4)
    answer = drain(web, dry_run=True)
    assert answer.status_code == 200, answer.text
    plan = answer.json()["plan"]
    assert sorted((m["name"], m["way"], m["destination"], m["state"]) for m in plan["moves"]) == [
        ("a", "live", "compute2", "planned"),
        ("off", "cold", "compute2", "planned"),
    ]
    assert [m["why"] for m in plan["moves"] if m["name"] == "off"] == ["live: it is stopped"]
    assert plan["longest_s"] >= plan["predicted_s"] > 0
    assert not host_row(web).disabled
    assert web("GET", "/v1/drains", None).json() == {"drains": []}


def test_what_cannot_go_is_named_and_the_drain_is_blocked(web: Web) -> None:
    huge = {**seed.FLAVOR, "memory_mb": 20_000}
    seed.instance(web.db, "huge", flavor=huge)
    found = begun(web)
    (move,) = found["moves"]
    assert (found["state"], found["note"], move["state"]) == ("blocked", "cannot go: huge", "stuck")
    assert move["why"] == ("live: 20000 MiB of memory needed (1 host); cold: 20000 MiB of memory needed (1 host)")
    assert move["remedy"] == "make room on compute2: 20000 MiB of memory needed"


def test_what_cannot_go_is_left_where_that_is_allowed_and_the_drain_ends(web: Web) -> None:
    seed.instance(web.db, "huge", flavor={**seed.FLAVOR, "memory_mb": 20_000})
    found = begun(web, strategies=["live", "leave"])
    assert (found["state"], found["note"]) == ("completed", "1 stay where they are")
    assert [move["state"] for move in found["moves"]] == ["left"]


def test_a_deadline_that_cannot_be_met_is_said_in_the_plan(web: Web) -> None:
    seed.instance(web.db, "a")
    assert drain(web, dry_run=True, deadline_s=1).json()["plan"]["late"] == ["a"]
    found = begun(web, deadline_s=1)
    assert found["events"][1]["message"].endswith("; after the deadline: a")


def test_the_most_important_goes_first(web: Web) -> None:
    seed.instance(web.db, "a")
    seed.instance(web.db, "vip", metadata={"migrator:priority": "5"})
    seed.instance(web.db, "junk", metadata={"migrator:priority": "¹²"})
    found = begun(web, at_most=1)
    assert [move["name"] for move in found["moves"] if move["state"] == "moving"] == ["vip"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"strategies": ["leave", "live"]}, "strategies: live is never tried"),
        ({"strategies": ["live", "live"]}, "strategies names a way twice: live, live"),
        ({"strategies": ["stop"], "to": ["compute2"]}, "to names destinations, but stop moves nothing"),
        ({"to": ["compute1"]}, "to names compute1, the host that is to be emptied"),
        ({"to": ["compute9"]}, "to names compute9: no host of that name is registered"),
        ({"at_most": 0}, "at_most"),
        ({"strategies": ["fly"]}, "strategies"),
        ({"reason": "a\nb"}, "reason"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_contradicting_options_are_refused_and_leave_nothing(web: Web, more: dict[str, Any], message: str) -> None:
    assert message in refusal(drain(web, **more), 400)
    assert not host_row(web).disabled
    assert web("GET", "/v1/drains", None).json() == {"drains": []}


def test_an_unknown_host_is_not_found(web: Web) -> None:
    assert refusal(drain(web, host="nowhere"), 404) == "Host nowhere is not registered"
    assert refusal(web("GET", "/v1/drains/nothing", None), 404) == "Drain nothing could not be found."


def test_a_host_that_is_being_drained_is_refused(web: Web) -> None:
    seed.instance(web.db, "a")
    first = begun(web)
    message = f"Host compute1 has drain {first['uuid']} (drain) under way"
    assert refusal(drain(web), 409) == message


def test_a_host_that_is_down_says_evacuate(web: Web) -> None:
    seed.host(web.db, "compute3", last_seen=1.0, forced_down=True)
    answer = drain(web, host="compute3")
    assert refusal(answer, 409) == "Host compute3 is down: nothing can be moved away from it"
    assert "evacuate" in answer.text


def test_two_hosts_are_not_drained_into_each_other_and_the_last_one_not_at_all(web: Web) -> None:
    seed.instance(web.db, "a")
    begun(web)
    assert refusal(drain(web, host="compute2", to=["compute1"]), 409).startswith("compute1 is being drained")
    assert refusal(drain(web, host="compute2"), 409) == "no other host takes instances in: nothing could leave compute2"


def test_a_drain_is_paused_resumed_and_cancelled_and_gives_its_host_back(web: Web) -> None:
    seed.instance(web.db, "a", flavor={**seed.FLAVOR, "memory_mb": 20_000})
    uuid = begun(web)["uuid"]
    assert web("POST", f"/v1/drains/{uuid}/pause", None).json()["drain"]["state"] == "paused"
    message = f"Drain {uuid} cannot pause: it is paused"
    assert refusal(web("POST", f"/v1/drains/{uuid}/pause", None), 409) == message
    assert web("POST", f"/v1/drains/{uuid}/resume", None).json()["drain"]["state"] == "blocked"
    found = web("POST", f"/v1/drains/{uuid}/cancel", None, json={}).json()["drain"]
    assert (found["state"], host_row(web).disabled) == ("cancelled", False)
    assert refusal(web("POST", f"/v1/drains/{uuid}/cancel", None, json={}), 409).endswith("it is cancelled")


def test_a_drain_of_an_empty_host_is_over_at_once_and_the_host_stays_closed(web: Web) -> None:
    found = begun(web)
    assert (found["state"], found["note"], found["moves"]) == ("completed", "nothing is left to do", [])
    assert host_row(web).disabled
    (listed,) = web("GET", "/v1/drains", None, params={"host": "compute1"}).json()["drains"]
    assert (listed["uuid"], listed["moves"]) == (found["uuid"], {})
    back = web("POST", "/v1/hosts/compute1/restore", None)
    assert back.status_code == 202, back.text
    assert (back.json()["drain"]["state"], host_row(web).disabled) == ("completed", False)


def test_what_was_never_drained_is_not_restored(web: Web) -> None:
    message = "Host compute1 was never drained: there is nothing to bring back"
    assert refusal(web("POST", "/v1/hosts/compute1/restore", None), 409) == message


def test_the_list_is_given_in_pages_the_newest_first(web: Web) -> None:
    made = [begun(web)["uuid"]]
    for _ in range(2):
        made.append(web("POST", "/v1/hosts/compute1/restore", None).json()["drain"]["uuid"])
        made.append(begun(web)["uuid"])

    def page(**query: Any) -> list[str]:
        answer = web("GET", "/v1/drains", None, params=query)
        assert answer.status_code == 200, answer.text
        return [row["uuid"] for row in answer.json()["drains"]]

    first = page(limit=2)
    assert [*first, *page(limit=2, marker=first[-1]), *page(marker=made[1])] == made[::-1]
    message = "marker [nothing] not found"
    assert message in refusal(web("GET", "/v1/drains", None, params={"marker": "nothing"}), 400)
    for limit in (0, 1001):
        assert "limit" in refusal(web("GET", "/v1/drains", None, params={"limit": limit}), 400)


def test_hosts_whose_description_cannot_be_read_are_no_destinations(web: Web) -> None:
    seed.instance(web.db, "a")
    with web.db.write() as connection:
        report = hosts.get(connection, "compute2").report
        hosts.change(connection, "compute2", {"report": {**report, "memory_mb": "much"}})
    message = (
        "no other host takes instances in (compute2: its description cannot be read): nothing could leave compute1"
    )
    answer = drain(web)
    assert refusal(answer, 409) == message
    assert "restart the agent of compute2" in answer.text
    assert not host_row(web).disabled
