"""os-instance-actions over HTTP: requests, events and pages, and what a member does not see."""

import pytest

from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.action_requests import ask
from tests.api.harness import Api

_ACTION = {"action", "instance_uuid", "request_id", "user_id", "project_id", "start_time", "message"}


_EVENT = {"event", "start_time", "finish_time", "result", "traceback"}


@pytest.fixture
def moved(api: Api) -> tuple[Api, str, str]:
    """One failed live migration with a timeline; (api, instance, request id)."""
    uuid = seed.instance(api.db, "a")
    error = {"code": "hypervisor_error", "message": "connection reset"}
    key = seed.migration(api.db, uuid, "failed", request_id="req-1", error=error)
    seed.event(api.db, key, "begin", "inspect", seed.BEGAN, host="compute1")
    seed.event(api.db, key, "phase", "claim", seed.BEGAN + 1)
    seed.event(api.db, key, "waiting", "claim", seed.BEGAN + 1)
    seed.event(api.db, key, "reverse", "claim", seed.BEGAN + 2)
    seed.migration(api.db, uuid, "completed", kind="start", moves=False, request_id="req-0", created_at=seed.BEGAN - 9)
    return api, uuid, "req-1"


def test_actions(moved: tuple[Api, str, str]) -> None:
    api, uuid, request_id = moved
    for version, fields in (("2.1", _ACTION), ("2.58", _ACTION | {"updated_at"})):
        listed = api("GET", f"/servers/{uuid}/os-instance-actions", version).json["instanceActions"]
        assert [(a["action"], a["message"]) for a in listed] == [("live-migration", "Error"), ("start", None)]
        assert set(listed[0]) == fields
    for version, fields in (
        ("2.1", _EVENT),
        ("2.62", _EVENT | {"host", "hostId"}),
        ("2.84", _EVENT | {"host", "hostId", "details"}),
    ):
        action = api("GET", f"/servers/{uuid}/os-instance-actions/{request_id}", version).json["instanceAction"]
        events = action["events"]
        assert {frozenset(event) for event in events} == {frozenset(fields)}
        assert [(e["event"], e["result"]) for e in events] == [
            ("live_migration_claim_reverse", "Error"),
            ("live_migration_claim", "Error"),
            ("live_migration_inspect", "Success"),
        ]
    assert [event["details"] for event in events] == ["connection reset", "reverse claim", None]


def test_action_pages(moved: tuple[Api, str, str]) -> None:
    api, uuid, _ = moved
    at = f"/servers/{uuid}/os-instance-actions"
    first = api("GET", f"{at}?limit=1").json
    assert first["links"] == [{"rel": "next", "href": f"http://testserver/v2.1{at}?limit=1&marker=req-1"}]
    (rest,) = api("GET", f"{at}?marker=req-1").json["instanceActions"]
    assert rest["request_id"] == "req-0"
    assert api("GET", f"{at}?marker=nosuch").status == 400
    assert len(api("GET", f"{at}?changes-since=2026-09-21T00:00:00Z").json["instanceActions"]) == 2
    assert api("GET", f"{at}?foo=bar").status == 400
    unknown = api("GET", f"{at}/req-nosuch", "2.1")
    assert (unknown.status, unknown.message) == (404, "Action req-nosuch not found")


def test_a_reset_of_the_state_is_an_action_without_events(moved: tuple[Api, str, str]) -> None:
    api, uuid, _ = moved
    at = f"/servers/{uuid}/os-instance-actions"
    asked = [ask(api, uuid, {"os-resetState": {"state": "error"}}, "2.1") for _ in range(2)]
    ids = [answer.headers["x-openstack-request-id"] for answer in asked]
    listed = api("GET", at, "2.58").json["instanceActions"]
    assert [line["action"] for line in listed] == ["resetState", "resetState", "live-migration", "start"]
    assert {line["request_id"] for line in listed[:2]} == set(ids)
    paged = [api("GET", f"{at}?limit=1&marker={line['request_id']}").json["instanceActions"][0] for line in listed[:3]]
    assert paged == listed[1:]
    shown = api("GET", f"{at}/{ids[0]}", "2.84").json["instanceAction"]
    assert (shown["events"], shown["message"], shown["user_id"]) == ([], None, "admin")


def test_actions_of_a_deleted_instance(api: Api) -> None:
    uuid = seed.instance(api.db, "a", deleted=True)
    assert api("GET", f"/servers/{uuid}/os-instance-actions", "2.20").status == 404
    assert api("GET", f"/servers/{uuid}/os-instance-actions", "2.21").json == {"instanceActions": []}


def test_a_member_sees_events_without_hosts(api: Api) -> None:
    uuid = seed.instance(api.db, "a", project_id="demo")
    key = seed.migration(api.db, uuid, request_id="req-1", project_id="demo")
    seed.event(api.db, key, "begin", "inspect", seed.BEGAN)
    api.web.caller = Caller("demo", "demo", "", is_admin=False)
    at = f"/servers/{uuid}/os-instance-actions/req-1"
    assert "events" not in api("GET", at, "2.50").json["instanceAction"]
    (event,) = api("GET", at, "2.62").json["instanceAction"]["events"]
    assert set(event) == {"event", "start_time", "finish_time", "result", "hostId"}
