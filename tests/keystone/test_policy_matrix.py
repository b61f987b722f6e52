"""The policy's table once more, cell by cell, with tokens of a real Keystone."""

from collections.abc import Mapping
from typing import Any

import pytest

from migrator.api.identity.policy_rules import by_operation
from migrator.db import credentials
from tests.api import seed
from tests.api.callers import PEOPLE
from tests.api.test_policy_table import GRID, OF_PROJECTS, ask, expected, said
from tests.keystone.cloud import Keystone
from tests.keystone.conftest import Door


class Callers:
    """As ``tests.api.callers.Callers``."""

    def __init__(self, door: Door, keystone: Keystone) -> None:
        self.web = door.web
        self._tokens = {person: keystone.token(f"the-{person}", project="own") for person in PEOPLE}
        self._agent = credentials.issue(door.db, "compute1")

    def ask(self, person: str, method: str, path: str, version: str | None, **more: Any) -> Any:
        headers = {**self._headers(person), **more.pop("headers", {})}
        return self.web(method, path, version, headers=headers, **more)

    def _headers(self, person: str) -> Mapping[str, str]:
        if person == "agent":
            return {"Authorization": f"Bearer {self._agent}"}
        return {"X-Auth-Token": self._tokens[person]} if person in self._tokens else {}


@pytest.mark.parametrize("own", [True, False], ids=["own", "other"])
def test_every_cell_of_the_table_is_as_the_grid_says(door: Door, keystone: Keystone, own: bool) -> None:
    seed.flavor(door.db)
    callers: Any = Callers(door, keystone)
    project = keystone.projects["own" if own else "other"]
    wrong = []
    for operation in sorted(GRID):
        for person in (*PEOPLE, "stranger", "agent"):
            ident = seed.instance(door.db, "kept", project_id=project, vm_state="paused")
            if "{image_id}" in operation:
                seed.image(door.db, ident, owner=project, visibility="shared")
            ident = project if OF_PROJECTS.search(operation) else ident
            found = said(ask(callers, operation, person, ident), by_operation()[operation].name)
            if found != expected(operation, person, own=own):
                wrong.append((operation, person, found))
    assert not wrong
