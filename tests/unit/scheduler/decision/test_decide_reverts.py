"""``decide`` on what turns back after its copy: which side is proven whole, and what is kept until one is."""

from typing import Any

import pytest

from migrator.operations import Actor, Kind
from migrator.scheduler.decision import proof
from migrator.scheduler.decision.completion import Progress
from tests.model import server
from tests.model.server import View, VisitedState
from tests.unit.scheduler.decision.deciding import BACK, GONE, OFF, RUNS, UP, letter, op, plan

M = Kind.MIGRATION

WHOLE, LOST = OFF | {"disk": True}, OFF
REVERTED = {"forward": False, "epoch": 2, "error": (("phase", "verify"), ("status", "reverted"))}


def test_a_revert_stops_nothing_before_the_source_has_shown_its_disks() -> None:
    now = op(M, "keep", **REVERTED)
    assert plan(now, WHOLE).phase == "start"
    waits = plan(now, ups=(False, True))
    assert waits.phase is None
    assert "confirm" in str(waits.wait_reason)


@pytest.mark.parametrize(("source", "view"), [(LOST, True), (WHOLE | {"problem": "final"}, True), (None, "fenced")])
def test_a_revert_whose_source_is_not_whole_ends_where_the_instance_is(source: Any, view: View) -> None:
    found = plan(op(M, "keep", **REVERTED), source, ups=(view, True))
    assert (found.phase, found.forward, found.bump_epoch) == ("verify", True, True)
    assert (found.cancel, found.effect) == (False, None)


def test_what_failed_to_start_beside_a_source_that_is_not_whole_is_recorded_where_its_copy_is() -> None:
    now = op(M, "keep", **BACK)
    found = plan(now, LOST)
    assert (found.phase, found.forward, found.context["power"]) == ("start", True, "shut_off")
    again = plan(now._replace(learnt=frozenset({"stayed"})), LOST)
    assert (again.phase, again.forward) == (None, None), "once"
    assert again.wait_reason


@pytest.mark.parametrize("actor", [Actor.SOURCE, Actor.DESTINATION])
def test_a_fact_that_leaves_a_disk_out_proves_nothing(actor: Actor) -> None:
    now = op(M, "keep", **REVERTED)
    fact = server.fact_of(VisitedState(1, now.epoch, now.phase, "shut_off", disk=True))
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
    assert "revert" in str(plan(now, ups=(True, False)).wait_reason)
    refused = plan(now, None, RUNS)
    assert (refused.phase, refused.confirm) == ("verify", False)
    assert letter(plan(now._replace(cancel=True), None, RUNS | {"disk": True})) == "R"


def test_what_is_owed_is_undone_in_order_when_its_host_is_back_and_only_then_released() -> None:
    now, ups = op(M, "copy", **BACK), (True, False)
    steps: list[str] = []
    while now.active and len(steps) < 20:
        facts: tuple[VisitedState | None, ...] = (
            VisitedState(1, now.epoch, now.phase, "running", disk=True),
            VisitedState(1, now.epoch, now.phase, "absent"),
        )
        found = server.plan_of(now, facts, ups)
        if found.empty or (found.phase is None and found.final_status is None):
            assert not now.locks_instance
            assert (now.phase, now.wait_reason) == ("keep", None) or "b" in str(found.wait_reason)
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
    assert (now.end, now.locks_instance) == ("error", False)
