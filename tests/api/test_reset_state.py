"""os-resetState: "error" is recorded, "active" is what the server's own host lists; nothing is done to any guest."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.alarms import AlarmKind
from migrator.db import alarms, host_domains, instances
from migrator.db import tables as t
from migrator.db.clock import now
from migrator.db.host_domains import HeldCopy
from migrator.operations import Kind
from migrator.scheduler.hosts import reconciliation
from migrator.scheduler.requests import requests
from tests.api import seed
from tests.api.action_requests import ask, nothing_begun
from tests.api.harness import Api

CALLER = requests.Caller("admin", "admin", "req-test")
NEWER: dict[str, Any] = {"stamp_operation": "8e9b", "stamp_epoch": 3, "stamp_host": "compute1"}
Arrange = Callable[[Api, str], None]


def held(api: Api, uuid: str, host: str, state: str, **more: Any) -> None:
    with api.db.write() as connection:
        host_domains.replace(connection, host, [HeldCopy(uuid, state, **more)])


def wrong(api: Api, state: str = "running", **more: Any) -> str:
    """In ERROR by its record; its host lists it."""
    fault = {"code": 500, "message": "broken", "created": seed.BEGAN}
    uuid = seed.instance(api.db, "web-1", **{"vm_state": "error", "power_state": 1, "fault": fault} | more)
    held(api, uuid, "compute1", state)
    return uuid


def reset(api: Api, uuid: str, state: str = "active") -> Any:
    return ask(api, uuid, {"os-resetState": {"state": state}}, "2.1")


def record(api: Api, uuid: str) -> Any:
    with api.db.read() as connection:
        return instances.get(connection, uuid)


@pytest.mark.parametrize(
    ("state", "vm_state", "power_state"),
    [
        ("running", "active", 1),
        ("shut_off", "stopped", 4),
        ("paused", "paused", 3),
        ("saved", "suspended", 4),
        ("crashed", "stopped", 6),
    ],
)
def test_active_is_the_state_that_the_servers_own_host_lists(
    api: Api, state: str, vm_state: str, power_state: int
) -> None:
    uuid = wrong(api, state)
    assert reset(api, uuid).status == 202
    row = record(api, uuid)
    assert (row.vm_state, row.power_state, row.task_state, row.fault) == (vm_state, power_state, None, None)
    assert (row.host, nothing_begun(api)) == ("compute1", True)
    with api.db.read() as connection:
        (line,) = connection.execute(select(t.events).where(t.events.c.instance_uuid == uuid)).all()
    message = f"admin reset the state to active: it was error, and is {vm_state}"
    assert (line.name, line.host, line.message) == ("state-reset", "compute1", message)


def test_error_is_recorded_and_leaves_the_rest_as_it_is(api: Api) -> None:
    uuid = seed.instance(api.db, "web-1", vm_state="paused", power_state=3, locked_by="owner")
    assert reset(api, uuid, "error").status == 202
    assert api("GET", f"/servers/{uuid}").json["server"]["status"] == "ERROR"
    row = record(api, uuid)
    assert (row.host, row.power_state, row.locked_by, nothing_begun(api)) == ("compute1", 3, "owner", True)


def test_error_and_active_one_after_the_other_lead_back(api: Api) -> None:
    uuid = wrong(api, vm_state="active")
    assert [reset(api, uuid, state).status for state in ("error", "active")] == [202, 202]
    assert record(api, uuid).vm_state == "active"


def _host(**values: Any) -> Arrange:
    def change(api: Api, _uuid: str) -> None:
        with api.db.write() as connection:
            connection.execute(update(t.hosts).where(t.hosts.c.name == "compute1").values(**values))

    return change


def _built(late_s: float) -> Arrange:
    """No copy was listed, and the build ended when the host listed last, or so much later."""

    def change(api: Api, uuid: str) -> None:
        _lists(None)(api, uuid)
        with api.db.write() as connection:
            at = now(connection)
            connection.execute(update(t.hosts).where(t.hosts.c.name == "compute1").values(listed_at=at - 60))
        seed.migration(api.db, uuid, "completed", kind="build", moves=False, finished_at=at - 60 + late_s)

    return change


def _record(**values: Any) -> Arrange:
    def change(api: Api, uuid: str) -> None:
        with api.db.write() as connection:
            instances.change(connection, uuid, values)

    return change


def _lists(state: str | None, host: str = "compute1", **more: Any) -> Arrange:
    def change(api: Api, uuid: str) -> None:
        with api.db.write() as connection:
            host_domains.replace(connection, host, [HeldCopy(uuid, state, **more)] if state else [])

    return change


def _moved(host: str | None) -> Arrange:
    """The record, away from the host that listed the copy."""

    def change(api: Api, uuid: str) -> None:
        _lists(None)(api, uuid)
        _record(host=host)(api, uuid)

    return change


_EARLIER, _LATER, _JUST_NOW = _built(-30), _built(30), _built(58)
_OVER = {_EARLIER, _LATER, _JUST_NOW}  # each leaves an operation that is over


def _ended(api: Api, uuid: str) -> None:
    """An operation, after the host listed its guests last."""
    with api.db.write() as connection:
        seen = connection.execute(select(t.copies.c.seen_at)).scalar_one()
        connection.execute(update(t.copies).values(seen_at=seen - 5))
    seed.migration(api.db, uuid, "completed", finished_at=seen - 1)


def _disputed(api: Api, uuid: str) -> None:
    with api.db.write() as connection:
        alarms.raise_alarm(connection, AlarmKind.GUEST_UNSEEN, "may run on n7", host="compute1", instance_uuid=uuid)


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (_host(last_seen=seed.BEGAN), "its host is silent"),
        (_moved("gone"), "its host is silent (gone is not known)"),
        (_host(listed_at=None), "its host has not said how it is"),
        (_lists(None), "its host has no copy of it"),
        (_EARLIER, "its host has no copy of it (host compute1 reports none)"),
        (_LATER, "its host may not have listed it yet (compute1 may have listed its guests last before"),
        (_JUST_NOW, "its host may not have listed it yet"),
        (_lists("running", believed=False), "its host has no copy of it"),
        (_lists("running", **NEWER), "its copy is newer than the record"),
        (_lists("incoming"), "its copy is neither running nor at rest (the copy on compute1 is incoming)"),
        (_lists("dreaming"), "its copy is neither running nor at rest"),
        (_ended, "has not listed its guests since the last operation"),
        (_disputed, "an alarm is open about it (may run on n7)"),
        (_record(launched_at=None), "its build never ended"),
        (_moved(None), "its build never ended"),
    ],
)
def test_active_is_refused_where_the_host_is_no_proof(api: Api, arrange: Arrange, message: str) -> None:
    uuid = wrong(api)
    arrange(api, uuid)
    before = record(api, uuid)
    answer = reset(api, uuid)
    assert (answer.status, message in answer.message) == (409, True), answer.message
    assert (record(api, uuid), nothing_begun(api) or arrange in {_ended, *_OVER}) == (before, True)
    assert reset(api, uuid, "error").status == 202


@pytest.mark.parametrize("asked", ["active", "error"])
@pytest.mark.parametrize("state", ["running", "paused", "incoming"])
def test_a_live_copy_on_another_host_refuses_both(api: Api, state: str, asked: str) -> None:
    uuid = wrong(api, "shut_off")
    held(api, uuid, "compute2", state)
    before = record(api, uuid)
    answer = reset(api, uuid, asked)
    assert (answer.status, f"it has a copy, too ({state})" in answer.message) == (409, True), answer.message
    assert record(api, uuid) == before, "the word of compute2 stays newer than the record"
    _lists("shut_off", "compute2")(api, uuid)
    assert reset(api, uuid, asked).status == 202


@pytest.mark.parametrize("asked", ["active", "error"])
def test_an_operation_that_holds_the_server_refuses_both(api: Api, asked: str) -> None:
    uuid = wrong(api)
    with api.db.write() as connection:
        requests.begin(connection, CALLER, Kind.STOP, uuid, "compute1")
    answer = reset(api, uuid, asked)
    assert (answer.status, "while a stop of it is under way (stop)" in answer.message) == (409, True), answer.message
    assert record(api, uuid).task_state is not None


def test_what_changes_meanwhile_is_seen(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once both sides were read: another change of the record first, then an operation that begins."""
    uuid, before = wrong(api), []

    def both_sides(connection: Any, *given: Any, **named: Any) -> Any:
        sides: Any = reconciliation.both_sides(connection, *given, **named)
        before.append(sides)
        if len(before) == 1:
            return replace(sides, record=SimpleNamespace(**sides.record._asdict() | {"updated_at": seed.BEGAN}))
        if len(before) == 3:
            requests.begin(connection, CALLER, Kind.STOP, uuid, "compute1")
        return sides

    monkeypatch.setattr("migrator.scheduler.hosts.state_reset.both_sides", both_sides)
    assert (reset(api, uuid).status, len(before)) == (202, 2)
    assert (reset(api, uuid, "error").status, record(api, uuid).vm_state, nothing_begun(api)) == (409, "active", True)


def test_a_body_without_a_state_of_novas_is_refused(api: Api) -> None:
    uuid = wrong(api)
    answer = reset(api, uuid, "nosuch")
    told = "Invalid input for field/attribute state. Value: nosuch. 'nosuch' is not one of ['active', 'error']"
    assert (answer.status, answer.message) == (400, told)
    for body in ({}, {"state": "active", "host": "compute2"}, None):
        assert ask(api, uuid, {"os-resetState": body}, "2.96").status == 400
    assert reset(api, seed.NOBODY).status == 404
