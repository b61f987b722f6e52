"""A post-copy whose other half was lost with its host is never undone automatically."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import Kind
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.operation_data import Context
from tests.model import server
from tests.model.server import View
from tests.unit.scheduler.decision.deciding import BACK, letter, op, plan

L = Kind.LIVE_MIGRATION
UNDONE = BACK | {"error": (("phase", "transfer"), ("status", "failed"))}
PLACES = [("transfer", {}), ("transfer", {"cancel": True}), ("transfer", UNDONE), ("prepare", UNDONE)]
HALF = {"dom": "paused", "attempt": "ended"}


@pytest.mark.parametrize("reason", ["postcopy", "postcopy-failed"])
@pytest.mark.parametrize(("phase", "way"), PLACES)
@pytest.mark.parametrize("ups", [(True, "fenced"), ("fenced", True)])
def test_a_half_whose_other_was_lost_is_an_alarm(
    reason: str, phase: str, way: dict[str, Any], ups: tuple[View, View]
) -> None:
    """Rolled back, the move would delete the disks that the guest wrote to last, once their host returns."""
    facts = tuple(HALF | {"reason": reason} if up is True else None for up in ups)
    found = plan(op(L, phase, **way), *facts, ups=ups)
    assert (letter(found), str(found.wait_reason)[:5]) == ("w", "TORN:")
    assert [line.type for line in found.timeline] == ["alarm"]


def test_a_post_copy_that_lasts_is_waited_for_though_its_destination_counts_as_lost() -> None:
    found = plan(op(L, "transfer"), {"dom": "paused", "reason": "postcopy", "job": True}, None, ups=(True, "fenced"))
    assert letter(found) == "w"
    assert str(found.wait_reason).startswith("waiting for host b")


def test_a_guest_that_was_only_paused_for_the_switch_over_comes_back_from_a_lost_destination() -> None:
    found = plan(op(L, "transfer"), HALF | {"reason": "migration"}, None, ups=(True, "fenced"))
    assert letter(found) == "R"


@pytest.mark.parametrize(("age_s", "alarmed"), [(2.0, False), (30.0, True)])
def test_the_alarm_waits_for_the_host_that_is_left_alone(age_s: float, alarmed: bool) -> None:
    half = server.VisitedState(
        number=1, epoch=1, phase="transfer", dom="paused", reason="postcopy-failed", attempt="ended"
    )
    snapshot = server.snapshot_of(op(L, "transfer"), (half, None), (True, "fenced"))
    found = decide(replace(snapshot, ages={str(snapshot.operation.source): age_s}))
    assert (found.wait_reason is not None) is alarmed


GONE = [{"dom": "absent"}, {"dom": "shut_off", "reason": "crashed"}, {"dom": "crashed"}]
FAILED = {"dom": "paused", "reason": "postcopy-failed", "job": True, "attempt": "running"}


@pytest.mark.parametrize("there", GONE)
@pytest.mark.parametrize("phase", ["transfer", "attest", "cleanup"])
def test_a_destination_that_died_is_an_alarm_even_after_the_guest_had_arrived(
    phase: str, there: dict[str, Any]
) -> None:
    """As libvirt has it: the source's job stays, for it does not know whether the other half will come back."""
    found = plan(op(L, phase), FAILED, there)
    assert (letter(found), str(found.wait_reason)[:5]) == ("w", "TORN:")


def test_an_alarm_after_the_arrival_does_not_hinder_who_cleans_up_by_hand() -> None:
    found = plan(op(L, "cleanup", wait_reason="TORN: "), {"dom": "absent"}, {"dom": "shut_off", "reason": "crashed"})
    assert letter(found) == "N"


def test_a_post_copy_that_lasts_after_the_arrival_is_no_alarm() -> None:
    found = plan(op(L, "cleanup"), FAILED | {"reason": "postcopy"}, {"dom": "running", "reason": "postcopy"})
    assert letter(found) == "."


@pytest.mark.parametrize(
    ("phase", "source", "waiting"),
    [
        ("cleanup", {"reason": "postcopy-failed", "job": True}, "a: the post-copy broke off"),
        ("cleanup", {"reason": "postcopy"}, "a: the post-copy broke off"),
        ("cleanup", {"reason": "postcopy", "job": True}, "None"),
        ("transfer", {"reason": "postcopy-failed", "job": True}, "a: the post-copy broke off"),
    ],
)
def test_a_post_copy_that_broke_off_between_two_living_hosts_says_what_it_waits_for(
    phase: str, source: dict[str, Any], waiting: str
) -> None:
    """It can still go on, so nothing is lost; the instance counts as arrived, and its operation would never end."""
    there = {"dom": "paused", "reason": "postcopy-failed"} if waiting != "None" else {"dom": "running"}
    found = plan(op(L, phase), {"dom": "paused"} | source, there)
    assert str(found.wait_reason).startswith(waiting)
    assert found.phase is None


DEAD = {"dom": "shut_off", "reason": "destroyed", "attempt": "ended"}
LEFT = {"dom": "paused", "reason": "postcopy-failed", "attempt": "ended"}
CRASHED = {"dom": "shut_off", "reason": "crashed"}
AFTERWARDS = [
    (DEAD, CRASHED, (True, True), {}, "commit"),
    (DEAD, {"dom": "absent"}, (True, True), {}, "commit"),
    ({"dom": "absent"}, {"dom": "absent"}, (True, True), {}, "commit"),
    (None, CRASHED, ("fenced", True), {}, "commit"),
    (None, {"dom": "running"}, (True, True), {}, "commit"),
    (DEAD, CRASHED, (True, True), {"cancel": True}, "commit"),
    (LEFT, CRASHED, (True, True), {}, "TORN"),
    ({"dom": "running", "attempt": "ended"}, CRASHED, (True, True), {}, "TORN"),
    ({"dom": "running", "attempt": "ended"}, {"dom": "running"}, (True, True), {}, "SPLIT"),
    (DEAD, None, (True, "fenced"), {}, "TORN"),
    (DEAD, None, (True, "fenced"), {"cancel": True}, "R"),
    (None, CRASHED, (False, True), {}, "waiting"),
]


@pytest.mark.parametrize(("here", "there", "ups", "more", "after"), AFTERWARDS)
def test_what_was_torn_is_where_its_disks_are_newest_once_its_halves_were_ended(
    here: Any, there: Any, ups: Any, more: dict[str, Any], after: str
) -> None:
    """The destination's disks may have been written to: rolled back, they would be deleted."""
    seen = tuple(
        None
        if end is None
        else server.VisitedState(**{"number": 1, "epoch": 1, "phase": "transfer", "dom": None} | end)
        for end in (here, there)
    )
    snapshot = server.snapshot_of(op(L, "transfer", **more), seen, ups)
    torn = replace(snapshot, operation=replace(snapshot.operation, context=Context.parse({"torn": True})))
    found = decide(torn)
    said = "R" if found.forward is False else found.phase or str(found.wait_reason)
    assert said.startswith(after)


def test_the_alarm_is_remembered() -> None:
    assert plan(op(L, "transfer"), FAILED, {"dom": "absent"}).context == {"torn": True}
