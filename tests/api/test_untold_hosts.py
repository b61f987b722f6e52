"""What hosts a cloud has is not told to its users: no answer to a manager, a member or a reader names one.

Every host's name has a tell-tale in it. Operators read the same errors, and these do name it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from migrator.api.v2_1.actions import live
from migrator.db import host_domains
from migrator.db.engine import Database
from migrator.errors import BadRequest
from tests.api import seed
from tests.api.callers import PROJECT, Callers

TELL_TALE = "tell-tale"
UP, OTHER, DOWN, FORCED = (f"{TELL_TALE}-host-{number}" for number in (7, 8, 9, 6))
USERS = ("manager", "member", "reader")
VERSIONS = ("2.1", "2.33", "2.104")
# What an operator may grant without granting the sight of hosts.
GRANTED = ("os-evacuate", "os-instance-actions:events:details", "os-migrate-server:migrate_live:host")
RACK = {"aggregate_instance_extra_specs:rack": "b"}


@pytest.fixture
def cloud(db: Database, tmp_path: Path) -> Iterator[Callers]:
    policy = tmp_path / "policy.yaml"
    policy.write_text("".join(f"'os_compute_api:{rule}': 'role:reader'\n" for rule in GRANTED))
    made = Callers("believed", db, tmp_path, policy_file=policy)
    for name in (UP, OTHER):
        seed.host(db, name)
    seed.host(db, DOWN, last_seen=1.0)
    seed.host(db, FORCED, forced_down=True)
    seed.flavor(db)
    seed.flavor(db, flavorid="big", name="m1.big", memory_mb=9_999_999, extra_specs=RACK)
    seed.image(db, seed.IMAGE)
    _set_apart(made, UP)
    yield made
    made.web.services.db.close()


def _set_apart(cloud: Callers, host: str) -> None:
    """In an aggregate of its own, whose name and metadata are the operator's, too."""
    body: dict[str, Any] = {"aggregate": {"name": f"{TELL_TALE}-rack"}}
    made = cloud.ask("admin", "POST", "/v2.1/os-aggregates", "2.1", json=body).json()["aggregate"]["id"]
    for action in ({"add_host": {"host": host}}, {"set_metadata": {"metadata": {"rack": f"{TELL_TALE}-row"}}}):
        answer = cloud.ask("admin", "POST", f"/v2.1/os-aggregates/{made}/action", "2.1", json=action)
        assert answer.status_code == 200, answer.text


def instance(db: Database, **more: Any) -> str:
    return seed.instance(db, "a", **{"project_id": PROJECT, "user_id": "u-member", "host": UP} | more)


def everything(answer: Any) -> str:
    return f"{answer.headers} {answer.text}"


def reads(cloud: Callers, person: str) -> Iterator[str]:
    """All that this person can read of servers and of what was done to them."""
    for version in VERSIONS:

        def get(path: str, version: str = version) -> Any:
            answer = cloud.ask(person, "GET", f"/v2.1{path}", version)
            assert answer.status_code in (200, 403, 404), answer.text
            return answer

        shown = [get("/servers/detail"), get("/servers"), get("/os-migrations")]
        for server in shown[0].json()["servers"]:
            at = f"/servers/{server['id']}"
            shown += [get(at), get(f"{at}/migrations"), get(f"{at}/os-instance-actions")]
            actions = shown[-1].json()["instanceActions"]
            shown += [get(f"{at}/os-instance-actions/{action['request_id']}") for action in actions]
        yield from map(everything, shown)


def test_a_build_that_no_host_takes_tells_its_owner_novas_sentence_and_operators_each_host(cloud: Callers) -> None:
    near, far = instance(cloud.web.db), instance(cloud.web.db, host=OTHER, project_id="another")
    server = {"name": "x", "flavorRef": "big", "imageRef": seed.IMAGE, "networks": "none"}
    body = {"server": server, "os:scheduler_hints": {"different_host": [near]}}
    answer = cloud.ask("member", "POST", "/v2.1/servers", "2.96", json=body)
    assert answer.status_code == 202, answer.text
    path = f"/v2.1/servers/{answer.json()['server']['id']}"
    for version in VERSIONS:
        told = cloud.ask("member", "GET", path, version).json()["server"]["fault"]
        assert told["message"] == "No valid host was found. There are not enough hosts available."
        assert "details" not in told
        assert told["created"].endswith("Z")
    for person in USERS:
        for text in reads(cloud, person):
            assert TELL_TALE not in text, (person, text)
            assert "MiB" not in text
            assert far not in text
    seen = cloud.ask("admin", "GET", path, "2.1").json()["server"]["fault"]
    for expected in (UP, OTHER, DOWN, "9999999 MiB needed", near):
        assert expected in seen["details"]
    assert seen["message"] == told["message"]


def test_a_fault_that_an_earlier_release_wrote_is_told_the_same_way(cloud: Callers) -> None:
    for message in (f"No valid host was found. {UP}: memory", f"{UP}: cannot start"):
        instance(cloud.web.db, vm_state="error", fault={"code": 500, "message": message, "created": seed.BEGAN})
    for person in USERS:
        assert not [text for text in reads(cloud, person) if TELL_TALE in text]
    shown = cloud.ask("admin", "GET", "/v2.1/servers/detail?all_tenants=1", "2.1").json()["servers"]
    assert {one["fault"]["details"].partition(":")[0] for one in shown} == {f"No valid host was found. {UP}", UP}


