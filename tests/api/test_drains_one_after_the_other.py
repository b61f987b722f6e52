"""Several drains and restores of one host, and what is asked of one while a server advances it."""

import threading
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from migrator.db import drains
from migrator.db import hosts as host_records
from migrator.db.tables import drain_events, instances, operations
from migrator.db.tables import drains as drain_rows
from migrator.errors import Conflict
from migrator.operations import VERIFY
from migrator.scheduler.fleet import requests
from migrator.scheduler.requests import cold_migration
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Web
from tests.api.test_drains import begun, refusal, shown
from tests.api.test_drains_of_hosts_that_change import change, swept
from tests.api.test_fencing import until

CALLER = Caller("admin", "admin", "req-1")


@pytest.fixture(autouse=True)
def pools(web: Web) -> None:
    for name in ("compute1", "compute2"):
        seed.pools(web.db, name, local="shared")


def restore(web: Web) -> Any:
    return web("POST", "/v1/hosts/compute1/restore", None)


def arrived(web: Web, uuid: str, host: str) -> Any:
    """The moves of the drain have ended, and all instances are on ``host``."""
    change(web, operations, active=False)
    change(web, instances, host=host, task_state=None)
    return swept(web, uuid)


def disabled(web: Web) -> bool:
    with web.db.read() as connection:
        return host_records.get(connection, "compute1").disabled


def test_a_restore_after_two_drains_opens_the_host_and_brings_back_what_both_took(web: Web) -> None:
    seed.instance(web.db, "a")
    assert arrived(web, begun(web)["uuid"], "compute2")["state"] == "completed"
    assert begun(web)["state"] == "completed"
    back = restore(web)
    assert back.status_code == 202, back.text
    assert [(m["name"], m["source"], m["state"]) for m in back.json()["drain"]["moves"]] == [
        ("a", "compute2", "moving")
    ]
    assert not disabled(web)


def test_what_was_restored_is_not_restored_again(web: Web) -> None:
    seed.instance(web.db, "a")
    drained = begun(web)["uuid"]
    arrived(web, drained, "compute2")
    assert arrived(web, restore(web).json()["drain"]["uuid"], "compute1")["state"] == "completed"
    message = f"Drain {drained}, the newest of host compute1, was restored already"
    assert refusal(restore(web), 409) == message


def test_a_restore_is_cancelled_but_not_undone(web: Web) -> None:
    seed.instance(web.db, "a")
    arrived(web, begun(web)["uuid"], "compute2")
    uuid = restore(web).json()["drain"]["uuid"]
    answer = web("POST", f"/v1/drains/{uuid}/cancel", None, json={"undo": True})
    message = f"{uuid} is no drain (restore): only what a drain took away can be brought back"
    assert refusal(answer, 409) == message
    assert shown(web, uuid)["state"] == "running"
    assert web("POST", f"/v1/drains/{uuid}/cancel", None, json={}).status_code == 202


def test_a_plan_that_is_made_again_is_told_only_when_it_differs(web: Web) -> None:
    seed.instance(web.db, "huge", flavor={**seed.FLAVOR, "memory_mb": 20_000})
    uuid = begun(web)["uuid"]
    change(web, drain_rows, planned_at=1.0)
    found = swept(web, uuid)
    assert found["planned_at"] > "2000"
    assert [event["name"] for event in found["events"]] == ["begun", "planned", "blocked"]


def test_a_plan_that_is_made_again_has_the_room_that_it_had_planned_itself(web: Web) -> None:
    for name, memory_mb in (("a", 7000), ("b", 7000), ("huge", 20_000)):
        seed.instance(web.db, name, flavor={**seed.FLAVOR, "memory_mb": memory_mb})
    uuid = begun(web, at_most=1)["uuid"]
    change(web, drain_rows, planned_at=1.0)
    found = swept(web, uuid)
    assert found["planned_at"] > "2000"
    assert sorted(move["state"] for move in found["moves"]) == ["moving", "stuck", "waiting"]


def test_a_drain_shows_its_newest_thousand_events(web: Web) -> None:
    uuid = begun(web)["uuid"]
    with web.db.write() as connection:
        drain = drains.get(connection, uuid)
        row = {"drain_id": drain.id, "name": "told", "at": 1.0, "message": "x"}
        connection.execute(drain_events.insert(), [row] * 1001)
        newest = connection.execute(select(func.max(drain_events.c.id))).scalar_one()
    events = shown(web, uuid)["events"]
    assert (len(events), events[-1]["id"]) == (1000, newest)


def test_what_cannot_be_read_is_stuck_and_keeps_no_other_one(web: Web) -> None:
    bad = seed.instance(web.db, "bad", spec={"name": "bad"})
    seed.instance(web.db, "good")
    moves = {m["name"]: m for m in begun(web)["moves"]}
    assert (moves["good"]["state"], moves["bad"]["state"], moves["bad"]["server"]) == ("moving", "stuck", bad)
    assert "its description cannot be read (" in moves["bad"]["why"]


def test_a_drain_confirms_its_own_move_and_no_newer_one(web: Web) -> None:
    uuid = seed.instance(web.db, "a", host="compute2")
    older = seed.migration(web.db, uuid, kind="migration")
    newer = seed.migration(web.db, uuid, "running", kind="migration", phase=VERIFY)
    with pytest.raises(Conflict, match=f"Operation {older} .* is over"):
        cold_migration.confirm(web.db, CALLER, uuid, operation_id=older)
    assert cold_migration.confirm(web.db, CALLER, uuid, operation_id=newer) == newer


def test_a_drain_that_a_server_is_changing_can_be_paused(web: Web) -> None:
    if web.db.is_sqlite:
        return  # its writers wait for each other before they read
    seed.instance(web.db, "a")
    drain = begun(web)
    told: list[Any] = []

    def pause() -> None:
        try:
            told.append(requests.ask(web.db, CALLER, drain["uuid"], "pause").state)
        except Exception as error:  # compared below
            told.append(error)

    def waits() -> bool:
        with web.db.read() as connection:
            waiting = "datname = current_database() and wait_event_type = 'Lock'"
            query = f"select count(*) from pg_stat_activity where {waiting}"
            return bool(connection.execute(text(query)).scalar_one())

    asking = threading.Thread(target=pause, daemon=True)
    with web.db.write() as connection:
        row = drain_rows.c.uuid == drain["uuid"]
        connection.execute(update(drain_rows).where(row).values(generation=drain_rows.c.generation + 1))
        asking.start()
        until(waits)
    asking.join(20)
    assert told == ["paused"]
