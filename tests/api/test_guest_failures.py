"""A person who stops a guest that failed: it is not started again under them."""

from typing import Any

import pytest

from migrator.db import guest_failures
from tests.api import seed
from tests.api.action_requests import ask, nothing_begun
from tests.api.harness import Api


def due(api: Api) -> list[Any]:
    with api.db.read() as connection:
        return [row.due for row in guest_failures.every(connection)]


@pytest.mark.parametrize(("failed", "status"), [(True, 202), (False, 409)])
def test_a_stop_holds_a_restart_back_that_waits(api: Api, *, failed: bool, status: int) -> None:
    uuid = seed.instance(api.db, "a", vm_state="stopped", power_state=4)
    with api.db.write() as connection:
        guest_failures.note(connection, [uuid] if failed else [])
    assert ask(api, uuid, {"os-stop": None}).status == status
    assert due(api) == ([False] if failed else [])
    assert nothing_begun(api)
    assert ask(api, uuid, {"os-stop": None}).status == 409, "it is off, and stays so"
