"""``decide`` while a host is silent: a server that has only just come back waits for it, and a stopped guest on the
source is the instance only if the destination cannot have it."""

from typing import Any

import pytest

from migrator.operations import OPERATIONS, Kind
from migrator.scheduler.decision.held_back import held_back
from tests.model.server import View, snapshot_of
from tests.unit.scheduler.decision.deciding import BACK, GONE, OFF, RUNS, UP, letter, op, plan

L, B, M = Kind.LIVE_MIGRATION, Kind.BUILD, Kind.MIGRATION
ENDED = {"attempt": "ended"}
DOWN, AWAITED = (True, False), (True, "awaited")


@pytest.mark.parametrize(("kind", "phase"), [(L, "check"), (L, "prepare"), (M, "check")])
def test_a_host_that_could_not_speak_to_any_server_until_now_does_not_turn_a_move_round(kind: Kind, phase: str) -> None:
    turned = "R" if phase == "check" else "w"  # in prepare it is waited for, unless it is fenced
    assert letter(plan(op(kind, phase), ups=DOWN)) == turned
    found = plan(op(kind, phase), ups=AWAITED)
    assert (letter(found), found.wait_reason) == ("w", "waiting for host b, which is silent")


@pytest.mark.parametrize(
    ("kind", "phase", "silent"),
    [(B, "disks", "fenced"), (L, "prepare", "fenced"), (M, "copy", False), (Kind.EVACUATION, "rebuild", False)],
)
def test_what_a_host_has_to_undo_is_not_owed_before_it_could_have_spoken(kind: Kind, phase: str, silent: View) -> None:
    undoing = op(kind, phase, **BACK)
    assert letter(plan(undoing, ups=(True, silent))) == "O"
    assert letter(plan(undoing, ups=AWAITED)) == "w"


def test_a_transfer_that_has_not_begun_has_not_failed() -> None:
    here = RUNS | {"attempt": "none"}
    assert letter(plan(op(L, "transfer"), here, {"dom": "incoming"})) == "."
    assert letter(plan(op(L, "transfer"), here | {"attempt": "ended"}, {"dom": "incoming"})) == "R"


WENT_BACK = [
    (RUNS | ENDED, None, DOWN, False, "N"),
    (OFF | ENDED, GONE, UP, False, "N"),
    (OFF | ENDED, None, UP, False, "w"),
    (OFF | ENDED, None, DOWN, False, "w"),
    (OFF | ENDED, None, DOWN, True, "w"),
    (OFF | ENDED, None, (True, "fenced"), False, "w"),
    (OFF | ENDED, None, (True, "fenced"), True, "N"),
]


@pytest.mark.parametrize(("source", "destination", "ups", "cancelled", "expected"), WENT_BACK)
def test_a_stopped_guest_on_the_source_is_gone_back_to_only_if_the_destination_cannot_have_it(
    source: Any, destination: Any, ups: tuple[View, ...], cancelled: bool, expected: str
) -> None:
    undoing = op(L, "transfer", **BACK, cancel=cancelled)
    assert letter(plan(undoing, source, destination, ups=ups)) == expected


def test_a_move_whose_destination_is_lost_is_turned_round_only_for_a_source_that_runs() -> None:
    lost: tuple[View, ...] = (True, "fenced")
    assert letter(plan(op(L, "transfer"), RUNS, ups=lost)) == "R"
    found = plan(op(L, "transfer"), OFF, ups=lost)
    assert letter(found) == "w"
    assert "may have moved to b before" in str(found.wait_reason)


UNLISTED = "unlisted"  # silent since before the servers were back
GOING_BACK: dict[str, Any] = {"forward": False, "epoch": 2, "error": (("phase", "verify"), ("status", "reverted"))}
WHO_IS_WAITED_FOR: list[tuple[str, dict[str, Any], str, str]] = [
    *((phase, {}, "ab", phase) for phase in ("inspect", "claim", "stop", "copy", "start", "record")),
    ("verify", {"confirm": True}, "b", "verify, confirmed"),
    ("attest", {}, "b", "attest"),
    ("confirm", {}, "b", "confirm"),
    *((phase, GOING_BACK, "ab", f"undo {phase}") for phase in ("start", "copy", "offer", "stop", "depart")),
    ("keep", GOING_BACK, "b", "undo keep"),
    ("verify", GOING_BACK | {"confirm": True}, "b", "called off"),
]


@pytest.mark.parametrize("kind", [M, Kind.RESIZE])
@pytest.mark.parametrize(("phase", "changes", "ends", "name"), WHO_IS_WAITED_FOR, ids=[w[3] for w in WHO_IS_WAITED_FOR])
def test_a_cold_move_waits_for_a_list_of_the_ends_that_may_run_the_guest(
    kind: Kind, phase: str, changes: dict[str, Any], ends: str, name: str
) -> None:
    silences: dict[str, tuple[View, ...]] = {"a": (UNLISTED, True), "b": (True, UNLISTED)}
    for end, ups in silences.items():
        held = held_back(snapshot_of(op(kind, phase, **changes), (None, None), ups), OPERATIONS[kind].phase(phase))
        assert held == (f"waiting for host {end}, which is silent" if end in ends else ""), name
