"""Locked servers: whose lock holds, and what it holds back."""

from collections.abc import Callable
from typing import Any

import pytest

from migrator.api import urls
from migrator.api.v2_1.actions.dispatch import ACTIONS
from migrator.api.v2_1.servers import servers
from migrator.db import instances
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api

ADMIN = Caller("admin", "admin", "")
MEMBER = Caller("demo", "demo", "", is_admin=False)


def locked(api: Api, uuid: str) -> tuple[str | None, str | None]:
    with api.db.read() as connection:
        row = instances.get(connection, uuid)
    return row.locked_by, row.locked_reason


def ask(api: Api, caller: Caller, uuid: str, body: Any) -> int:
    api.web.caller = caller
    return api("POST", f"/servers/{uuid}/action", "2.73", body).status


@pytest.fixture
def in_between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Something that happens once the next action has read the server."""

    def arrange(happens: Callable[[], Any]) -> None:
        def find(*given: Any) -> Any:
            row = servers.find(*given)
            happens()
            return row

        monkeypatch.setattr("migrator.api.v2_1.actions.dispatch.find", find)

    return arrange


def lock_as_admin(api: Api, uuid: str) -> None:
    with api.db.write() as connection:
        instances.change(connection, uuid, {"locked_by": "admin", "locked_reason": "evidence"})


def test_a_member_can_neither_take_over_nor_open_an_administrators_lock(api: Api) -> None:
    uuid = seed.instance(api.db, "a", project_id="demo")
    assert ask(api, ADMIN, uuid, {"lock": {"locked_reason": "evidence"}}) == 202
    assert ask(api, MEMBER, uuid, {"lock": {"locked_reason": "mine"}}) == 202
    assert locked(api, uuid) == ("admin", "evidence")
    assert ask(api, MEMBER, uuid, {"unlock": None}) == 403
    assert locked(api, uuid) == ("admin", "evidence")


def test_an_administrators_lock_replaces_the_owners_and_theirs_keeps_its_reason(api: Api) -> None:
    uuid = seed.instance(api.db, "a", project_id="demo")
    assert ask(api, MEMBER, uuid, {"lock": {"locked_reason": "mine"}}) == 202
    assert ask(api, MEMBER, uuid, {"lock": {"locked_reason": "again"}}) == 202
    assert locked(api, uuid) == ("owner", "mine")
    assert ask(api, ADMIN, uuid, {"lock": {"locked_reason": "evidence"}}) == 202
    assert locked(api, uuid) == ("admin", "evidence")
    assert ask(api, ADMIN, uuid, {"unlock": None}) == 202
    assert locked(api, uuid) == (None, None)


def test_an_administrator_of_the_servers_own_project_locks_as_its_owner(api: Api) -> None:
    uuid = seed.instance(api.db, "a", project_id="demo")
    assert ask(api, Caller("root", "demo", ""), uuid, {"lock": None}) == 202
    assert locked(api, uuid) == ("owner", None)
    assert ask(api, MEMBER, uuid, {"unlock": None}) == 202


@pytest.mark.parametrize(("body", "status"), [({"lock": {"locked_reason": "mine"}}, 202), ({"unlock": None}, 403)])
def test_an_administrators_lock_that_comes_between_look_and_change_holds(
    api: Api, in_between: Callable[[Callable[[], Any]], None], body: Any, status: int
) -> None:
    uuid = seed.instance(api.db, "a", project_id="demo")
    in_between(lambda: lock_as_admin(api, uuid))
    assert ask(api, MEMBER, uuid, body) == status
    assert locked(api, uuid) == ("admin", "evidence")


# --- what a lock holds back: as Nova's check_instance_lock, by the tables of URLs and actions ---------------------

MANAGER = Caller("boss", "demo", "", is_admin=False, roles=frozenset({"manager", "member", "reader"}))
BODIES: dict[str, Any] = {
    "reboot": {"type": "HARD"},
    "resize": {"flavorRef": "1"},
    "os-migrateLive": {"host": None, "block_migration": "auto"},
    "evacuate": {},
    "os-resetState": {"state": "error"},
    "unlock": None,
}
NOT_HELD = {"PUT /servers/{id}", "PUT /servers/{id}/tags", "DELETE /servers/{id}/tags", "PUT /servers/{id}/tags/{tag}"}
NOT_HELD |= {"DELETE /servers/{id}/tags/{tag}", "POST /servers/{id}/action"}  # whose own table says which are held
NOT_OFFERED = {"POST /servers/{id}/os-volume_attachments", "POST /servers/{id}/os-interface"}
NOT_OFFERED |= {"DELETE /servers/{id}/os-interface/{port}"}
NOT_OFFERED |= {f"{method} /servers/{{id}}/os-volume_attachments/{{volume}}" for method in ("PUT", "DELETE")}
FREE = {"lock", "unlock", "evacuate", "os-resetState", "os-getConsoleOutput"}  # actions that no lock holds
CHANGES = {
    f"{route.method} {route.path}": route
    for route in urls.COMPUTE
    if route.path.startswith("/servers/{id}") and route.method != "GET"
}
HELD = sorted(name for name, route in CHANGES.items() if route.held_by_lock)
URL_BODIES = {
    "POST /servers/{id}/metadata": {"metadata": {"k": "w"}},
    "PUT /servers/{id}/metadata": {"metadata": {"k": "w"}},
    "PUT /servers/{id}/metadata/{key}": {"meta": {"k": "w"}},
    "POST /servers/{id}/migrations/{migration_id}/action": {"force_complete": None},
}


def test_each_change_of_a_server_is_held_by_its_lock_or_listed_as_nova_has_it() -> None:
    assert set(CHANGES) - NOT_HELD - NOT_OFFERED == set(HELD)
    assert {name for name, rule in ACTIONS.items() if rule.when_locked} == FREE


@pytest.mark.parametrize("name", HELD)
def test_a_locked_server_refuses_the_change_to_its_project_and_not_to_administrators(api: Api, name: str) -> None:
    uuid = seed.instance(api.db, "a", project_id="demo", task_state="migrating", locked_by="owner")
    key = seed.migration(api.db, uuid, "running")
    method, path = name.split(" ")
    at = path.format(id=uuid, migration_id=key, key="k")
    api.web.caller = MANAGER
    answer = api(method, at, "2.90", URL_BODIES.get(name))
    assert (answer.status, answer.message) == (409, f"Instance {uuid} is locked")
    api.web.caller = ADMIN
    assert api(method, at, "2.90", URL_BODIES.get(name)).status in (200, 202, 204)


@pytest.mark.parametrize("name", sorted(name for name, rule in ACTIONS.items() if not rule.when_locked))
def test_a_locked_server_refuses_the_action_to_its_project(api: Api, name: str) -> None:
    uuid = seed.instance(api.db, "a", project_id="demo", locked_by="owner")
    api.web.caller = MANAGER
    answer = api("POST", f"/servers/{uuid}/action", "2.90", {name: BODIES.get(name)})
    assert (answer.status, answer.message) == (409, f"Instance {uuid} is locked")


def test_a_lock_comes_after_what_is_not_there_and_what_is_not_allowed(api: Api) -> None:
    uuid = seed.instance(api.db, "a", project_id="demo", locked_by="owner")
    api.web.caller = Caller("u", "other", "", is_admin=False)
    assert api("DELETE", f"/servers/{uuid}").status == 404
    api.web.caller = Caller("u", "demo", "", is_admin=False, roles=frozenset({"reader"}))
    assert api("DELETE", f"/servers/{uuid}").status == 403
