"""What is decided, and asked of hosts, while something outside of the operation has to be known first."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import Kind
from migrator.scheduler.decision.assignments import assignments
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.snapshot import Snapshot
from tests.model import server
from tests.model.server import Op, VisitedState
from tests.unit.scheduler.decision.deciding import BACK, op

L = Kind.LIVE_MIGRATION
DISPUTE = "c has a copy whose stamp is newer than the record"


def asked(op: Op, source: VisitedState | None = None, destination: VisitedState | None = None) -> Snapshot:
    return server.snapshot_of(op, (source, destination), (True, True))


def test_a_deletion_does_not_go_on_while_a_host_reports_a_copy() -> None:
    snapshot = asked(op(Kind.DELETE, "elsewhere"))
    assert decide(snapshot).phase == "release"
    held = decide(replace(snapshot, copies=(("c", "running"),)))
    assert (held.phase, held.effect) == (None, None)
    assert "a copy of the instance is reported by c (running)" in str(held.wait_reason)


def test_nothing_is_done_while_the_description_of_a_host_cannot_be_read() -> None:
    snapshot = asked(op(L, "check"), None, VisitedState(1, 1, "check", "absent"))
    assert (decide(snapshot).phase, set(assignments(snapshot))) == ("prepare", {"b"})
    unread = replace(snapshot.hosts["b"], unreadable="its description has a word that is not known")
    held = replace(snapshot, hosts={**snapshot.hosts, "b": unread})
    assert decide(held).phase is None
    assert decide(held).wait_reason == "waiting for host b: its description has a word that is not known"
    assert assignments(held) == {}


@pytest.mark.parametrize("attempt", [None, "none"])
def test_a_transfer_does_not_begin_while_it_is_disputed_which_copy_is_the_right_one(attempt: str | None) -> None:
    snapshot = asked(op(L, "transfer"), VisitedState(1, 1, "transfer", "running", attempt=attempt))
    assert set(assignments(snapshot)) == {"a", "b"}
    held = replace(snapshot, disputed=DISPUTE)
    assert assignments(held) == {}
    assert str(decide(held).wait_reason).startswith(DISPUTE)


@pytest.mark.parametrize("changes", [{}, BACK])
def test_a_transfer_that_libvirt_has_begun_comes_to_its_end_whatever_is_disputed(changes: dict[str, Any]) -> None:
    moving = op(L, "transfer", **changes)
    snapshot = asked(moving, VisitedState(1, moving.epoch, "transfer", "running", job=True, attempt="running"))
    disputed = replace(snapshot, disputed=DISPUTE)
    assert assignments(disputed) == assignments(snapshot)
    assert set(assignments(disputed)) == {"a", "b"}
