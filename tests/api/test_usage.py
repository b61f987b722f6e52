"""/os-simple-tenant-usage and /extensions over HTTP, as Nova answers."""

from typing import Any

import pytest

from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api

DAY = 1_767_225_600.0  # 2026-01-01
AT = "/os-simple-tenant-usage"
PERIOD = "start=2026-01-01T00:00:00&end=2026-01-01T10:00:00"


def ran(api: Api, name: str, begin: float, end: float | None = None, **more: Any) -> str:
    """A server that ran between these hours of the day."""
    gone = {} if end is None else {"terminated_at": DAY + end * 3600, "deleted": True, "vm_state": "deleted"}
    return seed.instance(api.db, name, launched_at=DAY + begin * 3600, **gone, **more)


def test_a_project_is_shown_with_what_its_servers_used_in_the_time(api: Api) -> None:
    first, second = sorted((seed.new_uuid(), seed.new_uuid()))
    ran(api, "before and after", -1, 2, uuid=first)
    ran(api, "still", 9, uuid=second)
    ran(api, "earlier", -2, -1)
    ran(api, "later", 11)
    ran(api, "another project's", 0, project_id="p2")
    seed.instance(api.db, "never launched", launched_at=None)
    usage = api("GET", f"{AT}/admin?{PERIOD}").json["tenant_usage"]
    one, two = usage.pop("server_usages")
    assert usage == {
        "tenant_id": "admin",
        "total_hours": 3.0,
        "total_vcpus_usage": 3.0,
        "total_memory_mb_usage": 192.0,
        "total_local_gb_usage": 3.0,
        "start": "2026-01-01T00:00:00.000000",
        "stop": "2026-01-01T10:00:00.000000",
    }
    assert one == {
        "hours": 2.0,
        "flavor": one["flavor"],
        "instance_id": first,
        "name": "before and after",
        "memory_mb": 64,
        "local_gb": 1,
        "vcpus": 1,
        "tenant_id": "admin",
        "started_at": "2025-12-31T23:00:00.000000",
        "ended_at": "2026-01-01T02:00:00.000000",
        "state": "terminated",
        "uptime": 10800,
    }
    assert (two["hours"], two["ended_at"], two["state"]) == (1.0, None, "active")
    assert api("GET", f"{AT}/nosuch?{PERIOD}").json == {"tenant_usage": {}}


def test_all_projects_are_listed_with_details_if_asked(api: Api) -> None:
    for project in ("p1", "p2"):
        ran(api, "a", 0, 1, project_id=project)
    usages = api("GET", f"{AT}?{PERIOD}", "2.1").json["tenant_usages"]
    assert [(one["tenant_id"], one["total_hours"]) for one in usages] == [("p1", 1.0), ("p2", 1.0)]
    assert all("server_usages" not in one for one in usages)
    usages = api("GET", f"{AT}?{PERIOD}&detailed=1", "2.1").json["tenant_usages"]
    assert [len(one["server_usages"]) for one in usages] == [1, 1]


def test_pages_are_of_servers_from_2_40(api: Api) -> None:
    for name in "abc":
        ran(api, name, 0, 1, project_id="p1")
    first = api("GET", f"{AT}/p1?{PERIOD}&limit=2").json
    assert first["tenant_usage"]["total_hours"] == 2.0
    (link,) = first["tenant_usage_links"]
    rest = api("GET", link["href"].split("/v2.1")[1]).json
    assert (rest["tenant_usage"]["total_hours"], "tenant_usage_links" in rest) == (1.0, False)
    listed = api("GET", f"{AT}?{PERIOD}&limit=2").json
    assert api("GET", listed["tenant_usages_links"][0]["href"].split("/v2.1")[1]).json["tenant_usages"]
    assert api("GET", f"{AT}/p1?{PERIOD}&limit=2", "2.39").json["tenant_usage"]["total_hours"] == 3.0
    lost = api("GET", f"{AT}?{PERIOD}&marker=nosuch")
    assert (lost.status, lost.message) == (400, "marker [nosuch] not found")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("start=nosuch", "Invalid datetime string: Datetime is in invalid format"),
        ("end=2026-13-01T00:00:00", "Invalid datetime string: Datetime is in invalid format"),
        ("start=2026-01-02T00:00:00&end=2026-01-01T00:00:00", "Invalid start time. The start time cannot occur after"),
        ("nosuch=1", "nosuch"),
    ],
)
def test_a_time_that_is_none_is_refused(api: Api, query: str, text: str) -> None:
    for path in (AT, f"{AT}/admin"):
        answer = api("GET", f"{path}?{query}")
        assert (answer.status, text in answer.message) == (400, True), answer.message


def test_a_member_sees_its_own_projects_use_alone(api: Api) -> None:
    api.web.caller = Caller("u1", "p1", "", is_admin=False)
    assert api("GET", f"{AT}/p1").status == 200
    assert api("GET", f"{AT}/p2").status == 403
    assert api("GET", AT).status == 403


def test_extensions_are_those_that_are_served_in_novas_words(api: Api) -> None:
    found = {one["alias"]: one for one in api("GET", "/extensions").json["extensions"]}
    shown = {
        "alias": "os-keypairs",
        "name": "Keypairs",
        "description": "Keypair Support.",
        "links": [],
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "updated": "2014-12-03T00:00:00Z",
    }
    assert found["os-keypairs"] == shown
    assert api("GET", "/extensions/os-keypairs").json == {"extension": shown}
    assert "os-floating-ips" not in found
    gone = api("GET", "/extensions/os-floating-ips")
    assert (gone.status, gone.message) == (404, "The resource could not be found.")
