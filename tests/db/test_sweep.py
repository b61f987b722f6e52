"""The sweep looks at every operation, whatever becomes of one of them; on both databases."""

import logging
from typing import Any

import pytest

from migrator.db import instances
from migrator.db.engine import Database
from migrator.scheduler import reconciler
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.requests import requests
from migrator.settings import ServerSettings
from tests import registering
from tests.bench import databases

CALLER = requests.Caller("admin", "admin", "req-test")


def test_an_operation_that_cannot_be_advanced_keeps_no_other_waiting(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    registering.register(db, "one", 1, databases.report())
    begun = []
    for uuid in databases.add_instances(db, 3):
        with db.write() as connection:
            instances.change(connection, uuid, {"host": "one", "vm_state": "active", "task_state": None})
        begun.append(requests.stop(db, CALLER, uuid))
    seen = []

    def stumble(snapshot: Any) -> Any:
        seen.append(snapshot.operation.id)
        if snapshot.operation.id == begun[0]:
            raise KeyError("a bug, or a row that somebody edited")
        return decide(snapshot)

    monkeypatch.setattr(reconciler, "decide", stumble)
    with caplog.at_level(logging.ERROR):
        reconciler.Reconciler(db, ServerSettings(), lambda _hosts: None).sweep()
    assert list(dict.fromkeys(seen)) == begun
    assert f"operation {begun[0]} could not be advanced" in caplog.text
