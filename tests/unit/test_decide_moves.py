"""``decide`` on instances that do not run while they are moved: copies, power, effects, owing and evidence."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import OPERATIONS, Effect, Kind
from migrator.scheduler.decide import decide
from migrator.scheduler.snapshot import NOTHING
from tests.model import server
from tests.model.server import Seen, View
from tests.unit.deciding import BACK, GONE, OFF, RUNS, SAVED, UP, letter, op, plan

M, R, E, L = Kind.MIGRATION, Kind.RESIZE, Kind.EVACUATION, Kind.LIVE_MIGRATION

# --- the copy -------------------------------------------------------------------------------------------------------

ONE, TWO = (("vda", 1),), (("vda", 2),)
BOTH, OLD_MEMORY = (("vda", 1), ("memory", 1)), (("vda", 1), ("memory", 2))
COPIES = [
    (None, None, ONE, "."),
    (None, ONE, None, "."),
    (None, ONE, ONE, "N"),
    (None, ONE, TWO, "R"),
    (None, TWO, ONE, "R"),
    ("saved", ONE, ONE, "."),
    ("saved", BOTH, ONE, "."),
    ("saved", BOTH, BOTH, "N"),
    ("saved", BOTH, OLD_MEMORY, "R"),
]


@pytest.mark.parametrize(("power", "offered", "copied", "after"), COPIES)
def test_a_copy_counts_when_both_ends_have_the_same_checksums(
    power: str | None, offered: Any, copied: Any, after: str
) -> None:
    here, there = (parts | {"sums": sums or ()} for parts, sums in ((OFF, offered), (GONE, copied)))
    found = plan(op(M, "copy", power=power), here if offered else None, there)
    assert letter(found) == after
    if after == "R":
        assert found.error is not None
        assert found.error["code"] == "checksum_mismatch"


def test_checksums_of_an_earlier_phase_or_epoch_count_for_nothing() -> None:
    there = GONE | {"sums": ONE}
    for stale in ({"phase": "offer"}, {"epoch": 0}):
        assert plan(op(M, "copy"), OFF | {"sums": ONE} | stale, there) == NOTHING


def test_what_both_hosts_share_is_not_copied() -> None:
    assert plan(op(M, "copy", shared=True), None, GONE).phase == "start"


@pytest.mark.parametrize(
    ("phase", "forward", "after"),
    [
        ("check", True, "depart"),
        ("offer", True, "copy"),
        ("copy", True, "start"),
        ("cleanup", True, "release"),
        ("copy", False, "offer"),
        ("offer", False, "stop"),
        ("check", False, "claim"),
    ],
)
def test_in_place_nothing_happens_between_the_host_and_itself(phase: str, forward: bool, after: str) -> None:
    now = op(R, phase, **({} if forward else BACK), destination=0)
    assert plan(now).phase == after


# --- power ----------------------------------------------------------------------------------------------------------

POWERS = [
    (M, "start", True, "running", RUNS, OFF),
    (M, "start", True, "shut_off", OFF, RUNS),
    (M, "start", True, "saved", RUNS, SAVED),
    (M, "stop", False, "running", RUNS, OFF),
    (M, "stop", False, "shut_off", OFF, RUNS),
    (M, "stop", False, "saved", SAVED, RUNS),
    (E, "start", True, "running", RUNS, OFF),
    (E, "start", True, "shut_off", OFF, RUNS),
    (E, "start", True, "saved", SAVED, RUNS),
]


@pytest.mark.parametrize(("kind", "phase", "forward", "power", "right", "wrong"), POWERS)
def test_it_is_put_down_as_it_was_and_what_was_suspended_resumes_where_it_moved(
    kind: Kind, phase: str, forward: bool, power: str, right: Any, wrong: Any
) -> None:
    now = op(kind, phase, **({} if forward else BACK), power=power)
    for seen, after in ((right, "N"), (wrong, ".")):
        assert letter(plan(now, *((seen, None) if phase == "stop" else (None, seen)))) == after


@pytest.mark.parametrize(("seen", "power"), [(RUNS, "running"), (OFF, "shut_off"), (SAVED, "saved")])
def test_how_it_was_found_is_remembered(seen: Any, power: str) -> None:
    assert plan(op(M, "inspect"), seen).context["power"] == power


# --- effects --------------------------------------------------------------------------------------------------------

EFFECTS = [
    (M, "claim", Effect.CLAIM_DESTINATION, Effect.RELEASE_DESTINATION),
    (M, "depart", None, Effect.RECORD_RETURNED),
    (M, "record", Effect.RECORD_RESIZED, None),
    (M, "confirm", Effect.RECORD_CONFIRMED, None),
    (M, "release", Effect.RELEASE_SOURCE, None),
    (E, "claim", Effect.CLAIM_DESTINATION, Effect.RELEASE_DESTINATION),
    (E, "commit", Effect.MOVE_RECORD, None),
    (E, "release", Effect.RELEASE_SOURCE, None),
]


@pytest.mark.parametrize(("kind", "phase", "forth", "back"), EFFECTS)
def test_each_phase_of_the_scheduler_has_its_effect(
    kind: Kind, phase: str, forth: Effect | None, back: Effect | None
) -> None:
    assert plan(op(kind, phase)).effect is forth
    if OPERATIONS[kind].reversible(phase):
        assert plan(op(kind, phase, **BACK)).effect is back


RECORDED = [(M, "record", True, 1), (M, "depart", False, 0), (E, "commit", True, 1)]


@pytest.mark.parametrize(("kind", "phase", "forward", "host"), RECORDED)
def test_what_is_recorded_is_what_that_host_said_last_in_this_epoch(
    kind: Kind, phase: str, forward: bool, host: int
) -> None:
    now = op(kind, phase, **({} if forward else BACK))
    said: list[Any] = [RUNS | {"phase": "earlier"}, RUNS | {"phase": "earlier"}]
    said[host] = OFF | {"phase": "earlier"}
    fact = plan(now, *said).effect_fact
    assert fact is not None
    assert fact.domain is not None
    assert fact.domain.state == "shut_off"
    assert plan(now, *(said_then | {"epoch": 7} for said_then in said)).effect_fact is None


# --- the operator ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "window_s", "age_s", "after"),
    [
        ({}, 0.0, 1e9, "."),
        ({}, 60.0, 59.0, "."),
        ({}, 60.0, 60.0, "N"),
        ({"confirm": True}, 0.0, 0.0, "N"),
        ({"cancel": True}, 60.0, 60.0, "R"),
    ],
)
def test_only_an_operator_or_the_window_ends_the_waiting(word: Any, window_s: float, age_s: float, after: str) -> None:
    seen = server.snapshot_of(op(M, "verify", **word), (None, None), UP)
    aged = replace(seen, operation=replace(seen.operation, phase_age_s=age_s), confirm_window_s=window_s)
    found = decide(aged)
    assert letter(found) == after
    assert found.error is None or found.error["status"] == "reverted"


# --- what is owed ---------------------------------------------------------------------------------------------------


def test_what_is_owed_is_undone_in_order_when_its_host_is_back_and_only_then_released() -> None:
    now, ups = op(M, "copy", **BACK), (True, False)
    steps: list[str] = []
    while now.active and len(steps) < 20:
        facts: tuple[Seen | None, ...] = (
            Seen(1, now.epoch, now.phase, "running"),
            Seen(1, now.epoch, now.phase, "absent"),
        )
        found = server.plan_of(now, facts, ups)
        if found.empty or (found.phase is None and found.end is None):
            assert not now.holds
            assert (now.phase, now.waiting) == ("copy", None) or "b" in str(found.waiting)
            steps.append("waits")
            ups = UP
            continue
        steps.append(f"{now.phase} {found.effect.value}" if found.effect else now.phase)
        now = server.applied(now, found, None)
    assert steps == [
        "copy",
        "offer",
        "stop",
        "depart record_returned",
        "check",
        "claim",
        "inspect",
        "waits",
        "copy",
        "claim release_destination",
    ]
    assert (now.end, now.holds) == ("error", False)


# --- evidence -------------------------------------------------------------------------------------------------------


def test_evidence_takes_the_place_of_a_silent_host_s_word_and_is_written_down() -> None:
    found = plan(op(E, "fence"), ups=("fenced", True))
    assert (found.phase, found.context["evidence"]) == ("rebuild", "forced down by an operator")
    assert [line.name for line in found.timeline] == ["evidence", "phase"]


def test_evidence_counts_only_after_the_host_could_have_spoken_to_the_servers_again() -> None:
    found = plan(op(E, "fence"), ups=("awaited", True))
    assert (found.phase, found.waiting) == (None, "waiting for host a, which is silent")


def test_without_evidence_it_says_what_it_waits_for_and_a_fence_that_failed_ends_it() -> None:
    assert "evidence that a" in str(plan(op(E, "fence"), ups=(False, True)).waiting)
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
