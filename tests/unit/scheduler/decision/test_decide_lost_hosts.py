"""``decide`` on moves whose host is silent, fenced or back: evidence takes the place of its word."""

from typing import Any

import pytest

from migrator.operations import Kind
from tests.model.server import View
from tests.unit.scheduler.decision.deciding import GONE, OFF, RUNS, letter, op, plan

M, E, L = Kind.MIGRATION, Kind.EVACUATION, Kind.LIVE_MIGRATION


def test_evidence_takes_the_place_of_a_silent_host_s_word_and_is_written_down() -> None:
    found = plan(op(E, "fence"), ups=("fenced", True))
    assert (found.phase, found.context["evidence"]) == ("rebuild", "forced down by an operator")
    assert [line.type for line in found.timeline] == ["evidence", "phase"]


def test_evidence_counts_only_after_the_host_could_have_spoken_to_the_servers_again() -> None:
    found = plan(op(E, "fence"), ups=("awaited", True))
    assert (found.phase, found.wait_reason) == (None, "waiting for host a, which is silent")


def test_without_evidence_it_says_what_it_waits_for_and_a_fence_that_failed_ends_it() -> None:
    assert "evidence that a" in str(plan(op(E, "fence"), ups=(False, True)).wait_reason)
    found = plan(op(E, "fence"), ups=("unfenced", True))
    assert found.error is not None
    assert (found.error["code"], "no answer" in found.error["message"]) == ("fencing_failed", True)


RETURNS = [
    ("rebuild", RUNS, None, True, "R"),
    ("rebuild", RUNS, None, "back", "R"),
    ("rebuild", OFF, None, True, "."),
    ("rebuild", None, GONE | {"disk": True}, True, "w"),
    ("rebuild", None, GONE | {"disk": True}, "fenced", "N"),
    ("rebuild", OFF, GONE | {"disk": True}, True, "N"),
    ("fence", RUNS, None, True, "R"),
    ("fence", RUNS, None, "back", "R"),
    ("fence", OFF, None, "back", "R"),
    ("start", RUNS, GONE, True, "R"),
    ("start", RUNS, OFF, True, "R"),
    ("start", RUNS, RUNS, True, "N"),
    ("start", OFF, RUNS, True, "N"),
    ("start", RUNS, None, "fenced", "."),
]


@pytest.mark.parametrize(("phase", "source", "destination", "view", "after"), RETURNS)
def test_an_evacuated_host_that_returns_with_its_guest_running_keeps_it(
    phase: str, source: Any, destination: Any, view: View, after: str
) -> None:
    found = plan(op(E, phase), source, destination, ups=(view, True))
    assert letter(found) == after
    if after == "R":
        assert found.error is not None
        assert found.error["code"] == "source_is_back"


def test_a_forced_down_host_that_answers_stops_a_guest_whose_disks_are_kept_before_it_starts_elsewhere() -> None:
    found = [plan(op(E, "fence", shared=True), said, ups=("back", True)) for said in (None, RUNS, OFF, GONE)]
    assert [letter(one) for one in found] == [".", ".", "N", "N"]


@pytest.mark.parametrize(("destination", "after"), [(None, "w"), (GONE, "R"), ({"dom": "incoming"}, "R")])
def test_a_live_move_whose_source_is_fenced_turns_back_only_by_the_destinations_word(
    destination: Any, after: str
) -> None:
    assert letter(plan(op(L, "transfer"), None, destination, ups=("fenced", True))) == after


@pytest.mark.parametrize("lost", ["a", "b"])
def test_a_cold_move_whose_host_is_lost_says_which_and_why(lost: str) -> None:
    ups: tuple[View, View] = ("fenced", True) if lost == "a" else (True, "fenced")
    phase = "copy" if lost == "a" else "start"
    found = plan(op(M, phase), None, GONE if lost == "a" else None, ups=ups)
    assert found.error is not None
    assert found.error["code"] == "host_fenced"
    assert found.error["message"] == f"{lost} is lost: forced down by an operator"
