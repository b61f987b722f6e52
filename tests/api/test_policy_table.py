"""The policy over HTTP, cell by cell: operation x role x own or another project, on every surface."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.api import microversions
from migrator.api.access import BY_ACTION, operation_of, rule_of
from migrator.api.identity.policy_rules import RULES, by_operation
from migrator.api.routing import ANYBODY
from migrator.api.urls import ROUTES
from migrator.api.v2_1.actions.dispatch import ACTIONS
from migrator.db import credentials
from migrator.db.engine import Database
from tests.api import seed
from tests.api.callers import PEOPLE, Callers
from tests.api.policy_grid import LOWEST

BODIES: dict[str, Any] = {
    "reboot": {"type": "SOFT"},
    "resize": {"flavorRef": "nosuch"},
    "os-migrateLive": {"host": None, "block_migration": "auto"},
    "evacuate": {},
    "os-resetState": {"state": "error"},
    "lock": None,
    "os-getConsoleOutput": {},
    "addTenantAccess": {"tenant": "p9"},
    "removeTenantAccess": {"tenant": "p9"},
    "PUT /v2.1/servers/{id}": {"server": {"name": "renamed"}},
    "POST /v2.1/servers/{id}/metadata": {"metadata": {"thing": "x"}},
    "PUT /v2.1/servers/{id}/metadata": {"metadata": {"thing": "x"}},
    "PUT /v2.1/servers/{id}/metadata/{key}": {"meta": {"thing": "x"}},
    "PUT /v2.1/servers/{id}/tags": {"tags": ["thing"]},
    "POST /v2.1/servers/{id}/migrations/{migration_id}/action": {"force_complete": None},
}
RANK = ("admin", "manager", "member", "reader", "any")
GRID = {line.strip(): lowest for lowest, text in LOWEST.items() for line in text.splitlines() if line.strip()}
OF_PROJECTS = re.compile(r"/(os-quota-sets|os-simple-tenant-usage)/{id}")
NOT_FOUND = re.compile(r"Instance \S+ could not be found|No image found with ID|Image not found")


@pytest.fixture(params=["believed", "http_basic"])
def callers(request: pytest.FixtureRequest, db: Database, tmp_path: Path) -> Iterator[Callers]:
    seed.host(db, "compute1")
    seed.flavor(db)
    seed.image(db, seed.IMAGE, owner="own")
    made = Callers(request.param, db, tmp_path)
    yield made
    made.web.services.db.close()


def operations() -> set[str]:
    """What the application serves: its routes, and under them its actions."""
    rows = {operation_of(route) for route in ROUTES if rule_of(route) is not None}
    server = {f"POST /v2.1/servers/{{id}}/action ({name})" for name in ACTIONS}
    by_action = {one for one in by_operation() if one.split(" (")[0] in BY_ACTION and "/servers/" not in one}
    served = {operation_of(route) for route in ROUTES}
    return rows | server | {one for one in by_action if one.split(" (")[0] in served}


def test_each_operation_has_a_rule_and_a_line_in_the_grid() -> None:
    assert operations() == set(GRID)
    assert operations() <= set(by_operation()), "a row of the table of URLs has no rule"
    for route in ROUTES:
        if route.access.rule:
            assert route.access.rule == rule_of(route), operation_of(route)


def ask(callers: Callers, operation: str, person: str, ident: str) -> Any:
    method, path, action = re.fullmatch(r"(\w+) (\S+)(?: \((\S+)\))?", operation).groups()  # type: ignore[union-attr]
    route = next(one for one in ROUTES if (one.method, one.path) == (method, path))
    path = re.sub(r"{\w+}", "thing", re.sub(r"{id}|{ident}|{image_id}", ident, path))
    body = {action: BODIES.get(action)} if action else BODIES.get(f"{method} {route.path}", {})
    more: dict[str, Any] = {"json": body} if method in ("POST", "PUT") else {}
    if route.octets:
        more = {"content": b"x", "headers": {"Content-Type": "application/octet-stream"}}
    return callers.ask(person, method, path, microversions.text(min(route.until, (2, 96))), **more)


def said(answer: Any, rule: str) -> str:
    """What became of it: "401", "refused" (403 by its rule), "hidden" (404: nothing is there), or "let in"."""
    if answer.status_code == 401:
        return "401"
    if answer.status_code == 403 and f"Policy doesn't allow {rule}" in answer.text:
        return "refused"
    if answer.status_code == 404 and NOT_FOUND.search(answer.text):
        return "hidden"
    return "let in"


def expected(operation: str, person: str, *, own: bool) -> str:
    if person in ("stranger", "agent"):
        return "401"
    passes = GRID[operation] == "any" or (person in RANK and RANK.index(person) <= RANK.index(GRID[operation]))
    if "/servers/{id}" in operation and not own and person != "admin":
        return "hidden"
    if "{image_id}" in operation and not own and person != "admin" and passes:
        return "hidden"
    if OF_PROJECTS.search(operation) and not own and person != "admin" and GRID[operation] != "any":
        return "refused"
    return "let in" if passes else "refused"


@pytest.mark.parametrize("own", [True, False], ids=["own", "other"])
def test_every_cell_of_the_table_is_as_the_grid_says(callers: Callers, own: bool) -> None:
    wrong = []
    for operation in sorted(GRID):
        rule = by_operation()[operation].name
        for person in (*PEOPLE, "stranger", "agent"):
            project = "own" if own else "other"
            ident = _thing(callers, operation, project)
            found = said(ask(callers, operation, person, ident), rule)
            if found != expected(operation, person, own=own):
                wrong.append((operation, person, found))
    assert not wrong


def _thing(callers: Callers, operation: str, project: str) -> str:
    """Whose id the operation's path has: the project itself, or an image or a server of it."""
    if OF_PROJECTS.search(operation):
        return project
    if "{image_id}" in operation:
        return _image(callers, project)
    return seed.instance(callers.web.db, "kept", project_id=project, vm_state="paused")


def _image(callers: Callers, project: str) -> str:
    ident = seed.new_uuid()
    seed.image(callers.web.db, ident, owner=project, visibility="shared")
    return ident


def test_a_callers_credential_opens_nothing_that_is_for_agents(callers: Callers) -> None:
    for route in ROUTES:
        if route.access.kind is not None:
            path = re.sub(r"{\w+}", "compute1", route.path)
            assert callers.ask("admin", route.method, path, None).status_code == 401, route.path


def test_what_is_for_anybody_is_answered_to_anybody(callers: Callers) -> None:
    for route in ROUTES:
        if route.access is ANYBODY:
            assert callers.ask("stranger", route.method, route.path, None).status_code in (200, 300)


def test_every_rule_within_a_request_is_one_that_a_handler_asks_for() -> None:
    sources = "".join(path.read_text() for path in Path("migrator/api").rglob("*.py") if path.name != "policy_rules.py")
    asked = [rule.name for rule in RULES.values() if rule.within]
    parts = {name for name in asked if name in sources or name.rsplit(":", 1)[-1] in sources}
    assert sorted(set(asked) - parts) == []


def test_the_credential_of_an_agent_is_not_the_one_of_a_caller(callers: Callers) -> None:
    token = credentials.issue(callers.web.db, "compute1")
    answer = callers.web("GET", "/v2.1/servers", headers={"Authorization": f"Bearer {token}", "X-Auth-Token": token})
    assert answer.status_code == 401
