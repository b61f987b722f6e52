"""/os-server-groups, and the scheduler hints that keep instances together or apart: over HTTP, as Nova answers."""

from typing import Any

import pytest
from sqlalchemy import select

from migrator.db.tables import instances, neighbours, operations
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api, Web
from tests.api.seed import IMAGE, NOBODY


@pytest.fixture
def api(api: Api) -> Api:
    """Its hosts have the pool that instances' disks are in."""
    for number in "12":
        seed.pools(api.db, f"compute{number}", local=f"id-{number}")
    return api


def create(api: Api, version: str = "2.96", **more: Any) -> Any:
    asked = {"name": "sg", "policy": "anti-affinity"} if version >= "2.64" else {"name": "sg", "policies": ["affinity"]}
    return api("POST", "/os-server-groups", version, {"server_group": asked | more})


def boot(api: Api, **hints: Any) -> Any:
    server = {"name": "a", "flavorRef": "1", "imageRef": IMAGE, "networks": "none"}
    return api("POST", "/servers", body={"server": server, "os:scheduler_hints": hints})


def places(api: Api) -> list[str]:
    """The hosts that operations have claimed, in order."""
    with api.db.read() as connection:
        return list(connection.execute(select(operations.c.destination).order_by(operations.c.id)).scalars())


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        ("2.1", {"policies": ["affinity"], "metadata": {}}),
        ("2.12", {"policies": ["affinity"], "metadata": {}}),
        ("2.13", {"policies": ["affinity"], "metadata": {}, "project_id": "admin", "user_id": "admin"}),
        ("2.63", {"policies": ["affinity"], "metadata": {}, "project_id": "admin", "user_id": "admin"}),
        ("2.64", {"policy": "anti-affinity", "rules": {}, "project_id": "admin", "user_id": "admin"}),
    ],
)
def test_a_group_is_made_listed_shown_and_deleted_as_its_microversion_has_it(
    api: Api, version: str, shown: dict[str, Any]
) -> None:
    asked = {"name": "sg"} | {k: v for k, v in shown.items() if k in ("policy", "policies")}
    made = api("POST", "/os-server-groups", version, {"server_group": asked})
    assert made.status == 200
    group = made.json["server_group"]
    assert group == {"id": group["id"], "name": "sg", "members": []} | shown
    assert api("GET", "/os-server-groups", version).json == {"server_groups": [group]}
    assert api("GET", f"/os-server-groups/{group['id']}", version).json == {"server_group": group}
    assert api("DELETE", f"/os-server-groups/{group['id']}", version).status == 204
    for method in ("GET", "DELETE"):
        gone = api(method, f"/os-server-groups/{group['id']}", version)
        assert (gone.status, gone.message) == (404, f"Instance group {group['id']} could not be found.")


BAD = [
    ("2.1", {"name": ""}, "name"),
    ("2.1", {"policies": []}, "policies"),
    ("2.1", {"policies": ["affinity", "affinity"]}, "policies"),
    ("2.1", {"policies": "affinity"}, "policies"),
    ("2.14", {"policies": ["soft-affinity"]}, "soft-affinity"),
    ("2.63", {"policy": "affinity"}, "policy"),
    ("2.64", {"policies": ["affinity"]}, "policies"),
    ("2.64", {"policy": "nosuch"}, "policy"),
    ("2.64", {"rules": {"max_server_per_host": 0}}, "max_server_per_host"),
    ("2.64", {"rules": {"max_server_per_host": "many"}}, "max_server_per_host"),
    ("2.64", {"rules": {"nosuch": 1}}, "nosuch"),
    ("2.64", {"policy": "affinity", "rules": {"max_server_per_host": 2}}, "rules"),
    ("2.64", {"name": None}, "name"),
]


@pytest.mark.parametrize(("version", "more", "field"), BAD, ids=range(len(BAD)))
def test_a_group_that_cannot_be_is_refused_by_field(api: Api, version: str, more: dict[str, Any], field: str) -> None:
    answer = create(api, version, **more)
    assert (answer.status, field in answer.message) == (400, True)
    assert api("GET", "/os-server-groups").json == {"server_groups": []}


@pytest.mark.parametrize(("version", "status"), [("2.14", 400), ("2.15", 200)])
def test_soft_policies_are_known_from_2_15(api: Api, version: str, status: int) -> None:
    assert create(api, version, policies=["soft-anti-affinity"]).status == status


@pytest.mark.parametrize("query", ["limit=x", "offset=x", "limit=-1"])
def test_a_wrong_page_is_refused_by_name(api: Api, query: str) -> None:
    answer = api("GET", f"/os-server-groups?{query}")
    assert (answer.status, query.split("=")[0] in answer.message) == (400, True)
    assert api("GET", "/os-server-groups?nosuch=1", "2.75").status == 400


def test_groups_come_in_pages(api: Api) -> None:
    made = [create(api, name=name).json["server_group"]["id"] for name in "abc"]
    assert [g["id"] for g in api("GET", "/os-server-groups?limit=1&offset=1").json["server_groups"]] == [made[1]]


