"""The table says nothing that does not matter: whichever of its cells is changed, some decision differs.

That a cell is right is not shown here, for what is expected is worked out from the table: ``tests/unit/operations``
holds every cell, defaults too, against grids that are kept by hand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from enum import Enum
from functools import cache
from typing import Any

import pytest

from migrator.operations import OPERATIONS, Actor, Deferral, Effect, End, Kind, Loss, Operation, Phase, Record
from migrator.protocol import Ensure
from migrator.scheduler.decision.snapshot import Snapshot
from tests.unit.scheduler.decision.table_grid import answer, differ, snapshots

_STEP = 97  # from one snapshot of a phase's grid to the next of the same turn
_EVERY = 13  # of the snapshots that are tried with one thing more: a number that meets all kinds of answers
# By ``why`` nothing is decided: tests/cli/test_docs.py holds it. A name is what other cells, and the rows kept, say.
_SAID = {"name", "why"}
# ``requests.begin`` writes it with the operation's row; no decision goes back to before the claim. What clients see of
# it: tests/api/test_actions.py and test_cold_actions.py.
_WRITTEN_AT_THE_BEGINNING = {
    (Kind.LIVE_MIGRATION, "inspect", "migration_status"),
    (Kind.MIGRATION, "inspect", "migration_status"),
}
_NAMES = {"undo_proof", "proof"}  # cells that name another phase
_OTHER: dict[str, Sequence[Any]] = {
    "do": (Ensure.OBSERVED, Effect.NONE),
    "undo": (None, Ensure.OBSERVED),
    "undo_if_memory_shared": (None, Ensure.OBSERVED),
    "peer_ensure": (None, Ensure.OBSERVED),
    "ended_by": (None, *End),
    "undo_ended_by": (None, *End),
    "records": tuple(Record),
    "observed_on": (None, Actor.SOURCE, Actor.DESTINATION),
    "destroys": tuple(Loss),
    "undo_destroys": tuple(Loss),
    "undo_deferrable": tuple(Deferral),
    "deadline_s": (60.0,),
    "migration_status": ("another",),
    "task_state": (None,),
    "task_state_hard": (None,),
}


def _cells() -> Iterator[tuple[Kind, str, str, Any]]:
    """(kind, phase, column, another value) of every cell that a row states."""
    for kind, table in OPERATIONS.items():
        if kind is Kind.RESIZE:  # its rows are MIGRATION's
            continue
        for phase in table.phases:
            for column in fields(Phase):
                value = getattr(phase, column.name)
                if column.name in _SAID or value == column.default:
                    continue
                if (kind, phase.name, column.name) in _WRITTEN_AT_THE_BEGINNING:
                    continue
                others = _ends(table, value) if column.name == "actor" else _others(column.name, value)
                yield from ((kind, phase.name, column.name, other) for other in others)


def _ends(table: Operation, actor: Actor) -> Iterator[Actor]:
    """Another end, one that the kind has where there is one."""
    destination = table.moves or table.kind is Kind.BUILD
    away = actor is Actor.SOURCE or (destination and actor is not Actor.DESTINATION)
    yield Actor.DESTINATION if away else Actor.SOURCE


def _others(column: str, value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif column in _NAMES:
        yield ""
    else:
        yield from (other for other in _OTHER[column] if other != value)


@cache
def _grid(kind: Kind, phase: str) -> tuple[Snapshot, ...]:
    return tuple(snapshots(kind, phase, every=_EVERY))


@cache
def _expected(kind: Kind, phase: str, place: int) -> tuple[str | None, ...]:
    return answer(_grid(kind, phase)[place])


def _changed(table: Operation, phase: str, column: str, other: Any) -> Operation:
    changed = replace(table.phase(phase), **{column: other})
    return replace(table, phases=tuple(changed if p.name == phase else p for p in table.phases))


def _nearest(table: Operation, *changed: str) -> Sequence[str]:
    """The phases, those first where a change of ``changed`` shows: they themselves, and the ones about them."""
    places = [table.index(name) for name in changed]
    return sorted((p.name for p in table.phases), key=lambda name: min(abs(table.index(name) - at) for at in places))


def notices(monkeypatch: pytest.MonkeyPatch, kind: Kind, changed: Operation, order: Sequence[str]) -> bool:
    """Whether any decision, or any assignment, is another one with the changed table."""
    for phase, part in _parts(kind, order):
        before = [_expected(kind, phase, place) for place in part]
        with monkeypatch.context() as patch:
            patch.setitem(OPERATIONS, kind, changed)
            if any(differ(same, answer(_grid(kind, phase)[place])) for place, same in zip(part, before, strict=True)):
                return True
    return False


def _parts(kind: Kind, order: Sequence[str]) -> Iterator[tuple[str, range]]:
    """(phase, places in its grid): a few of all sorts of every phase in turn, for few snapshots may show a change."""
    for start in range(_STEP):
        for phase in order:
            yield phase, range(start, len(_grid(kind, phase)), _STEP)


def _name(value: Any) -> str:
    return value.value if isinstance(value, Enum) else str(value)


@pytest.mark.parametrize(("kind", "phase", "column", "other"), tuple(_cells()), ids=_name)
def test_a_changed_cell_changes_a_decision(
    monkeypatch: pytest.MonkeyPatch, kind: Kind, phase: str, column: str, other: Any
) -> None:
    table = OPERATIONS[kind]
    assert notices(monkeypatch, kind, _changed(table, phase, column, other), _nearest(table, phase))


def test_a_question_that_breaks_down_is_not_another_answer() -> None:
    assert differ(("plan", "asked"), ("another plan", "asked"))
    assert not differ(("plan", "asked"), (None, "asked"))
    assert differ(("plan", "asked"), (None, "asked of another host"))


def _kinds() -> Iterator[tuple[Kind, str, Any]]:
    """(kind, column, another value) of what is said of a kind as a whole."""
    for kind, table in OPERATIONS.items():
        if kind is Kind.RESIZE:
            continue
        names = [phase.name for phase in table.phases]
        for column in ("point_of_no_return", "copied_by", "recorded_by", "stopped_by", "started_by", "stays_from"):
            if value := getattr(table, column):
                yield from ((kind, column, name) for name in names if name != value)
        yield kind, "completed", "over"
        if table.moves:
            yield kind, "moves", False
        if table.recorded_on_failure is not None:
            yield kind, "recorded_on_failure", None
        if table.trusts_record:
            yield kind, "trusts_record", False


@pytest.mark.parametrize(("kind", "column", "other"), tuple(_kinds()), ids=_name)
def test_what_is_said_of_a_kind_changes_a_decision(
    monkeypatch: pytest.MonkeyPatch, kind: Kind, column: str, other: Any
) -> None:
    table = OPERATIONS[kind]
    named = {getattr(table, column), other} & {phase.name for phase in table.phases}
    near = sorted(named) or [table.point_of_no_return or table.phases[-1].name]
    assert notices(monkeypatch, kind, replace(table, **{column: other}), _nearest(table, *near))
