"""What ``decide`` and ``assignments`` make of an operation that no longer holds its instance, and of a lost host that
is back before its instance was started elsewhere."""

from typing import Any

import pytest

from migrator.operations import Effect, Kind
from migrator.scheduler.snapshot import NOTHING
from tests.model.server import Op
from tests.unit.test_decide import GONE, RUNS, op, plan

L = Kind.LIVE_MIGRATION
MOVED = {"dom": "shut_off", "reason": "migrated"}


def owing(kind: Kind, phase: str, *owed: str) -> Op:
    error = (("code", "host_fenced"), ("message", "b is lost"), ("status", "failed"))
    return op(kind, phase, forward=False, epoch=2, holds=False, owed=owed, error=error)


@pytest.mark.parametrize("source", [MOVED, GONE, RUNS, None])
def test_where_the_instance_went_since_is_no_verdict_on_a_live_migration_undone(source: Any) -> None:
    """It may have moved on to a third host, or be deleted: what is owed is cleaned all the same."""
    found = plan(owing(L, "prepare", "prepare", "claim"), source, GONE)
    assert (found.phase, found.forward, found.effect, found.waiting) == ("claim", None, None, None)


def test_the_claim_of_what_was_owed_is_released_last() -> None:
    found = plan(owing(L, "claim", "prepare", "claim"), MOVED, GONE)
    assert (found.end, found.effect) == ("failed", Effect.RELEASE_DESTINATION)


def test_an_instance_that_arrived_does_not_wait_for_a_source_that_is_fenced() -> None:
    found = plan(op(L, "cleanup"), ups=("fenced", True))
    assert (found.holds, found.phase, found.forward, found.end) == (False, None, None, None)
    assert str(found.waiting).startswith("waiting for host a")
    again = op(L, "cleanup", holds=False, waiting=found.waiting)
    assert plan(again, ups=("fenced", True)) == NOTHING
    assert plan(again, GONE).phase == "release"
