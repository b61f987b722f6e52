"""/v1/operations: what holds an instance, what was accepted as evidence, what is owed, and how far a transfer is."""

import time
from typing import Any

import pytest
from sqlalchemy import select

from migrator.db import progress, tables
from migrator.db.clock import now
from migrator.db.tables import operations
from migrator.errors import Conflict
from migrator.scheduler.decision.operation_data import SteeringJson
from migrator.scheduler.requests.requests import Caller
from migrator.scheduler.requests.steer import steer
from migrator.scheduler.state import loader
from tests.api import seed
from tests.api.harness import Web


def shown(web: Web, key: int) -> Any:
    answer = web("GET", f"/v1/operations/{key}", None)
    assert answer.status_code == 200
    return answer.json()["operation"]


def test_a_copy_under_way(web: Web) -> None:
    uuid = seed.instance(web.db, "a", task_state="resize_migrating")
    key = seed.migration(web.db, uuid, "migrating", kind="resize", phase="copy")
    assert shown(web, key)["progress"] is None
    seed.job(web.db, key, "compute2", {"active": True, "disk_total_bytes": 8, "disk_processed_bytes": 2})
    found = shown(web, key)
    assert (found["progress"]["disk_total_bytes"], found["progress"]["disk_processed_bytes"]) == (8, 2)
    assert (found["holds"], found["owed"], found["evidence"]) == (True, [], None)


FREE = {"locks_instance": False}


@pytest.mark.parametrize(
    ("more", "owed"),
    [
        ({"kind": "evacuation", "phase": "cleanup"} | FREE, [{"phase": "cleanup", "host": "compute1"}]),
        ({"kind": "migration", "phase": "cleanup"} | FREE, [{"phase": "cleanup", "host": "compute1"}]),
        (
            {"kind": "migration", "phase": "copy", "forward": False, "context": {"owed": ["copy"]}} | FREE,
            [{"phase": "copy", "host": "compute2"}],
        ),
        ({"kind": "migration", "phase": "copy", "forward": True}, []),
    ],
)
def test_what_is_owed_and_by_whom(web: Web, more: dict[str, Any], owed: list[dict[str, str]]) -> None:
    key = seed.migration(web.db, seed.instance(web.db, "a"), "done", **more)
    assert shown(web, key)["owed"] == owed
    (listed,) = web("GET", "/v1/operations?active=true", None).json()["operations"]
    assert (listed["owed"], listed["holds"]) == (owed, more.get("locks_instance", True))


def test_evidence_is_shown(web: Web) -> None:
    message = "compute1 was forced down by admin"
    uuid = seed.instance(web.db, "a")
    key = seed.migration(web.db, uuid, "done", kind="evacuation", phase="cleanup", context={"evidence": message})
    assert shown(web, key)["evidence"] == message
    over = seed.migration(web.db, uuid, "completed", kind="evacuation", phase="release", locks_instance=False)
    assert shown(web, over)["owed"] == [], "nothing, once it is over"


def steering(web: Web, key: int) -> Any:
    with web.db.read() as connection:
        return connection.execute(select(operations.c.steering).where(operations.c.id == key)).scalar_one()


def test_the_wheel_keeps_what_is_not_mentioned(web: Web) -> None:
    key = seed.migration(web.db, seed.instance(web.db, "a", task_state="migrating"), "running")
    for body in ({"bandwidth_mib_s": 20}, {"max_downtime_ms": 900, "held": True}, {"held": False}):
        assert web("POST", f"/v1/operations/{key}/steer", None, json=body).status_code == 202
    kept = steering(web, key)
    assert kept.pop("released_at") > 0
    assert kept == {"bandwidth_mib_s": 20, "max_downtime_ms": 900, "held": False}
    lines = web("GET", f"/v1/operations/{key}/timeline", None).json()["events"]
    assert [line["message"] for line in lines if line["name"] == "steer"] == [
        "bandwidth 20 MiB/s (0: no limit), on request of admin",
        "held: True, maximum downtime 900 ms, on request of admin",
        "held: False, on request of admin",
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "expected one or more of bandwidth_mib_s, max_downtime_ms, held, post_copy"),
        ({"speed": 3}, "speed"),
        ({"bandwidth_mib_s": -1}, "bandwidth_mib_s"),
        ({"bandwidth_mib_s": "fast"}, "bandwidth_mib_s"),
        ({"max_downtime_ms": 0}, "max_downtime_ms"),
        ({"held": 1}, "held"),
        ({"post_copy": False}, "post_copy"),
    ],
)
def test_a_wheel_that_makes_no_sense(web: Web, body: dict[str, Any], message: str) -> None:
    key = seed.migration(web.db, seed.instance(web.db, "a", task_state="migrating"), "running")
    answer = web("POST", f"/v1/operations/{key}/steer", None, json=body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]
    assert steering(web, key) is None


