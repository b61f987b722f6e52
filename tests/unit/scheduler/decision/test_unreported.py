"""A host that is heard and says nothing of a step: after a while that is the operation's reason for waiting."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import Kind
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.snapshot import NOTHING, Liveness, Snapshot
from migrator.scheduler.decision.unreported import named
from tests.model import server
from tests.model.server import VisitedState
from tests.unit.scheduler.decision.deciding import UP, op

LATE = "waiting for a: heard, but no report on this step for 60 s or more"
RUNS = "a: its domain is running"


def snapshot(*, told_s: float | None, age_s: float = 61.0, heard_s: float = 1e9, protocol: int = 2) -> Snapshot:
    """A guest that is asked to stop. ``told_s``: since its host's fact of this phase was told last; None: never."""
    stop = op(Kind.STOP, "stop")
    seen = VisitedState(number=1, epoch=stop.epoch, phase="stop", dom="running")
    found = server.snapshot_of(stop, (None if told_s is None else seen, None), UP)
    hosts = {
        name: replace(view, heard_s=heard_s, report=view.report.model_copy(update={"protocol": protocol}))
        for name, view in found.hosts.items()
    }
    told = {} if told_s is None else {next(iter(hosts)): told_s}
    operation = replace(found.operation, phase_age_s=age_s)
    return replace(found, operation=operation, hosts=hosts, told=told, report_timeout_s=60.0)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"told_s": None}, LATE),
        ({"told_s": None, "age_s": 59.0}, None),
        ({"told_s": None, "heard_s": 59.0}, None),
        ({"told_s": 61.0}, LATE),
        ({"told_s": 59.0, "age_s": 59.0}, None),
        ({"told_s": 59.0}, RUNS),
        ({"told_s": 61.0, "protocol": 1}, RUNS),
    ],
)
def test_a_step_that_is_not_done_has_a_reason_after_the_timeout_and_not_before(
    case: dict[str, Any], reason: str | None
) -> None:
    found = snapshot(**case)
    assert decide(found).wait_reason == reason
    for said in (LATE, RUNS):
        again = replace(found, operation=replace(found.operation, wait_reason=said))
        assert decide(again).wait_reason == (None if said == reason else reason or ""), "said once, and taken back"


def test_what_a_host_notes_is_the_reason() -> None:
    found = snapshot(told_s=1.0)
    facts = {host: fact.model_copy(update={"note": "asked the guest"}) for host, fact in found.facts.items()}
    assert decide(replace(found, facts=facts)).wait_reason == "a: asked the guest"


def test_a_host_that_says_nothing_does_not_take_the_place_of_another_reason() -> None:
    """The two would follow each other for ever, and each is a line of the timeline."""
    cleanup = op(Kind.LIVE_MIGRATION, "cleanup", locks_instance=True)
    told = VisitedState(number=1, epoch=cleanup.epoch, phase="cleanup", dom=None, problem="transient")
    found = server.snapshot_of(cleanup, (told, None), UP)
    found = replace(found, operation=replace(found.operation, phase_age_s=61.0), report_timeout_s=60.0)
    found = replace(found, hosts={name: replace(view, heard_s=1e9) for name, view in found.hosts.items()})
    plan = decide(found)
    assert plan.wait_reason == "a: it did not work"
    assert decide(replace(found, operation=replace(found.operation, wait_reason=plan.wait_reason))) == NOTHING


def test_without_a_timeout_nothing_is_said() -> None:
    assert decide(replace(snapshot(told_s=None), report_timeout_s=0.0)) == NOTHING


def test_a_host_that_is_silent_is_not_said_to_be_heard() -> None:
    found = snapshot(told_s=None)
    silent = {name: replace(view, liveness=Liveness.SILENT) for name, view in found.hosts.items()}
    assert named(found, NOTHING).wait_reason == LATE
    assert named(replace(found, hosts=silent), NOTHING) == NOTHING


def test_a_step_that_takes_its_time_has_no_reason_while_its_host_tells_of_it() -> None:
    transfer = op(Kind.LIVE_MIGRATION, "transfer")
    told = VisitedState(number=1, epoch=transfer.epoch, phase="transfer", dom="running", job=True)
    found = server.snapshot_of(transfer, (told, told), UP)
    hosts = {name: replace(view, heard_s=1e9) for name, view in found.hosts.items()}
    operation = replace(found.operation, phase_age_s=61.0)
    found = replace(found, operation=operation, hosts=hosts, told={"a": 1.0, "b": 1.0}, report_timeout_s=60.0)
    assert named(found, NOTHING) == NOTHING