def test_another_projects_group_is_not_there(web: Web, api: Api) -> None:
    ident = create(api).json["server_group"]["id"]
    web.caller = Caller("u", "p", "", is_admin=False)
    assert api("GET", f"/os-server-groups/{ident}").status == 404
    assert api("DELETE", f"/os-server-groups/{ident}").status == 404
    assert api("GET", "/os-server-groups").json == {"server_groups": []}
    assert api("GET", "/os-server-groups?all_projects=true").status == 403
    assert (boot(api, group=ident).status, "group" in boot(api, group=ident).message) == (400, True)
    web.caller = Caller("admin", "other", "")
    assert api("GET", "/os-server-groups").json == {"server_groups": []}
    assert len(api("GET", "/os-server-groups?all_projects=true").json["server_groups"]) == 1


def test_anti_affinity_spreads_its_members_and_refuses_the_one_that_is_too_many(api: Api) -> None:
    ident = create(api).json["server_group"]["id"]
    uuids = [boot(api, group=ident).json["server"]["id"] for _ in range(3)]
    assert sorted(filter(None, places(api))) == ["compute1", "compute2"]
    last = api("GET", f"/servers/{uuids[2]}").json["server"]
    assert (last["status"], last["server_groups"]) == ("ERROR", [ident])
    with api.db.read() as connection:
        error = connection.execute(
            select(operations.c.error).where(operations.c.instance_uuid == uuids[2])
        ).scalar_one()
    for host, uuid in zip(places(api), uuids[:2], strict=False):
        assert f"server_group: server group sg (anti-affinity): {uuid} is there" in str(error), host
    assert api("GET", f"/os-server-groups/{ident}").json["server_group"]["members"] == uuids
    assert api("GET", "/limits").json["limits"]["absolute"]["totalServerGroupsUsed"] == 1


def test_a_host_takes_as_many_of_a_group_as_its_rule_says(api: Api) -> None:
    ident = create(api, rules={"max_server_per_host": "2"}).json["server_group"]["id"]
    for _ in range(5):
        boot(api, group=ident)
    assert sorted(filter(None, places(api))) == ["compute1", "compute1", "compute2", "compute2"]


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ("affinity", ["compute1", "compute1", "compute1"]),
        ("soft-affinity", ["compute1", "compute1", "compute1"]),
        ("soft-anti-affinity", ["compute1", "compute2", "compute1"]),
    ],
)
def test_the_other_policies_choose_among_hosts(api: Api, policy: str, found: list[str]) -> None:
    ident = create(api, policy=policy).json["server_group"]["id"]
    for _ in found:
        boot(api, group=ident)
    assert places(api) == found


def test_a_group_that_is_deleted_binds_no_member_any_more(api: Api) -> None:
    ident = create(api, policy="affinity").json["server_group"]["id"]
    uuid = boot(api, group=ident).json["server"]["id"]
    api("DELETE", f"/os-server-groups/{ident}")
    assert api("GET", f"/servers/{uuid}").json["server"]["server_groups"] == []
    assert boot(api, group=ident).status == 400


def test_hints_name_instances_to_share_a_host_with_and_to_be_kept_apart_from(api: Api) -> None:
    other = seed.instance(api.db, "other", host="compute2")
    boot(api, same_host=[other])
    boot(api, different_host=other)
    assert places(api) == ["compute2", "compute1"]
    both = boot(api, same_host=other, different_host=[other]).json["server"]["id"]
    shown = api("GET", f"/servers/{both}", "2.100").json["server"]
    assert shown["scheduler_hints"] == {"same_host": other, "different_host": [other]}
    assert shown["status"] == "ERROR"
    assert "scheduler_hints" not in api("GET", f"/servers/{both}", "2.99").json["server"]


HINTS = [
    {"group": NOBODY},
    {"group": "not-a-uuid"},
    {"group": 7},
    {"same_host": NOBODY},
    {"same_host": ["x"]},
    {"different_host": [NOBODY]},
    {"different_host": {"a": 1}},
    {"different_host": [NOBODY] * 101},
]


@pytest.mark.parametrize("hint", HINTS, ids=str)
def test_a_hint_that_names_nothing_is_refused_by_name(api: Api, hint: dict[str, Any]) -> None:
    answer = boot(api, **hint)
    assert answer.status == 400
    assert any(word in answer.message for word in (*hint, str(next(iter(hint.values())))[:36])), answer.message
    with api.db.read() as connection:
        assert connection.execute(select(instances)).all() == []


def test_a_member_names_no_instance_of_another_project(web: Web, api: Api) -> None:
    other = seed.instance(api.db, "other", project_id="q")
    web.caller = Caller("u", "p", "", is_admin=False)
    answer = boot(api, different_host=other)
    assert (answer.status, answer.message) == (
        400,
        f"Invalid input for field/attribute different_host: Instance {other} could not be found.",
    )


def test_an_instance_that_is_kept_apart_does_not_move_to_the_one_that_asked_for_it(api: Api) -> None:
    other, asker = (seed.instance(api.db, name, host=host) for name, host in (("o", "compute1"), ("a", "compute2")))
    with api.db.write() as connection:
        row = {"instance_uuid": asker, "hint": "different_host", "other_uuid": other}
        connection.execute(neighbours.insert().values(row))
    found = api.web("GET", f"/v1/preflight?server={other}", None).json()
    (host,) = (one for one in found["preflight"][0]["hosts"] if one["host"] == "compute2")
    check = next(one for one in host["checks"] if one["code"] == "different_host")
    assert (check["status"], asker in check["message"]) == ("failed", True)