def test_what_cannot_be_steered(web: Web) -> None:
    cases: tuple[dict[str, Any], ...] = ({"active": False}, {"phase": "prepare"}, {"kind": "migration"})
    for more in (*cases, {"forward": False}):
        uuid = seed.instance(web.db, "a", task_state="migrating")
        key = seed.migration(web.db, uuid, "running", **more)
        answer = web("POST", f"/v1/operations/{key}/steer", None, json={"held": True})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
        assert "only the transfer of a live migration" in answer.json()["error"]["message"]
    assert web("POST", "/v1/operations/99999/steer", None, json={"held": True}).status_code == 404


def test_post_copy_only_where_it_is_permitted(web: Web) -> None:
    key = seed.migration(web.db, seed.instance(web.db, "a", task_state="migrating"), "running")
    answer = web("POST", f"/v1/operations/{key}/steer", None, json={"post_copy": True})
    assert answer.status_code == 409
    assert "live_migration_permit_post_copy" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("context", "message"),
    [({"post_copy": False}, "not permitted when the transfer began"), ({"power": "paused"}, "its guest is paused")],
)
def test_post_copy_only_for_a_transfer_that_can_go_on_by_it(web: Web, context: dict[str, Any], message: str) -> None:
    caller, forced = Caller("user", "project", "req-1"), SteeringJson(force=True)
    uuid = seed.instance(web.db, "a", task_state="migrating")
    key = seed.migration(web.db, uuid, "running", context=context)
    with pytest.raises(Conflict, match=message):
        steer(web.db, caller, key, forced, post_copy=True)
    with web.db.read() as connection:
        assert loader.snapshot(connection, key, web.services.settings).operation.steering.raw == {}
    steer(web.db, caller, key, forced)
    able = seed.migration(web.db, seed.instance(web.db, "b", task_state="migrating"), "running")
    assert steer(web.db, caller, able, forced, post_copy=True) == "compute1"


@pytest.mark.parametrize("held", [True, False])
def test_a_transfer_that_was_held_gets_its_whole_time_for_progress_from_then_on(web: Web, held: bool) -> None:
    """Throttled to the least there is, it sends less than its guest writes: it would be aborted when it is let go."""
    key = seed.migration(web.db, seed.instance(web.db, "a", task_state="migrating"), "running")

    began = time.monotonic()

    def stalled_for(seconds: float) -> bool:
        """And no longer than the test itself has taken since."""
        with web.db.read() as connection:
            found = loader.snapshot(connection, key, web.services.settings).stalled_s
        return seconds <= found + 0.01 and found <= seconds + time.monotonic() - began

    def told(ago_s: float, remaining: int) -> None:
        with web.db.write() as connection:
            values = {"operation_id": key, "at": now(connection) - ago_s, "remaining_bytes": remaining, "job": {}}
            connection.execute(tables.progress.insert().values(values))

    if held:
        web("POST", f"/v1/operations/{key}/steer", None, json={"held": True})
    told(300, 5)
    told(1, 9)
    assert stalled_for(299)
    assert web("POST", f"/v1/operations/{key}/steer", None, json={"held": False}).status_code == 202
    told(-20, 9)
    told(-30, 9)
    assert stalled_for(10 if held else 330)


def test_progress_is_kept_by_the_second(web: Web) -> None:
    key = seed.migration(web.db, seed.instance(web.db, "a", task_state="migrating"), "running")
    job = {"active": True, "memory_remaining_bytes": 5, "disk_remaining_bytes": 2}
    with web.db.write() as connection:
        progress.add(connection, key, job)
        progress.add(connection, key, job)  # not a second later
    (row,) = web("GET", f"/v1/operations/{key}/progress", None).json()["progress"]
    assert {name: row[name] for name in job} == job
    with web.db.write() as connection:
        for at, remaining in ((10, 9), (20, 4), (30, 6), (40, 4), (55, 7)):
            values = {"operation_id": key, "at": at, "remaining_bytes": remaining, "job": job}
            connection.execute(tables.progress.insert().values(values))
        connection.execute(tables.progress.delete().where(tables.progress.c.at > 60))
        assert progress.stalled_s(connection, key) == 35, "since 20 it has been as low, but never lower"
        assert progress.stalled_s(connection, key + 1) == 0


@pytest.mark.parametrize("more", [{"kind": "teleportation", "phase": "beam"}, {"kind": "migration", "phase": "beam"}])
def test_an_operation_of_a_newer_server_hides_no_other_from_any_list(web: Web, more: dict[str, Any]) -> None:
    uuid = seed.instance(web.db, "a")
    seed.migration(web.db, uuid, "migrating", phase="transfer", locks_instance=False)
    strange = seed.migration(web.db, uuid, "migrating", **more)
    assert shown(web, strange)["phase"] == "beam"
    assert len(web("GET", "/v1/operations?active=true", None).json()["operations"]) == 2
    assert len(web("GET", "/v2.1/os-migrations").json()["migrations"]) == 2
    actions = web("GET", f"/v2.1/servers/{uuid}/os-instance-actions").json()["instanceActions"]
    assert len(actions) == 2
    assert web("GET", "/metrics", None).status_code == 200
