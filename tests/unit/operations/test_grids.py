"""The table is what the grids say, cell by cell; and no cell can be changed without a difference between the two.

``tests/unit/scheduler/decision/test_table_cells.py`` shows the other half: that each cell decides something. It works
out what is right from the table, so a wrong cell is its expectation, too. The grids are kept by hand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from enum import Enum
from typing import Any

import pytest

from migrator.operations import OPERATIONS, Actor, Deferral, Effect, End, Kind, Loss, Operation, Phase, Record
from migrator.protocol import Ensure
from tests.unit.operations.grids import KINDS, PHASES, differences

# Columns that no grid has, and why.
UNWRITTEN = {
    "why": "a sentence for readers: nothing decides by it; tests/cli/test_docs.py holds it in docs/operations.md"
}
_STEPS = (*Ensure, *Effect)
_OTHER: dict[str, Sequence[Any]] = {
    "actor": tuple(Actor),
    "do": _STEPS,
    "undo": (None, *_STEPS),
    "undo_if_memory_shared": (None, *Ensure),
    "peer_ensure": (None, *Ensure),
    "ended_by": (None, *End),
    "undo_ended_by": (None, *End),
    "records": tuple(Record),
    "observed_on": (None, *Actor),
    "destroys": tuple(Loss),
    "undo_destroys": tuple(Loss),
    "undo_deferrable": tuple(Deferral),
    "deadline_s": (0.0, 60.0, *{phase.deadline_s for table in OPERATIONS.values() for phase in table.phases}),
    "migration_status": ("", "error", *{p.migration_status for table in OPERATIONS.values() for p in table.phases}),
    "task_state": (None, *{p.task_state for table in OPERATIONS.values() for p in table.phases} - {None}),
    "task_state_hard": (None, "rebooting_hard", "reboot_started_hard"),
    "kind": tuple(Kind),
    "completed": ("completed", "confirmed", "done"),
    "action": ("", *{table.action for table in OPERATIONS.values()}),
    "reverting": (None, "resize_reverting", "migrating"),
    "recorded_on_failure": (None, *(effect for effect in Effect if effect is not Effect.NONE)),
}
_PHASES = {"name", "proof", "undo_proof"}  # columns that name a phase
_PLACES = {"point_of_no_return", "copied_by", "recorded_by", "stopped_by", "started_by", "stays_from"}  # the same
KIND = pytest.mark.parametrize("kind", Kind, ids=str)


def test_every_kind_of_the_table_has_grids_and_no_other_kind() -> None:
    assert set(PHASES) == set(KINDS) == set(OPERATIONS) == set(Kind)


@KIND
def test_the_table_is_as_the_grids_say(kind: Kind) -> None:
    assert differences(OPERATIONS[kind]) == []


@KIND
def test_a_change_of_any_cell_of_any_phase_is_a_difference(kind: Kind) -> None:
    """Defaults are cells like the others."""
    table = OPERATIONS[kind]
    assert differences(table) == []
    unseen = []
    for place, phase in enumerate(table.phases):
        for column in (one.name for one in fields(Phase) if one.name not in UNWRITTEN):
            others = _others(table, phase, column)
            assert others, f"no other value of {column} is tried"
            for other in others:
                changed = replace(phase, **{column: other})
                phases = (*table.phases[:place], changed, *table.phases[place + 1 :])
                unseen += [] if differences(replace(table, phases=phases)) else [(phase.name, column, other)]
    assert unseen == []


@KIND
def test_a_phase_that_is_left_out_or_added_or_comes_earlier_is_a_difference(kind: Kind) -> None:
    phases = OPERATIONS[kind].phases
    orders = [(*phases, phases[-1])]
    for place, phase in enumerate(phases):
        rest = (*phases[:place], *phases[place + 1 :])
        orders += [rest, *((*rest[:at], phase, *rest[at:]) for at in range(place))]
    assert [order for order in orders if not differences(replace(OPERATIONS[kind], phases=order))] == []


@KIND
def test_a_change_of_any_cell_of_a_kind_is_a_difference(kind: Kind) -> None:
    table = OPERATIONS[kind]
    unseen = []
    for column in (one.name for one in fields(Operation) if one.name not in ("kind", "phases")):
        for other in _others(table, table, column):
            unseen += [] if differences(replace(table, **{column: other})) else [(column, other)]
    assert unseen == []


def test_a_difference_is_told_in_the_words_of_the_grids() -> None:
    """Who changes a cell sees which line to read, and the rule above it."""
    table = OPERATIONS[Kind.LIVE_MIGRATION]
    cut = replace(table.phase("prepare"), undo_destroys=Loss.ALL, deadline_s=60.0)
    phases = tuple(cut if phase.name == cut.name else phase for phase in table.phases)
    assert differences(replace(table, phases=phases)) == [
        "live-migration, prepare: undo destroys is everything, and should be copy",
        "live-migration, prepare: alarm after is 60.0, and should be 15 min",
    ]


def test_the_columns_that_stand_in_no_grid_are_columns() -> None:
    assert UNWRITTEN.keys() < {column.name for column in fields(Phase)}


def _others(table: Operation, row: Phase | Operation, column: str) -> list[Any]:
    """Every other legal value of a cell. One that says what is implied anyhow is no other value."""
    value = getattr(row, column)
    same = [value, *_implied(row, column)]
    return [other for other in _legal(table, column, value) if other not in same]


def _legal(table: Operation, column: str, value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield from (True, False)
    elif column in _PHASES | _PLACES:
        yield None if column == "point_of_no_return" else ""
        yield from (phase.name for phase in table.phases)
        yield "elsewhere still"
    else:
        yield from _OTHER[column]


def _implied(row: Phase | Operation, column: str) -> tuple[Enum | None, ...]:
    """None where ``End`` follows from the step, or that ``End`` itself: both say the same."""
    if isinstance(row, Operation) or column not in ("ended_by", "undo_ended_by"):
        return ()
    nothing: dict[str, Any] = {column: None}
    bare = replace(row, **nothing)
    implied = bare.end if column == "ended_by" else bare.undo_end
    value = getattr(row, column)
    return (None, implied) if value in (None, implied) else ()
