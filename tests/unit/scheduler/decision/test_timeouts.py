"""When a transfer has lasted too long, and what becomes of it."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import Kind
from migrator.scheduler.decision.assignments import assignments
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.downtime_steps import Schedule
from migrator.scheduler.decision.operation_data import Steering
from migrator.scheduler.decision.snapshot import NOTHING, MigrationOptions, Plan, Snapshot
from tests.model import server
from tests.model.server import VisitedState

USUAL = Schedule()
FORCE = Schedule(on_timeout="force_complete")
LATE, EARLY = 800 * 2 + 1, 800 * 2 - 1  # s: a small guest counts as 2 GiB


def transferring(
    *, age_s: float = 0, stalled_s: float = 0, schedule: Schedule = USUAL, steering: Any = None, **source: Any
) -> Snapshot:
    op = server.new(Kind.LIVE_MIGRATION, 1, 0, 1)._replace(phase="transfer", destination=1)
    ends: tuple[dict[str, Any], ...] = ({"dom": "running", "job": True} | source, {"dom": "incoming"})
    facts = tuple(VisitedState(number=1, epoch=op.epoch, phase=op.phase, **parts) for parts in ends)
    found = server.snapshot_of(op, facts, (True, True))
    operation = replace(found.operation, phase_age_s=age_s, steering=Steering.parse(steering or {}))
    return replace(found, operation=operation, stalled_s=stalled_s, schedule=schedule)


def turned(plan: Plan) -> tuple[bool | None, str | None]:
    return plan.forward, (plan.error or {}).get("code")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"age_s": EARLY}, (None, None)),
        ({"age_s": LATE}, (False, "completion_timeout")),
        ({"age_s": LATE, "schedule": Schedule(completion_s=0)}, (None, None)),
        ({"stalled_s": 149}, (None, None)),
        ({"stalled_s": 151}, (False, "progress_timeout")),
        ({"stalled_s": 151, "schedule": Schedule(progress_s=0)}, (None, None)),
        ({"stalled_s": 151, "steering": {"held": True}}, (None, None)),
        ({"age_s": LATE, "steering": {"held": True}}, (False, "completion_timeout")),
        ({"stalled_s": 151, "steering": {"force": True}}, (None, None)),
        ({"age_s": LATE, "steering": {"force": True}, "schedule": FORCE}, (None, None)),
        ({"age_s": 2 * LATE, "steering": {"force": True}, "schedule": FORCE}, (False, "completion_timeout")),
        ({"age_s": LATE, "dom": "paused", "reason": "postcopy"}, (None, None)),
        ({"age_s": LATE, "job": False}, (None, None)),
    ],
)
def test_what_is_aborted(given: dict[str, Any], expected: tuple[bool | None, str | None]) -> None:
    assert turned(decide(transferring(**given))) == expected


def test_an_abort_is_a_cancellation_that_says_why() -> None:
    error = decide(transferring(age_s=LATE)).error
    assert error is not None
    assert error["status"] == "cancelled"
    assert "1600 s (live_migration_completion_timeout)" in error["message"]


@pytest.mark.parametrize("given", [{"age_s": LATE}, {"stalled_s": 151}])
def test_or_its_end_is_forced_once(given: dict[str, Any]) -> None:
    plan = decide(transferring(schedule=FORCE, **given))
    assert (plan.forward, plan.steering) == (None, {"force": True})
    assert "its completion is forced" in plan.timeline[0].message
    again = decide(transferring(schedule=FORCE, steering={"force": True}, stalled_s=151))
    assert again == NOTHING


@pytest.mark.parametrize(
    ("steering", "expected"),
    [
        ({}, (7, 37, False)),
        ({"bandwidth_mib_s": 9}, (9, 37, False)),
        ({"bandwidth_mib_s": 0}, (0, 37, False)),
        ({"bandwidth_mib_s": 9, "held": True}, (1, 37, False)),
        ({"held": False}, (7, 37, False)),
        ({"max_downtime_ms": 3000, "force": True}, (7, 3000, True)),
    ],
)
def test_what_the_operator_wants_goes_before_the_settings(steering: Any, expected: tuple[int, int, bool]) -> None:
    found = transferring(steering=steering, schedule=Schedule(max_downtime_ms=400, delay_s=30))
    inputs = assignments(replace(found, migration_options=MigrationOptions(bandwidth_mib_s=7)))["a"].inputs
    assert (inputs["bandwidth_mib_s"], inputs["downtime_steps"][0][1], inputs["force"]) == expected
    assert inputs["downtime_steps"][-1] == ([0, 3000] if "max_downtime_ms" in steering else [600, 400])
