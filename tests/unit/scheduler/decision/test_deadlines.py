"""A plan says when to look again, and a phase that outlasts its deadline is an alarm that names it."""

import math
from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import OPERATIONS, Kind
from migrator.scheduler.decision.deadlines import timed
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.operation_data import Steering
from migrator.scheduler.decision.snapshot import NOTHING, Plan, Snapshot
from migrator.scheduler.decision.transition import after
from tests.model import server
from tests.model.server import View
from tests.unit.scheduler.decision.deciding import BACK, RUNS, op

M, L = Kind.MIGRATION, Kind.LIVE_MIGRATION


def aged(kind: Kind, phase: str, age_s: float, *, view: View = True, **changes: Any) -> Snapshot:
    found = server.snapshot_of(op(kind, phase, **changes), (None, None), (view, view))
    return replace(found, operation=replace(found.operation, phase_age_s=age_s))


EVERY = [(kind, phase.name) for kind, table in OPERATIONS.items() for phase in table.phases if phase.deadline_s]


@pytest.mark.parametrize(("kind", "phase"), EVERY)
def test_every_phase_that_outlasts_its_deadline_is_an_alarm_once(kind: Kind, phase: str) -> None:
    row = OPERATIONS[kind].phase(phase)
    before = timed(aged(kind, phase, row.deadline_s - 5), row, NOTHING)
    assert before == NOTHING
    assert before.requeue_after is not None
    assert before.requeue_after <= 5.2
    late = aged(kind, phase, row.deadline_s)
    found = timed(late, row, NOTHING)
    (line,) = found.timeline
    assert line.type == "alarm"
    assert f"{kind} is in phase '{phase}' for more than {row.deadline_s:g} s" in line.message
    again = replace(late, operation=replace(after(late.operation, found), phase_age_s=row.deadline_s + 1))
    assert timed(again, row, NOTHING) == NOTHING


@pytest.mark.parametrize("plan", [Plan(phase="offer"), Plan(forward=False), Plan(final_status="error")])
def test_a_phase_that_is_left_is_overdue_no_more(plan: Plan) -> None:
    row = OPERATIONS[M].phase("stop")
    late = aged(M, "stop", row.deadline_s)
    known = replace(late, operation=after(late.operation, timed(late, row, NOTHING)))
    assert known.operation.context.overdue == "stop"
    assert after(known.operation, timed(known, row, plan)).context.overdue == ""


def test_the_alarm_names_what_is_undone_and_what_is_waited_for() -> None:
    waiting = aged(M, "stop", 1000, view=False, wait_reason="waiting for host a, which is silent", **BACK)
    (line,) = decide(waiting).timeline
    assert "undo stop" in line.message
    assert line.message.endswith("waiting for host a, which is silent")


def test_an_operator_may_take_any_time() -> None:
    assert decide(aged(M, "verify", 1e9)) == NOTHING
    assert decide(aged(M, "verify", 1e9)).requeue_after is None


def test_a_window_that_is_counted_is_looked_at_before_it_has_passed() -> None:
    found = decide(replace(aged(M, "verify", 1), confirm_window_s=60.0))
    assert found.requeue_after is not None
    assert found.requeue_after <= 10.2


@pytest.mark.parametrize(
    ("stalled_s", "steering", "limit_s", "due_s"),
    [
        (100.0, {}, 150, 50.0),
        (0.0, {}, 150, 150.0),
        (149.9, {}, 150, 1.0),
        (150.1, {}, 150, None),
        (100.0, {"held": True}, 150, None),
        (100.0, {"force": True}, 150, None),
        (100.0, {}, 0, None),
    ],
)
def test_a_stalled_transfer_is_looked_at_when_its_progress_timeout_passes(
    stalled_s: float, steering: dict[str, bool], limit_s: int, due_s: float | None
) -> None:
    found = aged(L, "transfer", 10)
    steered = replace(found.operation, steering=Steering.parse(steering))
    schedule = replace(found.schedule, progress_s=limit_s, completion_s=0)
    moved = replace(found, operation=steered, schedule=schedule, stalled_s=stalled_s)
    plan = timed(moved, OPERATIONS[L].phase("transfer"), NOTHING)
    expected = min(due_s if due_s is not None else math.inf, OPERATIONS[L].phase("transfer").deadline_s - 10)
    report_s = found.report_timeout_s - 10 if found.report_timeout_s else math.inf
    assert plan.requeue_after == pytest.approx(min(expected, report_s), abs=0.2)


def test_a_host_that_owes_a_report_is_asked_for_at_the_time_and_not_at_the_sweep() -> None:
    asked = replace(aged(M, "stop", 20), report_timeout_s=60.0)
    plan = decide(asked)
    assert plan.empty, "a time to look again is nothing that is written"
    assert plan.requeue_after == pytest.approx(40, abs=0.2)
    assert plan.requeue_after is not None
    told = decide(replace(asked, operation=replace(asked.operation, phase_age_s=20 + plan.requeue_after)))
    assert "no report on this step" in str(told.wait_reason)


def test_a_transfer_is_looked_at_when_its_time_is_over() -> None:
    moving = server.snapshot_of(
        op(L, "transfer"),
        tuple(server.VisitedState(1, 1, "transfer", **said) for said in (RUNS | {"job": True}, {"dom": "incoming"})),
        (True, True),
    )
    schedule = replace(moving.schedule, completion_s=800, progress_s=0)
    limit_s = decide(replace(moving, schedule=schedule)).requeue_after
    assert limit_s is not None
    over = replace(moving, schedule=schedule, operation=replace(moving.operation, phase_age_s=limit_s))
    found = decide(over)
    assert found.forward is False or found.steering == {"force": True}