def test_why_a_move_failed_names_no_host_to_users_that_may_read_why(cloud: Callers) -> None:
    uuid = instance(cloud.web.db)
    error = {"code": "no_valid_host", "message": f"No valid host was found. {OTHER}: memory: 5 MiB free"}
    ends = {"source": UP, "destination": None, "project_id": PROJECT, "request_id": "req-1"}
    key = seed.migration(cloud.web.db, uuid, "error", kind="resize", error=error, **ends)
    seed.event(cloud.web.db, key, "begin", "inspect", seed.BEGAN, host=UP)
    seed.event(cloud.web.db, key, "phase", "claim", seed.BEGAN + 1, host=UP)
    seed.event(cloud.web.db, key, "reverse", "claim", seed.BEGAN + 2, message=error["message"])
    for person in USERS:
        assert not [text for text in reads(cloud, person) if TELL_TALE in text]
    path = f"/v2.1/servers/{uuid}/os-instance-actions/req-1"
    read = cloud.ask("reader", "GET", path, "2.104").json()["instanceAction"]["events"]
    assert "There are not enough hosts available" in read[0]["details"]
    assert error["message"] in cloud.ask("admin", "GET", path, "2.104").text


class Refusal(NamedTuple):
    """``person`` asks for ``body``, which ``made`` gives (instance, body) for, and is answered with ``status``."""

    person: str
    version: str
    status: int
    made: Callable[[Database], tuple[str, Any]]


def with_a_second_copy(body: Any, **more: Any) -> Callable[[Database], tuple[str, Any]]:
    def made(db: Database) -> tuple[str, Any]:
        uuid = instance(db, **more)
        with db.write() as connection:
            host_domains.replace(connection, OTHER, [host_domains.HeldCopy(uuid, "running")])
        return uuid, body

    return made


def with_a_silent_source(db: Database) -> tuple[str, Any]:
    uuid = instance(db, vm_state="resized")
    params = {"old_flavor": dict(seed.FLAVOR), "new_flavor": dict(seed.FLAVOR)}
    ends = {"source": DOWN, "destination": UP, "project_id": PROJECT}
    seed.migration(db, uuid, "finished", kind="resize", phase="verify", params=params, **ends)
    return uuid, {"revertResize": None}


def on(host: str, body: Any) -> Callable[[Database], tuple[str, Any]]:
    return lambda db: (instance(db, host=host), body)


def moved(host: str | None) -> Any:
    return {"os-migrateLive": {"host": host, "block_migration": "auto", "force": False}}


REFUSALS = {
    "start": Refusal("member", "2.1", 409, with_a_second_copy({"os-start": None}, vm_state="stopped")),
    "reboot": Refusal("member", "2.1", 409, with_a_second_copy({"reboot": {"type": "HARD"}})),
    "resume": Refusal("member", "2.1", 409, with_a_second_copy({"resume": None}, vm_state="suspended")),
    "unpause": Refusal("member", "2.104", 409, with_a_second_copy({"unpause": None}, vm_state="paused")),
    "revert": Refusal("member", "2.1", 409, with_a_silent_source),
    "live": Refusal("manager", "2.33", 400, on(DOWN, moved(None))),
    "live_here": Refusal("manager", "2.33", 400, on(UP, moved(UP))),
    "evacuate_up": Refusal("member", "2.14", 400, on(UP, {"evacuate": {}})),
    "evacuate_heard": Refusal("member", "2.14", 400, on(FORCED, {"evacuate": {}})),
    "evacuate_silent": Refusal("member", "2.14", 409, on(DOWN, {"evacuate": {}})),
    "evacuate_unknown": Refusal("member", "2.14", 400, on(f"{TELL_TALE}-gone", {"evacuate": {}})),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_action_names_no_host_to_users_and_does_to_operators(cloud: Callers, name: str) -> None:
    refusal = REFUSALS[name]
    uuid, body = refusal.made(cloud.web.db)
    path = f"/v2.1/servers/{uuid}/action"
    for person in USERS:
        answer = cloud.ask(person, "POST", path, refusal.version, json=body)
        assert TELL_TALE not in everything(answer), (person, answer.text)
        assert answer.status_code == refusal.status or person != refusal.person, answer.text
    seen = cloud.ask("admin", "POST", path, refusal.version, json=body)
    assert (seen.status_code, TELL_TALE in seen.text) == (refusal.status, True), seen.text


def test_below_2_34_what_the_checks_refused_names_no_host_to_a_manager(cloud: Callers) -> None:
    error = {"code": "check_failed", "message": f"{OTHER}: cpu: Westmere lacks avx2"}
    key = seed.migration(cloud.web.db, instance(cloud.web.db), "error", error=error)
    with pytest.raises(BadRequest) as raised:
        live._checked(cloud.web.db, key)
    assert raised.value.message == error["message"]
    assert TELL_TALE not in raised.value.without_hosts
