"""Rules of docs/design.md that every row keeps: what the grids say of single phases is held against them."""

import re
from pathlib import Path

import pytest

from migrator.operations import OPERATIONS, Actor, Deferral, Effect, End, Kind, Loss, Operation, Phase
from migrator.protocol import Ensure
from migrator.protocol.vocabulary import HARMLESS

_CODE = Path(__file__).parents[3] / "migrator"
_DESTROYS = {Ensure.ABSENT, Ensure.SET_ASIDE}
ROWS = [
    pytest.param(table, phase, id=f"{table.kind}-{phase.name}")
    for table in OPERATIONS.values()
    for phase in table.phases
]
EVERY_ROW = pytest.mark.parametrize(("table", "phase"), ROWS)


@EVERY_ROW
def test_a_phase_is_harmless_exactly_if_its_host_only_looks(table: Operation, phase: Phase) -> None:
    assert phase.harmless == (phase.do in HARMLESS), table.kind


@EVERY_ROW
def test_a_copy_goes_only_past_the_proof_of_another_that_stays(table: Operation, phase: Phase) -> None:
    """Rules 2 and 11. A deletion leaves none, and an evacuation's stray files are put aside."""
    assert (phase.do in _DESTROYS) == (phase.destroys is not Loss.NOTHING)
    if phase.destroys is not Loss.NOTHING:
        assert not table.reversible(phase.name)
    if phase.destroys is Loss.COPY:
        assert table.phase(phase.proof).end is End.PROOF
        assert table.index(phase.proof) == table.index(phase.name) - 1
    if phase.destroys is Loss.STRAY:
        assert phase.do is Ensure.SET_ASIDE
    if Loss.ALL in (phase.destroys, phase.undo_destroys):
        assert table.kind in (Kind.BUILD, Kind.DELETE)


@EVERY_ROW
def test_an_undo_destroys_at_most_what_its_own_phase_made_at_the_destination(table: Operation, phase: Phase) -> None:
    """Rules 2 and 3. Where the guest was stopped first, nothing goes before the source has proven its disks."""
    limits = {Ensure.ABSENT: (Loss.COPY, Loss.ALL), Ensure.NOT_RUNNING: (Loss.GUEST,)}
    undo = phase.undo if isinstance(phase.undo, Ensure) else Ensure.OBSERVED
    assert phase.undo_destroys in limits.get(undo, (Loss.NOTHING,))
    if phase.undo_destroys is not Loss.NOTHING:
        assert phase.actor is Actor.DESTINATION
        assert table.reversible(phase.name)
        assert bool(phase.undo_proof) == bool(table.stopped_by)
    if phase.undo_proof:
        assert table.phase(phase.undo_proof).undo_end is End.PROOF
        assert table.phase(phase.undo_proof).actor is Actor.SOURCE


@EVERY_ROW
def test_an_undo_that_is_put_off_for_silence_is_of_a_phase_that_runs_nothing(table: Operation, phase: Phase) -> None:
    """Rule 1: a host that may run the guest is known to be fenced first."""
    if phase.undo_deferrable is Deferral.SILENT:
        assert phase.do in (Ensure.COPIED, Ensure.REBUILT), table.kind
    if phase.do in (Ensure.POWERED, Ensure.RUNNING) and phase.undo is not None:
        assert phase.undo_deferrable is Deferral.FENCED


@EVERY_ROW
def test_another_host_is_tried_only_by_a_destination_that_has_not_run_the_guest(table: Operation, phase: Phase) -> None:
    """A guest that is built has no data yet, so that one may fail to start."""
    if phase.reschedule_on_failure:
        assert phase.actor is Actor.DESTINATION
        assert phase.do is not Ensure.POWERED
        assert any(before.claims_host for before in table.phases[: table.index(phase.name)])


@EVERY_ROW
def test_silence_is_evidence_nowhere_and_fencing_is_only_before_an_evacuation_starts(
    table: Operation, phase: Phase
) -> None:
    """Rule 7."""
    wanted = table.kind is Kind.EVACUATION and phase.do is Ensure.NOT_RUNNING
    assert phase.fencing_evidence_suffices == wanted
    if phase.do is Ensure.REBUILT:
        assert phase.source_speaks_first
        assert table.phases[table.index(phase.name) - 1].fencing_evidence_suffices


@EVERY_ROW
def test_every_phase_has_a_deadline_but_the_one_that_waits_for_a_word(table: Operation, phase: Phase) -> None:
    """Rule 10; and a client sees that something is done until the instance is free, or a cold move has an end."""
    assert (phase.deadline_s == 0.0) == (phase.actor is Actor.OPERATOR)
    assert bool(phase.migration_status) == table.moves
    finished = End.OPERATOR in {one.end for one in table.phases[: table.index(phase.name) + 1]}
    assert (phase.task_state is not None) == (phase.locks_instance and not finished)
    if phase.do is Effect.CLAIM_DESTINATION:
        assert phase.deadline_s == max(one.deadline_s for one in table.phases)


def test_no_decision_names_a_kind() -> None:
    """What a decision needs to know of a kind is a column of the table, or follows from its rows."""
    rooms = ("scheduler/decision", "scheduler/state", "scheduler/placement/placement.py", "scheduler/reconciler.py")
    paths = [path for room in rooms for path in (_CODE / room).rglob("*.py")] + [_CODE / rooms[2], _CODE / rooms[3]]
    assert [path.name for path in paths if re.search(r"(?<!\w)Kind\.[A-Z]", path.read_text())] == []
