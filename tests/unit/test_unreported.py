"""A host that is heard and says nothing of a step: after a while that is the operation's reason for waiting."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import Kind
from migrator.scheduler.decide import decide
from migrator.scheduler.snapshot import NOTHING, Snapshot
from tests.model import server
from tests.model.server import Seen
from tests.unit.deciding import UP, op


def snapshot(*, told_s: float | None, age_s: float = 61.0, heard_s: float = 1e9, protocol: int = 2) -> Snapshot:
    """A guest that is asked to stop. ``told_s``: since its host's fact of this phase was told last; None: never."""
    stop = op(Kind.STOP, "stop")
    seen = Seen(number=1, epoch=stop.epoch, phase="stop", dom="running")
    found = server.snapshot_of(stop, (None if told_s is None else seen, None), UP)
    hosts = {
        name: replace(view, heard_s=heard_s, report=view.report.model_copy(update={"protocol": protocol}))
        for name, view in found.hosts.items()
    }
    told = {} if told_s is None else {next(iter(hosts)): told_s}
    operation = replace(found.operation, phase_age_s=age_s)
    return replace(found, operation=operation, hosts=hosts, told=told, report_timeout_s=60.0)


@pytest.mark.parametrize(
    ("case", "late"),
    [
        ({"told_s": None}, True),
        ({"told_s": None, "age_s": 59.0}, False),
        ({"told_s": None, "heard_s": 59.0}, False),
        ({"told_s": 61.0}, True),
        ({"told_s": 59.0}, False),
        ({"told_s": 61.0, "protocol": 1}, False),
    ],
)
def test_no_report_is_named_after_the_timeout_and_not_before(case: dict[str, Any], late: bool) -> None:
    found = snapshot(**case)
    source = found.operation.source
    plan = decide(found)
    reason = f"waiting for {source}: heard, but no report on this step for 60 s or more"
    assert plan.waiting == (reason if late else None)
    again = replace(found, operation=replace(found.operation, waiting=reason))
    assert (decide(again) == NOTHING) is late, "said once; and taken back when it reports again"


def test_without_a_timeout_nothing_is_said() -> None:
    assert decide(replace(snapshot(told_s=None), report_timeout_s=0.0)) == NOTHING
