"""GET and POST /v1/servers/{id}/reconcile: both sides, and an operator's word."""

from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.alarms import AlarmKind
from migrator.db import alarms, claims, events, host_domains, instances, operations
from migrator.db import tables as t
from migrator.db.host_domains import HeldCopy
from migrator.event_types import EventType
from migrator.operations import Kind
from migrator.scheduler.requests import requests
from tests.api import seed
from tests.api.harness import Web

CALLER = requests.Caller("admin", "admin", "req-test")


def stray(web: Web, state: str = "running", **more: Any) -> str:
    """The record says compute1; compute2 reports the copy, whose stamp this database does not know."""
    uuid = seed.instance(web.db, "web-1", host="compute1", vm_state="active", power_state=1)
    held = HeldCopy(uuid, state, "8e9b", 3, **({"stamp_host": "compute2"} | more))
    with web.db.write() as connection:
        host_domains.replace(connection, "compute2", [held])
        alarms.raise_alarm(connection, AlarmKind.COPY_NEWER, "newer", host="compute2", instance_uuid=uuid)
    return uuid


def shown(web: Web, uuid: str) -> Any:
    answer = web("GET", f"/v1/servers/{uuid}/reconcile", None)
    assert answer.status_code == 200
    return answer.json()["reconcile"]


def test_both_sides_are_shown_with_state_stamp_and_age(web: Web) -> None:
    uuid = stray(web)
    found = shown(web, uuid)
    assert (found["record"]["host"], found["record"]["vm_state"]) == ("compute1", "active")
    (copy,) = found["copies"]
    assert copy["stamp"] == {"operation": "8e9b", "epoch": 3, "issued_for": "compute2", "newer": True}
    assert (copy["host"], copy["state"], copy["believed"], copy["host_heard"]) == ("compute2", "running", True, True)
    assert 0 <= copy["age_s"] < 60
    assert [alarm["kind"] for alarm in found["alarms"]] == ["copy-newer"]


def test_a_word_moves_record_claim_and_what_waits_and_writes_the_timeline(web: Web) -> None:
    uuid = stray(web)
    with web.db.write() as connection:
        built = requests.begin(connection, CALLER, Kind.STOP, uuid, "compute1")
        assert claims.take(connection, "compute1", uuid, built, 1, 64, 1)
    web.services.reconciler.reconcile(built)
    assert shown(web, uuid)["operations"][0]["waiting"].startswith("newer; compare both with `migrator reconcile")
    answer = web("POST", f"/v1/servers/{uuid}/reconcile", None, json={"host": "compute2"})
    assert answer.status_code == 200, answer.text
    found = answer.json()["reconcile"]
    assert (found["record"]["host"], found["alarms"]) == ("compute2", [])
    assert [(o["source"], o["epoch"], o["waiting"]) for o in found["operations"]] == [("compute2", 2, None)]
    with web.db.read() as connection:
        assert claims.holders(connection, uuid) == ["compute2"]
        assert instances.get(connection, uuid).accepted_stamps == ["8e9b/3"]
        lines = connection.execute(select(t.events).where(t.events.c.instance_uuid == uuid)).all()
    (line,) = [line for line in lines if line.name == "reconciled"]
    said = "admin said: the copy on compute2 is the right one (the record said compute1; compute2: running)"
    assert line.message == said


def test_a_move_of_the_record_is_over_and_its_claims_are_given_back(web: Web) -> None:
    uuid = stray(web)
    with web.db.write() as connection:
        key = requests.begin(connection, CALLER, Kind.MIGRATION, uuid, "compute1")
        assert claims.take(connection, "compute1", uuid, key, 1, 64, 1)
    answer = web("POST", f"/v1/servers/{uuid}/reconcile", None, json={"host": "compute2"})
    assert answer.json()["reconcile"]["operations"] == []
    with web.db.read() as connection:
        row = operations.get(connection, key)
        assert (row.active, row.status, (row.error or {})["code"]) == (False, "error", "reconciled")
        assert claims.holders(connection, uuid) == ["compute2"]
        assert instances.get(connection, uuid).task_state is None
        free = connection.execute(select(t.hosts.c.name, t.hosts.c.free_memory_mb)).all()
    assert {row.name: row.free_memory_mb for row in free}["compute1"] == 15000


def test_a_deletion_that_was_asked_for_begins_once_the_move_is_over(web: Web) -> None:
    uuid = stray(web)
    with web.db.write() as connection:
        requests.begin(connection, CALLER, Kind.MIGRATION, uuid, "compute1")
    requests.delete_instance(web.db, CALLER, uuid)
    answer = web("POST", f"/v1/servers/{uuid}/reconcile", None, json={"host": "compute2"})
    assert [(o["kind"], o["source"]) for o in answer.json()["reconcile"]["operations"]] == [("delete", "compute2")]


def test_what_a_fenced_host_had_is_given_up(web: Web) -> None:
    uuid = stray(web)
    with web.db.write() as connection:
        lost = update(t.hosts).where(t.hosts.c.name == "compute2")
        connection.execute(lost.values(forced_down=True, last_seen=1.0, fencing={"kind": "forced_down", "at": 2.0}))
    body = {"given_up": ["compute2"]}
    answer = web("POST", f"/v1/servers/{uuid}/reconcile", None, json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()["reconcile"]
    assert (found["record"]["host"], found["copies"], found["alarms"]) == ("compute1", [], [])


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "Expected host, given_up, or both"),
        ({"host": ""}, 400, "host"),
        ({"host": "a\u0000"}, 400, "host"),
        ({"host": 1}, 400, "host"),
        ({"hosts": "compute2"}, 400, "hosts"),
        ({"host": "compute1"}, 409, "reports no copy"),
        ({"host": "nosuch"}, 409, "reports no copy"),
        ({"given_up": ["compute2"]}, 409, "Host compute2 answers"),
        ({"given_up": ["x"] * 101}, 400, "given_up"),
    ],
)
def test_what_is_no_word_changes_nothing(web: Web, body: Any, status: int, message: str) -> None:
    uuid = stray(web)
    before = shown(web, uuid)
    answer = web("POST", f"/v1/servers/{uuid}/reconcile", None, json=body)
    assert answer.status_code == status
    assert message in answer.json()["error"]["message"]
    after = shown(web, uuid)
    assert [c | {"age_s": 0} for c in after.pop("copies")] == [c | {"age_s": 0} for c in before.pop("copies")]
    assert after == before


def test_an_unknown_instance_is_not_found_but_shown_while_a_host_has_it(web: Web) -> None:
    unknown = "11111111-2222-3333-4444-555555555555"
    for ident in (unknown, "nosuch"):
        assert web("GET", f"/v1/servers/{ident}/reconcile", None).status_code == 404
        assert web("POST", f"/v1/servers/{ident}/reconcile", None, json={"host": "compute2"}).status_code == 404
    with web.db.write() as connection:
        host_domains.replace(connection, "compute2", [HeldCopy(unknown, "running", believed=False)])
        events.add(connection, EventType.NOTE, "x")
    found = shown(web, unknown)
    assert (found["record"], found["copies"][0]["believed"]) == (None, False)
    assert web("POST", f"/v1/servers/{unknown}/reconcile", None, json={"host": "compute2"}).status_code == 409
