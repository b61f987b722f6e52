"""``decide`` one step at a time: what each phase does with each answer, as tables."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import OPERATIONS, Effect, Kind
from migrator.protocol import DiskFact
from migrator.scheduler.decision.assignments import assignments
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.previous_phase import MAX_ATTEMPTS
from migrator.scheduler.decision.rollback_start import refused
from migrator.scheduler.decision.snapshot import NOTHING
from tests.model import server
from tests.model.server import VisitedState
from tests.unit.scheduler.decision.deciding import GONE, RUNS, op, plan

L, B, D, M = Kind.LIVE_MIGRATION, Kind.BUILD, Kind.DELETE, Kind.MIGRATION
ENDED = {"attempt": "ended"}
REASON = "it did not work"


NEXT = [
    (L, "inspect", RUNS, None, "claim", None),
    (L, "claim", None, None, "check", Effect.CLAIM_DESTINATION),
    (L, "check", None, GONE, "prepare", None),
    (L, "prepare", None, GONE | {"disk": True}, "transfer", None),
    (L, "transfer", GONE | ENDED, RUNS, "commit", None),
    (L, "transfer", None, RUNS, "commit", None),
    (L, "transfer", {"dom": "shut_off", "reason": "migrated"}, None, "commit", None),
    (L, "commit", None, None, "attest", Effect.MOVE_RECORD),
    (L, "attest", None, RUNS | {"disk": True}, "cleanup", None),
    (L, "cleanup", GONE, None, "release", None),
    (B, "claim", None, None, "disks", Effect.CLAIM_DESTINATION),
    (B, "disks", None, GONE | {"disk": True}, "start", None),
    (B, "start", None, RUNS, "commit", None),
    (D, "cleanup", GONE, None, "elsewhere", None),
    (D, "elsewhere", None, None, "release", None),
    (D, "release", None, None, "commit", Effect.RELEASE_SOURCE),
    (Kind.START, "start", RUNS, None, "commit", None),
    (Kind.STOP, "stop", {"dom": "shut_off"}, None, "commit", None),
    (Kind.STOP, "stop", {"dom": "crashed"}, None, "commit", None),
    (Kind.REBOOT, "stop", {"dom": "shut_off"}, None, "start", None),
    (Kind.REBOOT, "start", RUNS, None, "commit", None),
]


@pytest.mark.parametrize(("kind", "phase", "source", "destination", "after", "effect"), NEXT)
def test_forward(kind: Kind, phase: str, source: Any, destination: Any, after: str, effect: Effect | None) -> None:
    found = plan(op(kind, phase), source, destination)
    assert (found.phase, found.effect, found.final_status, found.bump_epoch) == (after, effect, None, False)


@pytest.mark.parametrize("kind", list(Kind))
def test_the_last_phase_completes(kind: Kind) -> None:
    last = OPERATIONS[kind].phases[-1]
    found = plan(op(kind, last.name), RUNS)
    effect = last.do if isinstance(last.do, Effect) else None
    assert (found.final_status, found.phase, found.effect) == (OPERATIONS[kind].completed, None, effect)


WAITS = [
    (L, "transfer", RUNS | {"job": True}, {"dom": "incoming"}, (True, True), None),
    (L, "transfer", RUNS, None, (True, False), "waiting for host b, which is silent"),
    (L, "transfer", None, GONE, (False, True), "waiting for host a, which is silent"),
    (L, "transfer", {"problem": "transient"}, GONE, (True, True), f"a: {REASON}"),
    (L, "transfer", RUNS, RUNS, (True, True), "SPLIT: "),
    (L, "transfer", GONE, GONE, (True, True), "LOST: "),
    (L, "transfer", {"dom": "paused", "attempt": "ended"}, {"dom": "paused"}, (True, True), "HOLD: "),
    (L, "transfer", GONE | ENDED, {"dom": "incoming"}, (True, True), "HOLD: "),
    (L, "transfer", {"dom": "paused", "job": True}, {"dom": "paused"}, (True, True), None),
    (L, "prepare", None, None, (True, False), "waiting for host b, which is silent"),
    (L, "prepare", None, GONE | {"problem": "transient"}, (True, True), f"b: {REASON}"),
    (L, "cleanup", RUNS | {"problem": "final"}, None, (True, True), f"a: {REASON}"),
    (L, "attest", None, None, (True, True), None),
    (L, "attest", None, RUNS, (True, True), "b has not what it should have: vda is missing (/vda): what a has is kept"),
    (L, "attest", None, {"problem": "transient"}, (True, True), f"b: {REASON}: what a has is kept"),
    (L, "attest", None, None, (True, False), "waiting for host b, which is silent: what a has is kept until b has"),
    (L, "attest", None, RUNS | {"disk": True}, (False, True), "waiting for host a, which is silent"),
    (D, "cleanup", None, None, (False, True), "waiting for host a, which is silent"),
    (D, "cleanup", GONE | {"disk": True}, None, (True, True), None),
    (Kind.STOP, "stop", RUNS, None, (True, True), None),
    (M, "copy", None, GONE | {"sums": (("vda", 1),)}, (False, True), "waiting for host a, which is silent"),
]


@pytest.mark.parametrize(("kind", "phase", "source", "destination", "ups", "reason"), WAITS)
def test_waits_with_a_reason(
    kind: Kind, phase: str, source: Any, destination: Any, ups: tuple[bool, bool], reason: str | None
) -> None:
    found = plan(op(kind, phase), source, destination, ups=ups)
    assert (found.phase, found.forward, found.effect, found.final_status) == (None, None, None, None)
    assert found.wait_reason is None if reason is None else str(found.wait_reason).startswith(reason)
    if found.wait_reason:
        again = op(kind, phase, wait_reason=found.wait_reason)
        assert plan(again, source, destination, ups=ups) == NOTHING, "said once"


TURNS = [
    (L, "inspect", {"checks": False, "dom": "running"}, None, (True, True), "error"),
    (L, "inspect", None, None, (False, True), "error"),
    (L, "check", None, {"checks": False, "dom": "absent"}, (True, True), "error"),
    (L, "check", None, None, (True, False), "error"),
    (L, "prepare", None, GONE | {"problem": "final"}, (True, True), "error"),
    (L, "transfer", RUNS | ENDED, GONE, (True, True), "failed"),
    (L, "transfer", RUNS | {"attempt": "none", "problem": "final"}, GONE, (True, True), "failed"),
    (B, "disks", None, GONE | {"problem": "final"}, (True, True), "error"),
    (B, "start", None, GONE | {"problem": "final"}, (True, True), "error"),
    (Kind.START, "start", GONE | {"problem": "final"}, None, (True, True), "error"),
]


@pytest.mark.parametrize(("kind", "phase", "source", "destination", "ups", "status"), TURNS)
def test_turns_round(
    kind: Kind, phase: str, source: Any, destination: Any, ups: tuple[bool, bool], status: str
) -> None:
    found = plan(op(kind, phase), source, destination, ups=ups)
    assert (found.forward, found.bump_epoch, found.phase, found.effect) == (False, True, None, None)
    assert found.error is not None
    assert (found.error["status"], found.error["phase"]) == (status, phase)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_cancel_turns_round_exactly_where_the_way_back_is_open(kind: Kind) -> None:
    table = OPERATIONS[kind]
    for phase in table.phases:
        found = plan(op(kind, phase.name, cancel=True))
        assert (found.forward is False) is table.reversible(phase.name), phase.name


def test_a_cancel_that_comes_after_the_guest_moved_is_too_late() -> None:
    assert plan(op(L, "transfer", cancel=True), {"dom": "shut_off", "reason": "migrated"}, RUNS).phase == "commit"


ERROR = (("phase", "transfer"), ("status", "failed"))
BACK = {"forward": False, "epoch": 2, "error": ERROR}
UPWARD = [
    ("transfer", RUNS | {"attempt": "ended"}, GONE, "prepare", None),
    ("transfer", RUNS | {"attempt": "none"}, None, "prepare", None),
    ("transfer", RUNS | {"reason": "migrated", "attempt": "ended"}, GONE, "prepare", None),
    ("transfer", {"dom": "paused", "attempt": "ended"}, GONE, "prepare", None),
    ("prepare", None, GONE, "measure", None),
    ("measure", None, None, "check", None),
    ("check", None, None, "claim", None),
    ("claim", None, None, "inspect", Effect.RELEASE_DESTINATION),
]


@pytest.mark.parametrize(("phase", "source", "destination", "after", "effect"), UPWARD)
def test_undo_runs_upward(phase: str, source: Any, destination: Any, after: str, effect: Effect | None) -> None:
    found = plan(op(L, phase, **BACK), source, destination)
    assert (found.phase, found.effect, found.forward) == (after, effect, None)


def test_the_top_of_the_way_back_ends_with_the_error_s_status() -> None:
    assert plan(op(L, "inspect", **BACK)).final_status == "failed"


HELD_BACK = [
    ("transfer", RUNS | {"job": True, "attempt": "running"}, GONE, (True, True)),
    ("transfer", RUNS | {"attempt": "running"}, GONE, (True, True)),
    ("transfer", None, GONE, (False, True)),
    ("transfer", GONE | ENDED, None, (True, False)),
    ("prepare", RUNS, GONE | {"disk": True}, (True, True)),
    ("prepare", RUNS, None, (True, False)),
]


@pytest.mark.parametrize(("phase", "source", "destination", "ups"), HELD_BACK)
def test_undo_waits_for_who_did_it(phase: str, source: Any, destination: Any, ups: tuple[bool, bool]) -> None:
    found = plan(op(L, phase, **BACK), source, destination, ups=ups)
    assert (found.phase, found.effect, found.final_status) == (None, None, None)
    if not all(ups):
        assert "silent" in str(found.wait_reason)


@pytest.mark.parametrize("phase", ["transfer", "prepare"])
def test_a_guest_found_on_the_destination_turns_it_forward_again(phase: str) -> None:
    found = plan(op(L, phase, **BACK), None, RUNS)
    assert (found.phase, found.forward, found.bump_epoch, found.error) == ("commit", True, True, {})


@pytest.mark.parametrize("stale", [{"epoch": 1}, {"phase": "inspect"}])
@pytest.mark.parametrize("forward", [True, False])
def test_facts_of_another_epoch_or_phase_steer_nothing(stale: dict[str, Any], forward: bool) -> None:
    now = op(L, "transfer", **BACK | {"forward": forward})
    for source, destination in ((RUNS | ENDED, GONE), (GONE, RUNS), (GONE, GONE), (RUNS, RUNS)):
        assert plan(now, source | stale, destination | stale) == NOTHING


RETRY = [
    ({"requested": None}, True),
    ({"requested": None, "refused": ("c",)}, True),
    ({"requested": None, "refused": ("c", "d")}, False),
    ({"requested": 1}, False),
    ({"requested": None, "cancel": True}, False),
    ({"requested": None, "error": ERROR}, False),
]


@pytest.mark.parametrize(("changes", "again"), RETRY)
@pytest.mark.parametrize(
    ("kind", "failed"),
    [(L, "check"), (B, "start"), (M, "check"), (Kind.EVACUATION, "check"), (Kind.EVACUATION, "rebuild")],
)
def test_another_host_is_tried_where_nobody_named_one(
    kind: Kind, failed: str, changes: dict[str, Any], again: bool
) -> None:
    back = {"forward": False, "epoch": 2, "error": (("phase", failed), ("status", "error"))}
    found = plan(op(kind, "claim", **back | changes))
    assert found.effect is Effect.RELEASE_DESTINATION
    assert (found.forward is True) is again
    assert found.bump_epoch is again
    if again:
        assert found.clear_destination
        assert "b" in found.context["refused"]
        assert len(found.context["refused"]) < MAX_ATTEMPTS


def test_a_build_that_found_no_host_ends_at_once_and_a_move_goes_back() -> None:
    for kind, phase, end in ((B, None, "error"), (L, "inspect", None)):
        found = refused(server.snapshot_of(op(kind, "claim"), (None, None), (True, True)), {"b": ["vcpus: 4 needed"]})
        assert (found.phase, found.final_status) == (phase, end)
        assert found.error is not None
        assert "b: vcpus: 4 needed" in found.error["message"]


@pytest.mark.parametrize("kind", list(Kind))
def test_an_operation_that_is_over_stays_so(kind: Kind) -> None:
    for phase in OPERATIONS[kind].phases:
        assert plan(op(kind, phase.name, active=False), RUNS, RUNS) == NOTHING


def _orders(kind: Kind, phase: str, forward: bool) -> dict[str, dict[str, Any]]:
    snapshot = server.snapshot_of(op(kind, phase, forward=forward), (None, None), (True, True))
    return {host: dict(a.inputs) for host, a in assignments(snapshot).items()}


MAY_KILL = {(Kind.EVACUATION, "cleanup", True), (D, "cleanup", True), (B, "disks", False), (B, "start", False)}


def test_only_a_deletion_and_an_undone_build_may_kill() -> None:
    for kind, table in OPERATIONS.items():
        for phase in table.phases:
            for forward in (True, False):
                orders = _orders(kind, phase.name, forward).values()
                kills = any(inputs.get("kill") for inputs in orders)
                assert kills is ((kind, phase.name, forward) in MAY_KILL), (kind, phase.name, forward)


@pytest.mark.parametrize(("age_s", "alarmed"), [(2.0, False), (30.0, True)])
def test_a_loss_is_believed_only_when_both_agents_have_spoken_since(age_s: float, alarmed: bool) -> None:
    """The destination's "absent" from before the switch-over, beside the source's from after it, is no loss."""
    facts = tuple(VisitedState(number=1, epoch=1, phase="transfer", dom="absent") for _ in range(2))
    snapshot = server.snapshot_of(op(L, "transfer"), facts, (True, True))
    names = [snapshot.operation.source or "", snapshot.operation.destination or ""]
    found = decide(replace(snapshot, ages={names[0]: age_s, names[1]: 40.0}))
    assert any(line.type == "alarm" for line in found.timeline) == alarmed


OWED = [
    (("start", "copy"), True, True, "start"),
    (("start", "copy"), "back", True, "start"),
    (("start", "copy"), "fenced", True, None),
    (("start", "copy"), True, False, None),
    (("copy",), True, True, None),
]


@pytest.mark.parametrize(("owed", "there", "locks_instance", "after"), OWED)
def test_a_host_back_from_the_dead_ends_its_guest_before_the_source_starts_it(
    owed: tuple[str, ...], there: server.View, locks_instance: bool, after: str | None
) -> None:
    now = op(M, "stop" if locks_instance else "copy", **BACK, owed=owed, locks_instance=locks_instance)
    found = plan(now, ups=(True, there))
    assert (found.phase, found.bump_epoch) == (after, after is not None)
    assert found.context == ({"owed": []} if after else {})


@pytest.mark.parametrize(("shared", "copied"), [(False, 1 << 30), (True, 0)])
def test_what_was_copied_is_counted_though_the_hypervisor_s_last_words_do_not(shared: bool, copied: int) -> None:
    """It copies disks before the memory, sometimes between two looks, and its last statistics know nothing of them."""
    facts = tuple(VisitedState(number=1, epoch=1, phase="transfer", dom=dom) for dom in ("absent", "running"))
    snapshot = server.snapshot_of(op(L, "transfer", shared=shared), facts, (True, True))
    disk = DiskFact(target="vda", path="/one", pool="local", exists=True, virtual_bytes=1 << 30)
    told = {"guest": {"storage": {}, "disks": [disk.model_dump()]}}
    operation = replace(snapshot.operation, context=snapshot.operation.context.updated(told))
    outcome = decide(replace(snapshot, operation=operation)).outcome or {}
    assert (outcome.get("disk_total_bytes"), outcome.get("disk_processed_bytes")) == (copied, copied)
