"""``decide`` on instances that do not run while they are moved: copies, power, effects, waiting for a word."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import OPERATIONS, Effect, Kind
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.snapshot import NOTHING
from tests.model import server
from tests.unit.scheduler.decision.deciding import BACK, GONE, OFF, RUNS, SAVED, UP, letter, op, plan

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
    ("word", "after"), [({}, "."), ({"confirm": True}, "N"), ({"cancel": True}, "R"), ({"deleting": True}, ".")]
)
def test_only_an_operator_s_word_ends_the_waiting(word: dict[str, Any], after: str) -> None:
    deleting = word.pop("deleting", False)
    seen = replace(server.snapshot_of(op(M, "verify", **word), (None, None), UP), deleting=deleting)
    found = decide(seen)
    assert letter(found) == after
    assert found.error is None or found.error["status"] == "reverted"


def waited(readings: list[float], window_s: float = 60.0, silent: tuple[float, ...] = ()) -> float | None:
    """When a move in VERIFY_RESIZE confirms itself, if the clock is read so; ``silent``: the destination is then."""
    context: dict[str, Any] = {}
    for now in readings:
        seen = server.snapshot_of(op(M, "verify"), (None, None), (True, now not in silent))
        hosts = {name: replace(view, now=now) for name, view in seen.hosts.items()}
        operation = replace(seen.operation, context=seen.operation.context.updated(context))
        found = decide(replace(seen, operation=operation, hosts=hosts, confirm_window_s=window_s))
        if found.phase is not None:
            assert found.phase == "attest"
            return now
        context = {**context, **found.context}
    return None


EVERY_5_S = [1000.0 + 5 * n for n in range(40)]


def test_the_window_ends_the_waiting_once_so_much_time_was_counted() -> None:
    assert waited(EVERY_5_S) == 1060.0
    assert waited(EVERY_5_S, window_s=0) is None


def test_time_in_which_the_destination_is_silent_does_not_count() -> None:
    assert waited(EVERY_5_S, silent=tuple(EVERY_5_S[1:])) is None
    gap = tuple(1005.0 + 5 * n for n in range(20))  # silent for 100 s: what is counted of it is no more than a step
    late = waited(EVERY_5_S, silent=gap)
    assert late is not None
    assert late >= 1140.0


@pytest.mark.parametrize("wrong", [1e6, -1e6])
def test_one_wrong_reading_of_the_clock_never_confirms_early(wrong: float) -> None:
    found = waited([*EVERY_5_S[:3], EVERY_5_S[3] + wrong, *EVERY_5_S[4:]])
    assert found is not None
    assert found >= 1040.0
