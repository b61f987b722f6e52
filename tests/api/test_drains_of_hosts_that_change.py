"""Drains of hosts that fall silent, that take something in all the same, or where something was off before."""

from typing import Any

import pytest
from sqlalchemy import update

from migrator.db import hosts
from migrator.db.tables import drain_moves, instances, operations
from tests.api import seed
from tests.api.harness import Web
from tests.api.test_drains import begun, shown

SILENT = "host compute1 is silent: bring it back, or evacuate it"


@pytest.fixture(autouse=True)
def pools(web: Web) -> None:
    for name in ("compute1", "compute2"):
        seed.pools(web.db, name, local="shared")


def force_down(web: Web, down: bool) -> None:
    with web.db.write() as connection:
        hosts.force_down(connection, "compute1", down, "operator")


def change(web: Web, table: Any, **values: Any) -> None:
    with web.db.write() as connection:
        connection.execute(update(table).values(**values))


def swept(web: Web, uuid: str) -> Any:
    web.services.drains.sweep()
    return shown(web, uuid)


def test_a_drain_waits_while_its_host_is_down_and_goes_on_by_the_same_ways(web: Web) -> None:
    for name in ("a", "b"):
        seed.instance(web.db, name)
    uuid = begun(web, at_most=1)["uuid"]
    force_down(web, True)
    change(web, operations, active=False, error={"code": "x", "message": "compute1 is silent"})
    found = swept(web, uuid)
    assert (found["state"], found["note"]) == ("blocked", SILENT)
    assert [(m["state"], m["way"], m["attempts"]) for m in found["moves"]] == [("waiting", "live", 0)] * 2
    assert len(found["events"]) == len(swept(web, uuid)["events"])
    force_down(web, False)
    found = swept(web, uuid)
    assert found["state"] == "running"
    assert sorted((m["state"], m["way"], m["attempts"]) for m in found["moves"]) == [
        ("moving", "live", 1),
        ("waiting", "live", 0),
    ]


def test_what_failed_begins_anew_when_the_drain_is_resumed(web: Web) -> None:
    seed.instance(web.db, "a")
    uuid = begun(web)["uuid"]
    change(web, operations, active=False)
    change(web, drain_moves, state="failed", attempts=3)
    change(web, instances, task_state=None)
    assert swept(web, uuid)["state"] == "blocked"
    answer = web("POST", f"/v1/drains/{uuid}/resume", None)
    assert answer.status_code == 202, answer.text
    (move,) = answer.json()["drain"]["moves"]
    assert (answer.json()["drain"]["state"], move["state"], move["attempts"]) == ("running", "moving", 1)


def test_a_drain_waits_for_a_build_that_is_on_its_way_to_the_host_and_moves_it(web: Web) -> None:
    uuid = seed.instance(web.db, "new", host=None, vm_state="building")
    build = {"kind": "build", "moves": False, "source": None, "destination": "compute1", "phase": "create"}
    seed.migration(web.db, uuid, "running", **build)
    found = begun(web)
    assert (found["state"], found["note"]) == ("running", "waits for what is on its way to the host: new")
    change(web, operations, active=False)
    change(web, instances, host="compute1", vm_state="active")
    found = swept(web, found["uuid"])
    assert [(m["name"], m["state"]) for m in found["moves"]] == [("new", "moving")]


def test_what_left_by_another_request_and_is_back_is_moved(web: Web) -> None:
    for name in ("a", "b"):
        seed.instance(web.db, name)
    uuid = begun(web, at_most=1)["uuid"]
    waits = next(m for m in shown(web, uuid)["moves"] if m["state"] == "waiting")
    with web.db.write() as connection:
        connection.execute(update(instances).where(instances.c.uuid == waits["server"]).values(host="compute2"))
    assert sorted(m["state"] for m in swept(web, uuid)["moves"]) == ["gone", "moving"]
    change(web, instances, host="compute1")
    assert sorted(m["state"] for m in swept(web, uuid)["moves"]) == ["moving", "waiting"]


def test_a_drain_that_leaves_its_host_open_moves_only_what_was_there(web: Web) -> None:
    seed.instance(web.db, "a")
    uuid = begun(web, disable=False, strategies=["live", "leave"])["uuid"]
    seed.instance(web.db, "later")
    assert [m["name"] for m in swept(web, uuid)["moves"]] == ["a"]


def test_a_restore_starts_nothing_that_was_off_before_the_drain(web: Web) -> None:
    seed.instance(web.db, "off", vm_state="stopped", power_state=4)
    found = begun(web, strategies=["stop"])
    assert (found["state"], [m["state"] for m in found["moves"]]) == ("completed", ["done"])
    back = web("POST", "/v1/hosts/compute1/restore", None).json()["drain"]
    assert (back["state"], back["moves"]) == ("completed", [])


def test_a_destination_that_cannot_be_read_any_more_costs_no_attempt_and_another_is_planned(web: Web) -> None:
    for name in ("a", "b"):
        seed.instance(web.db, name)
    found = begun(web, at_most=1)
    (gone,) = [move["server"] for move in found["moves"] if move["state"] == "moving"]
    seed.host(web.db, "compute3")
    seed.pools(web.db, "compute3", local="shared")
    with web.db.write() as connection:
        report = hosts.get(connection, "compute2").report
        hosts.change(connection, "compute2", {"report": {**report, "memory_mb": "much"}})
        connection.execute(update(operations).values(active=False, locks_instance=False))
        arrived = update(instances).where(instances.c.uuid == gone).values(host="compute2", task_state=None)
        connection.execute(arrived)
    web.services.drains.sweep()
    after = shown(web, found["uuid"])
    (other,) = [move for move in after["moves"] if move["server"] != gone]
    assert (other["state"], other["destination"], other["attempts"]) == ("moving", "compute3", 1)
    (refused,) = [event["message"] for event in after["events"] if event["name"] == "refused"]
    assert f"{other['name']}: not to compute2, for its description cannot be read" in refused
