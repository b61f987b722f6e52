"""The proof of a copy: what a host has to show, for how long it counts, and what follows where the source has none."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import OPERATIONS, Actor, Kind
from migrator.protocol import (
    JOURNAL_UNWRITABLE,
    SUPERSEDED,
    DiskFact,
    DomainFact,
    DomainState,
    Fact,
    GuestDescription,
    Problem,
)
from migrator.scheduler.decision import phase_judgement, proof
from migrator.scheduler.decision.completion import Progress
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.snapshot import Snapshot
from tests.model import server
from tests.model.server import View, VisitedState
from tests.unit.scheduler.decision.deciding import BACK, GONE, OFF, RUNS, UP, op, plan

M = Kind.MIGRATION
TABLE = OPERATIONS[M]
BYTES = 1 << 30
REVERTED = {"forward": False, "epoch": 2, "error": (("phase", "verify"), ("status", "reverted"))}
FREE = {"locks_instance": False, "owed": ("keep", "start")}
DISK = DiskFact(target="vda", path="/vda", pool="local", exists=True, virtual_bytes=BYTES, checksum="1")
NEWER = Problem(code=SUPERSEDED, message="it has served a newer one", final=True)


def copied(**changes: Any) -> Snapshot:
    """A cold move on its way back. Its disk was described, and had the checksum 1 at both ends."""
    now = op(M, "keep", **REVERTED | {"copied": (("vda", 1),)} | changes)
    seen = server.snapshot_of(now, (None, None), UP)
    guest = GuestDescription(disks=(DISK,)).model_dump(mode="json")
    return replace(seen, operation=replace(seen.operation, context=seen.operation.context.updated({"guest": guest})))


def fact(**disk: Any) -> Fact:
    shown = server.fact_of(VisitedState(1, 2, "keep", "shut_off"))
    return shown.model_copy(update={"disks": (DISK.model_copy(update=disk),)})


SHOWN = [
    (Actor.SOURCE, {}, {}, Progress.DONE, ""),
    (Actor.SOURCE, {}, {"exists": False}, Progress.FAILED, "vda is missing (/vda)"),
    (Actor.SOURCE, {}, {"virtual_bytes": BYTES - 1}, Progress.FAILED, f"vda has {BYTES - 1} bytes, and had {BYTES}"),
    (Actor.DESTINATION, {}, {"virtual_bytes": BYTES + 1, "checksum": "2"}, Progress.DONE, ""),
    (Actor.SOURCE, {}, {"checksum": "2"}, Progress.FAILED, "vda is 2, and 1 was copied"),
    (Actor.SOURCE, {}, {"checksum": None}, Progress.PENDING, ""),
    (Actor.SOURCE, {"locks_instance": False}, {"checksum": "2"}, Progress.DONE, ""),
    (Actor.DESTINATION, {}, {"checksum": None}, Progress.DONE, ""),
]


@pytest.mark.parametrize(("actor", "row", "disk", "progress", "message"), SHOWN)
def test_a_copy_is_whole_as_it_was_copied_and_later_as_its_guest_has_left_it(
    actor: Actor, row: Mapping[str, Any], disk: Mapping[str, Any], progress: Progress, message: str
) -> None:
    found = proof.judge_whole(copied(**row), actor, fact(**disk))
    assert (found.progress, found.message) == (progress, message)


def test_a_host_that_cannot_note_what_it_is_asked_has_said_nothing_of_its_disks() -> None:
    full = Problem(code=JOURNAL_UNWRITABLE, message="no space left", final=True)
    for problem, progress in ((full, Progress.PENDING), (full.model_copy(update={"code": "x"}), Progress.FAILED)):
        found = proof.judge_whole(copied(), Actor.SOURCE, fact().model_copy(update={"problem": problem}))
        assert found.progress is progress


def lapsed(
    ups: tuple[View, ...] = UP, age_s: float = 0.0, name: str = "attest", locks_instance: bool = True, **seen: Any
) -> bool:
    found = server.snapshot_of(op(M, "cleanup", locks_instance=locks_instance), (None, None), ups)
    found = replace(found, operation=replace(found.operation, phase_age_s=age_s), **seen)
    return proof.lapsed(found, TABLE, TABLE.phase("cleanup"), name)


def test_a_proof_counts_for_a_while_and_while_its_host_is_heard() -> None:
    assert not lapsed(age_s=proof.GOOD_FOR_S)
    assert lapsed(age_s=proof.GOOD_FOR_S + 1)
    assert lapsed((True, False))
    assert not lapsed((True, False), name="")


def test_what_is_deleted_or_lives_elsewhere_needs_no_proof() -> None:
    assert lapsed((True, False), locks_instance=False, record_host="b")
    assert not lapsed((True, False), locks_instance=False, record_host="c")
    assert not lapsed((True, False), locks_instance=False, record_host="b", deleted=True)
    for locks_instance in (True, False):
        assert not lapsed((True, False), locks_instance=locks_instance, record_host="b", deleting=True)


@pytest.mark.parametrize(
    ("failed", "learnt", "stays"),
    [
        ("copy", (), False),
        ("start", (), True),
        ("start", ("stayed",), False),
        ("verify", ("stayed",), True),
    ],
)
def test_an_instance_stays_where_its_copy_was_proven_and_once_only_where_it_never_ran(
    failed: str, learnt: tuple[str, ...], stays: bool
) -> None:
    now = op(M, "keep", **BACK | {"error": (("phase", failed), ("status", "error")), "learnt": frozenset(learnt)})
    assert proof.may_stay(server.snapshot_of(now, (None, None), UP)) is stays
    found = plan(now, OFF)
    assert (found.forward is True) == stays
    assert stays or "vda is missing" in str(found.wait_reason)


def test_an_instance_that_is_free_is_never_put_down_at_the_destination() -> None:
    found = plan(op(M, "keep", **BACK, **FREE), OFF)
    assert (found.phase, found.forward) == (None, None)
    assert "vda is missing" in str(found.wait_reason)


def test_an_instance_that_is_free_has_its_source_shown_while_the_destination_is_heard() -> None:
    now = op(M, "keep", **BACK, **FREE)
    silent = plan(now, OFF | {"disk": True}, ups=(True, False))
    assert (silent.phase, silent.wait_reason) == (None, "waiting for host b, which is silent")
    assert plan(now, OFF | {"disk": True}).phase == "start"


UNDOING = REVERTED | {"learnt": frozenset({"undoing"})}


def test_once_the_source_is_whole_the_destination_may_have_lost_its_copy() -> None:
    found = plan(op(M, "keep", **REVERTED), OFF | {"disk": True})
    assert (found.phase, found.context["undoing"]) == ("start", True)


def test_a_revert_is_not_called_off_once_the_destination_has_deleted_its_copy() -> None:
    found = plan(op(M, "keep", **UNDOING, confirm=True), OFF | {"disk": True}, GONE)
    assert (found.phase, found.forward) == ("start", None)


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        (None, "has not said what is left"),
        ({"dom": None, "disk": True}, "has not said what is left"),
        (GONE, "b has deleted vda: the instance cannot stay there"),
    ],
)
def test_an_instance_stays_only_where_the_destination_has_shown_what_is_left(destination: Any, message: str) -> None:
    now = op(M, "keep", **UNDOING)
    found = plan(now, None, destination, ups=("fenced", True))
    assert (found.phase, found.forward) == (None, None)
    assert message in str(found.wait_reason)
    assert plan(now, None, RUNS | {"disk": True}, ups=("fenced", True)).forward is True


def test_a_host_that_has_served_a_newer_operation_has_nothing_left_to_do_for_an_older_one() -> None:
    seen = copied(**FREE)
    newer = fact(exists=False).model_copy(update={"problem": NEWER, "served": 9})
    assert decide(replace(seen, facts={"a": newer})).phase == "start"
    running = newer.model_copy(update={"domain": DomainFact(state=DomainState.RUNNING)})
    for locks_instance, progress in ((False, Progress.DONE), (True, Progress.FAILED)):
        found = copied(locks_instance=locks_instance)
        assert phase_judgement.judge_done(found, TABLE.phase("stop"), running).progress is progress
        assert phase_judgement.judge_undone(found, TABLE.phase("copy"), running).progress is progress
