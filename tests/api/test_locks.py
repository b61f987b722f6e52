"""Locked servers: whose lock holds, and what it holds back."""

from collections.abc import Callable
from typing import Any

import pytest

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
