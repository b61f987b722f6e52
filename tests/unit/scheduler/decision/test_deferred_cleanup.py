"""What ``decide`` and ``assignments`` make of an operation that no longer holds its instance, and of a lost host that
is back before its instance was started elsewhere."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import Effect, Kind
from migrator.protocol import Ensure
from migrator.scheduler.decision.assignments import assignments
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.snapshot import NOTHING
from tests.model import server
from tests.model.server import Op, View
from tests.unit.scheduler.decision.deciding import GONE, RUNS, op, plan

L = Kind.LIVE_MIGRATION
MOVED = {"dom": "shut_off", "reason": "migrated"}


def owing(kind: Kind, phase: str, *owed: str) -> Op:
    error = (("code", "host_fenced"), ("message", "b is lost"), ("status", "failed"))
    return op(kind, phase, forward=False, epoch=2, locks_instance=False, owed=owed, error=error)


@pytest.mark.parametrize("source", [MOVED, GONE, RUNS, None])
def test_where_the_instance_went_since_is_no_verdict_on_a_live_migration_undone(source: Any) -> None:
    """It may have moved on to a third host, or be deleted: what is owed is cleaned all the same."""
    found = plan(owing(L, "prepare", "prepare", "claim"), source, GONE)
    assert (found.phase, found.forward, found.effect, found.wait_reason) == ("claim", None, None, None)


def test_the_claim_of_what_was_owed_is_released_last() -> None:
    found = plan(owing(L, "claim", "prepare", "claim"), MOVED, GONE)
    assert (found.final_status, found.effect) == ("failed", Effect.RELEASE_DESTINATION)


def test_an_instance_that_arrived_does_not_wait_for_a_source_that_is_fenced() -> None:
    found = plan(op(L, "cleanup", shared=True), ups=("fenced", True))
    assert (found.locks_instance, found.phase, found.forward, found.final_status) == (False, None, None, None)
    assert str(found.wait_reason).startswith("waiting for host a")
    again = op(L, "cleanup", shared=True, locks_instance=False, wait_reason=found.wait_reason)
    assert plan(again, ups=("fenced", True)) == NOTHING
    assert plan(again, GONE).phase == "release"


def test_what_a_silent_source_would_delete_is_proven_anew_when_it_is_back() -> None:
    shown = RUNS | {"disk": True}
    for view, locks_instance in ((False, None), ("fenced", False)):
        found = plan(op(L, "cleanup"), None, shown, ups=(view, True))
        assert (found.phase, found.bump_epoch, found.locks_instance) == ("attest", True, locks_instance)
        assert str(found.wait_reason).startswith("waiting for host a")
        waits = op(L, "attest", epoch=2, locks_instance=locks_instance is None, wait_reason=found.wait_reason)
        assert plan(waits, None, shown, ups=(view, True)) == NOTHING
        assert plan(waits, None, shown | {"epoch": 1}).phase is None
        assert plan(waits, None, shown).phase == "cleanup"


@pytest.mark.parametrize(
    ("phase", "view", "after"),
    [
        ("attest", True, "cleanup"),
        ("attest", False, None),
        ("attest", "fenced", None),
        ("cleanup", True, None),
        ("cleanup", False, "attest"),
        ("cleanup", "fenced", "attest"),
    ],
)
def test_a_deletion_needs_no_proof_and_is_not_sent_to_and_fro_while_the_source_is_silent(
    phase: str, view: View, after: str | None
) -> None:
    snapshot = server.snapshot_of(op(L, phase), (None, None), (view, True))
    assert decide(replace(snapshot, deleting=True)).phase == after


def test_no_proof_is_asked_for_where_the_hosts_share_every_disk() -> None:
    assert plan(op(L, "commit", shared=True)).phase == "cleanup"


@pytest.mark.parametrize("ups", [("fenced", True), (True, "fenced")])
def test_an_instance_that_arrived_is_free_while_its_copy_cannot_be_proven_for_a_host_is_lost(ups: Any) -> None:
    found = plan(op(L, "attest"), ups=ups)
    assert (found.locks_instance, found.phase, found.final_status) == (False, None, None)


E = Kind.EVACUATION


@pytest.mark.parametrize("phase", ["rebuild"])
@pytest.mark.parametrize("said", [None, {"dom": None}])
def test_a_lost_host_that_is_heard_again_is_asked_before_the_instance_is_started_elsewhere(
    phase: str, said: Any
) -> None:
    """That it ran nothing was believed of a silent host. Now it speaks, and has not said yet what it runs."""
    rebuilt = GONE | {"disk": True}
    for view in (True, "back"):
        found = plan(op(E, phase), said, rebuilt, ups=(view, True))
        assert (found.phase, found.forward) == (None, None)
        assert str(found.wait_reason).startswith("a is back")
    assert plan(op(E, phase), said, rebuilt, ups=("fenced", True)).phase == "start"
    assert plan(op(E, phase), {"dom": "shut_off"}, rebuilt, ups=("back", True)).phase == "start"
    assert plan(op(E, phase), RUNS, rebuilt, ups=("back", True)).forward is False


def test_a_host_that_is_back_in_service_is_not_made_to_stop_its_guests() -> None:
    """Silent for a minute and never declared dead: its instances are not taken from it."""
    found = plan(op(E, "fence"), ups=(True, True))
    assert (found.forward, found.error and found.error["code"]) == (False, "source_is_back")
    assert ordered(op(E, "fence"), "a").ensure is Ensure.OBSERVED
    declared_dead = op(E, "fence", shared=True)
    assert plan(declared_dead, ups=("back", True)).forward is None, "its word is waited for"
    assert ordered(declared_dead, "a", "back").ensure is Ensure.NOT_RUNNING


def test_a_host_that_answers_does_not_stop_a_guest_whose_disks_it_alone_has() -> None:
    """The operator who declared it dead was wrong, and a new disk is no guest."""
    found = plan(op(E, "fence"), ups=("back", True))
    assert (found.forward, found.error and found.error["code"]) == (False, "source_is_back")
    assert ordered(op(E, "fence"), "a", "back").ensure is Ensure.OBSERVED


def ordered(operation: Op, host: str, source: View = True) -> Any:
    """The assignment that the host gets; ``source``: how that one is."""
    return assignments(server.snapshot_of(operation, (None, None), (source, True)))[host]


def test_what_an_evacuation_started_in_vain_is_not_asked_to_stop() -> None:
    """Its instance runs where it was: this copy must end before it writes."""
    assert ordered(op(E, "start", forward=False, epoch=2), "b").inputs["soft"] is False


@pytest.mark.parametrize("kind", [Kind.MIGRATION, Kind.RESIZE])
def test_a_copy_that_is_owed_is_not_asked_to_stop_nor_saved(kind: Kind) -> None:
    """The instance lives elsewhere by now, and so does its memory."""
    late = owing(kind, "start", "start", "copy", "claim")._replace(shared=True, power="saved")
    found = ordered(late, "b")
    assert (found.ensure, found.inputs["soft"]) == (Ensure.NOT_RUNNING, False)
    early = late._replace(locks_instance=True, owed=())
    assert ordered(early, "b").ensure is Ensure.SUSPENDED
    assert ordered(early._replace(power="running"), "b").inputs["soft"] is True
