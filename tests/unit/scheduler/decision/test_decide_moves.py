"""``decide`` on instances that do not run while they are moved: copies, power, effects, owing and evidence."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import OPERATIONS, Actor, Effect, Kind
from migrator.scheduler.decision import proof
from migrator.scheduler.decision.completion import Progress
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.snapshot import NOTHING
from tests.model import server
from tests.model.server import Seen, View
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
        operation = replace(seen.operation, context=context)
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


# --- what is proven ---------------------------------------------------------------------------------------------------

WHOLE, LOST = OFF | {"disk": True}, OFF
REVERTED = {"forward": False, "epoch": 2, "error": (("phase", "verify"), ("status", "reverted"))}


def test_a_revert_stops_nothing_before_the_source_has_shown_its_disks() -> None:
    now = op(M, "keep", **REVERTED)
    assert plan(now, WHOLE).phase == "start"
    waits = plan(now, ups=(False, True))
    assert waits.phase is None
    assert "confirm" in str(waits.waiting)


@pytest.mark.parametrize(("source", "view"), [(LOST, True), (WHOLE | {"problem": "final"}, True), (None, "fenced")])
def test_a_revert_whose_source_is_not_whole_ends_where_the_instance_is(source: Any, view: View) -> None:
    found = plan(op(M, "keep", **REVERTED), source, ups=(view, True))
    assert (found.phase, found.forward, found.raise_epoch) == ("verify", True, True)
    assert (found.cancel, found.effect) == (False, None)


def test_what_failed_to_start_beside_a_source_that_is_not_whole_is_recorded_where_its_copy_is() -> None:
    now = op(M, "keep", **BACK)
    found = plan(now, LOST)
    assert (found.phase, found.forward, found.context["power"]) == ("start", True, "shut_off")
    again = plan(now._replace(learnt=frozenset({"stayed"})), LOST)
    assert (again.phase, again.forward) == (None, None), "once"
    assert again.waiting


@pytest.mark.parametrize("actor", [Actor.SOURCE, Actor.DESTINATION])
def test_a_fact_that_leaves_a_disk_out_proves_nothing(actor: Actor) -> None:
    now = op(M, "keep", **REVERTED)
    fact = server.fact_of(Seen(1, now.epoch, now.phase, "shut_off", disk=True))
    snapshot = server.snapshot_of(now, (None, None), UP)
    assert proof.judge_whole(snapshot, actor, fact).progress is Progress.DONE
    silent = proof.judge_whole(snapshot, actor, fact.model_copy(update={"disks": ()}))
    assert (silent.progress, "vda" in silent.message) == (Progress.PENDING, True)


def test_a_revert_that_is_not_proven_yet_can_be_confirmed() -> None:
    found = plan(op(M, "keep", **REVERTED, confirm=True), ups=(False, True))
    assert (found.phase, found.forward, found.cancel, found.confirm) == ("verify", True, False, True)


@pytest.mark.parametrize("phase", ["copy", "start"])
def test_the_way_back_begins_with_the_proof_and_goes_on_where_it_turned(phase: str) -> None:
    turned = plan(op(M, phase), None, {"dom": "absent", "problem": "final"})
    assert (turned.phase, turned.forward) == ("keep", False)
    error = (("phase", phase), ("status", "error"))
    assert plan(op(M, "keep", forward=False, epoch=2, error=error), WHOLE).phase == phase


def test_a_copy_that_cannot_be_proven_is_kept_while_the_instance_goes_free() -> None:
    error = (("phase", "copy"), ("status", "error"))
    now = op(M, "keep", forward=False, epoch=2, error=error)
    first = plan(now, ups=("fenced", True))
    assert (first.phase, first.context["owed"]) == ("copy", ["keep"])
    second = plan(now._replace(phase="copy", owed=("keep",)), None, GONE, ups=("fenced", True))
    assert second.context["owed"] == ["keep", "copy"]


def test_a_confirmation_waits_for_the_destination_and_can_be_reverted_meanwhile() -> None:
    now = op(M, "attest", confirm=True)
    assert plan(now, None, RUNS | {"disk": True}).phase == "confirm"
    assert "revert" in str(plan(now, ups=(True, False)).waiting)
    refused = plan(now, None, RUNS)
    assert (refused.phase, refused.confirm) == ("verify", False)
    assert letter(plan(now._replace(cancel=True), None, RUNS | {"disk": True})) == "R"


# --- what is owed ---------------------------------------------------------------------------------------------------


def test_what_is_owed_is_undone_in_order_when_its_host_is_back_and_only_then_released() -> None:
    now, ups = op(M, "copy", **BACK), (True, False)
    steps: list[str] = []
    while now.active and len(steps) < 20:
        facts: tuple[Seen | None, ...] = (
            Seen(1, now.epoch, now.phase, "running", disk=True),
            Seen(1, now.epoch, now.phase, "absent"),
        )
        found = server.plan_of(now, facts, ups)
        if found.empty or (found.phase is None and found.end is None):
            assert not now.holds
            assert (now.phase, now.waiting) == ("keep", None) or "b" in str(found.waiting)
            steps.append("waits")
            ups = UP
            continue
        steps.append(f"{now.phase} {found.effect.value}" if found.effect else now.phase)
        now = server.applied(now, found)
    assert steps == [
        "copy",
        "offer",
        "stop",
        "depart record_returned",
        "check",
        "claim",
        "inspect",
        "waits",
        "keep",
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
