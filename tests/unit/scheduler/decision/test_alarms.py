"""An alarm is raised once the older of the two facts would have been replaced if it were no longer true."""

from dataclasses import replace

import pytest

from migrator.operations import Kind
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.snapshot import Snapshot
from tests.model import server
from tests.model.server import VisitedState
from tests.unit.scheduler.decision.deciding import UP, op

REPEATS, NEVER_REPEATS = 2, 1  # protocols


def lost(silent_s: float, told_s: float, protocol: int = REPEATS) -> Snapshot:
    """The source said 10 s ago that it has the guest no more, and the destination, a while before, that it has none.
    ``silent_s``: since the destination's agent polled; ``told_s``: since it told its fact last."""
    transfer = op(Kind.LIVE_MIGRATION, "transfer")
    gone = VisitedState(number=1, epoch=transfer.epoch, phase="transfer", dom="absent")
    found = server.snapshot_of(transfer, (gone, gone), UP)
    report = found.hosts["b"].report.model_copy(update={"protocol": protocol})
    hosts = {**found.hosts, "b": replace(found.hosts["b"], silent_s=silent_s, report=report)}
    return replace(found, hosts=hosts, ages={"a": 10.0, "b": 21.0}, told={"a": 10.0, "b": told_s})


@pytest.mark.parametrize(
    ("case", "raised"),
    [
        (lost(silent_s=1.0, told_s=1.0), True),
        (lost(silent_s=1.0, told_s=8.9), True),
        (lost(silent_s=5.0, told_s=1.0), False),  # it has not polled for long enough since
        (lost(silent_s=1.0, told_s=9.5), False),  # what it saw may be older than what the source saw
        (lost(silent_s=1.0, told_s=21.0), False),  # it polls, and the step that looks at the guest may hang
        (lost(silent_s=1.0, told_s=21.0, protocol=NEVER_REPEATS), True),
    ],
)
def test_an_instance_counts_as_lost_once_both_hosts_looked_after_the_newer_of_their_facts(
    case: Snapshot, raised: bool
) -> None:
    assert (decide(case).wait_reason or "").startswith("LOST") is raised
