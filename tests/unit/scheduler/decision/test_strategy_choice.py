"""What measurements and settings mean for a transfer: what it is begun with, what is said, and what is changed."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import Kind
from migrator.protocol import JobFact, Measurement
from migrator.scheduler.decision import strategy_choice
from migrator.scheduler.decision.assignments import assignments
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.operation_data import Context, Steering
from migrator.scheduler.decision.snapshot import MigrationOptions, Plan, Snapshot
from tests.model import server
from tests.model.server import Op, VisitedState
from tests.unit.scheduler.checks.placed import snapshot
from tests.unit.scheduler.decision.deciding import op

AUTO = MigrationOptions(strategy="auto", auto_converge=True, post_copy=True)
MEASURED = Measurement(dirty_mib_s=12, memory_mib=400, link_mib_s=100)


def planning(means: MigrationOptions = AUTO, reached: float | None = None, **steering: Any) -> Snapshot:
    found = snapshot(Kind.LIVE_MIGRATION, "measure")
    operation = replace(found.operation, steering=Steering.parse(steering))
    return replace(found, operation=operation, migration_options=means, reached_mib_s=reached)


@pytest.mark.parametrize(
    ("limit", "reached", "link", "expected"),
    [
        (0, None, None, (None, "nobody")),
        (0, None, 100, (100, "the link's speed")),
        (0, 70.0, 100, (70, "earlier transfers")),
        (8, None, None, (8, "live_migration_bandwidth")),
        (8, None, 100, (8, "live_migration_bandwidth")),
        (80, 70.0, 100, (70, "earlier transfers")),
        (60, 70.0, 100, (60, "live_migration_bandwidth")),
    ],
)
def test_what_the_network_gives(limit: int, reached: float | None, link: int | None, expected: Any) -> None:
    found = planning(replace(AUTO, bandwidth_mib_s=limit), reached)
    bandwidth = strategy_choice.bandwidth_of(found, MEASURED.model_copy(update={"link_mib_s": link}))
    assert (bandwidth.mib_s, bandwidth.source) == expected


def test_the_choice_is_kept_with_what_it_was_made_from() -> None:
    record, line = strategy_choice.chosen(planning(replace(AUTO, bandwidth_mib_s=8)), MEASURED)
    assert (record["chosen"], record["bandwidth_by"]) == ("post-copy", "live_migration_bandwidth")
    assert record["measured"] == MEASURED.model_dump(exclude_none=True)
    assert record["predicted_total_ms"] == 54_050  # 400 MiB at 8, and then all of them at the link's 100 MiB/s
    assert line.message.startswith("post-copy, predicted 54.0 s with 50 ms of downtime: the guest writes 12 MiB/s")


@pytest.mark.parametrize(
    ("dirty", "grain", "expected"),
    [
        (1, 0.0, "post-copy"),  # all pages were looked at: 12 % of the bandwidth are too many to wait for
        (1, 2 / 3, "pre-copy"),  # one page or two of 192, as of any guest at rest
        (2, 2 / 3, "pre-copy"),
        (4, 2 / 3, "pre-copy"),
        (6, 2 / 3, "post-copy"),
        (12, 2 / 3, "post-copy"),
    ],
)
def test_a_few_pages_of_a_small_sample_are_no_reason_for_more(dirty: int, grain: float, expected: str) -> None:
    measured = Measurement(dirty_mib_s=dirty, sample_resolution_mib_s=grain, memory_mib=96, link_mib_s=1000)
    means = replace(AUTO, bandwidth_mib_s=8)
    record, line = strategy_choice.chosen(planning(means), measured)
    assert record["chosen"] == expected
    assert ("of so small a sample it may be no more than" in line.message) == (grain > 0 and expected == "pre-copy")
    assert (record["predicted_total_ms"] or 0) >= 12_000


@pytest.mark.parametrize(
    ("measurement", "message"),
    [
        (Measurement(message="not supported"), "how fast the guest writes its memory is not known (not supported)"),
        (Measurement(dirty_mib_s=3), "what the network gives is not known"),
    ],
)
def test_what_is_not_known_is_not_guessed(measurement: Measurement, message: str) -> None:
    record, line = strategy_choice.chosen(planning(), measurement)
    assert record["chosen"] == "pre-copy"
    assert "predicted_total_ms" not in record
    assert line.message == f"pre-copy: {message}: nothing is predicted"


PERMITS = {"auto_converge": True, "post_copy": True}


@pytest.mark.parametrize(
    ("means", "record", "expected"),
    [
        ({}, None, (False, 0, False, 0)),
        (PERMITS, None, (True, 0, True, 0)),
        ({"strategy": "pre-copy", **PERMITS}, None, (False, 0, True, 0)),
        ({"strategy": "auto-converge", **PERMITS}, None, (True, 0, True, 0)),
        ({"strategy": "post-copy", **PERMITS}, None, (False, 0, True, 1)),
        ({"strategy": "auto", **PERMITS}, {"chosen": "pre-copy"}, (True, 0, True, 0)),
        ({"strategy": "auto", **PERMITS}, {"chosen": "auto-converge", "initial_percent": 60}, (True, 60, True, 0)),
        ({"strategy": "auto", **PERMITS}, {"chosen": "post-copy"}, (False, 0, True, 1)),
        ({"strategy": "auto"}, {"chosen": "pre-copy"}, (False, 0, False, 0)),
    ],
)
def test_what_a_transfer_is_begun_with(means: Any, record: Any, expected: tuple[bool, int, bool, int]) -> None:
    found = snapshot(Kind.LIVE_MIGRATION, "transfer", learnt={"strategy": record} if record else {})
    inputs = assignments(replace(found, migration_options=MigrationOptions(**means)))["a"].inputs
    names = ("auto_converge", "auto_converge_initial", "post_copy", "post_copy_after")
    assert tuple(inputs[name] for name in names) == expected


def flying(record: Any = None, means: MigrationOptions = AUTO, steering: Any = None, **counted: Any) -> Plan:
    """What becomes of a transfer that has these counters: 30 MiB left, written at 12 MiB/s against 8."""
    op = server.new(Kind.LIVE_MIGRATION, 1, 0, 1)._replace(phase="transfer", destination=1)
    found = _seen(op)
    mib = 2**20
    counters = {"iterations": 2, "memory_total_bytes": 64 * mib, "memory_remaining_bytes": 30 * mib, "elapsed_ms": 8000}
    counters |= {"bytes_per_s": 8 * mib, "dirty_pages_per_s": 12 * 256, "throttle_percent": None} | counted
    job = JobFact.model_validate({"active": True, **counters})
    facts = {"a": found.facts["a"].model_copy(update={"job": job}), "b": found.facts["b"]}
    context = {"strategy": record} if record else {}
    operation = replace(found.operation, steering=Steering.parse(steering or {}), context=Context.parse(context))
    return decide(replace(found, facts=facts, operation=operation, migration_options=means))


def _seen(op: Op) -> Snapshot:
    ends: tuple[dict[str, Any], ...] = ({"dom": "running", "job": True}, {"dom": "incoming"})
    facts = tuple(VisitedState(number=1, epoch=op.epoch, phase=op.phase, **parts) for parts in ends)
    return server.snapshot_of(op, facts, (True, True))


def test_what_does_not_get_there_goes_on_by_post_copy() -> None:
    plan = flying({"chosen": "pre-copy"})
    assert plan.steering == {"force": True}
    assert plan.context["strategy"]["changed_to"] == "post-copy"
    assert plan.timeline[0].message.startswith("post-copy instead of pre-copy: 30 MiB left, written at 12 MiB/s")


@pytest.mark.parametrize(
    "given",
    [
        {"record": None},
        {"record": {"chosen": "post-copy"}},
        {"means": replace(AUTO, post_copy=False)},
        {"steering": {"held": True}},
        {"steering": {"force": True}},
        {"steering": {"max_downtime_ms": 9000}},
        {"iterations": 1},
        {"disk_remaining_bytes": 5},
        {"bytes_per_s": None},
        {"dirty_pages_per_s": 10},
        {"memory_remaining_bytes": 2**16, "dirty_pages_per_s": 100},
    ],
)
def test_and_what_does_or_is_not_known_to_stays(given: dict[str, Any]) -> None:
    plan = flying(**({"record": {"chosen": "pre-copy"}} | given))
    assert (plan.steering, plan.context) == ({}, {})


def test_at_the_end_both_are_told() -> None:
    record = {"chosen": "pre-copy", "predicted_total_ms": 9000, "predicted_downtime_ms": 60}
    found = planning()
    operation = replace(
        found.operation, context=Context.parse({"strategy": record}), outcome={"elapsed_ms": 9876, "downtime_ms": 71}
    )
    (line,) = strategy_choice.forecast_vs_actual(replace(found, operation=operation))
    assert line.message == "pre-copy took 9.9 s with 71 ms of downtime; predicted 9.0 s with 60 ms"
    assert strategy_choice.forecast_vs_actual(found) == ()


def test_only_auto_measures() -> None:
    checked = _seen(server.new(Kind.LIVE_MIGRATION, 1, 0, 1)._replace(phase="check", destination=1))
    assert (decide(checked).phase, decide(replace(checked, migration_options=AUTO)).phase) == ("prepare", "measure")


@pytest.mark.parametrize(("began_with", "permitted"), [(False, True), (True, False), (True, True)])
def test_post_copy_that_is_permitted_on_the_way_is_for_later_transfers(began_with: bool, permitted: bool) -> None:
    """One that was not prepared for post-copy would refuse it, look after look, and never be forced to its end."""
    found = snapshot(Kind.LIVE_MIGRATION, "transfer", learnt={"post_copy": began_with})
    found = replace(found, migration_options=MigrationOptions(post_copy=permitted))
    assert assignments(found)["a"].inputs["post_copy"] is (began_with and permitted)


def test_what_is_permitted_is_kept_when_the_transfer_is_about_to_begin() -> None:
    made = VisitedState(number=1, epoch=1, phase="prepare", dom="absent", disk=True)
    begun = server.snapshot_of(op(Kind.LIVE_MIGRATION, "prepare"), (None, made), (True, True))
    for permitted in (True, False):
        assert (
            decide(replace(begun, migration_options=MigrationOptions(post_copy=permitted))).context["post_copy"]
            is permitted
        )
