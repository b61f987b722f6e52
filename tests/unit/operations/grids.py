"""Reads the grids of this folder, says what a row of the table is in their words, and where the two differ.

Owns the words; the grids own the rules, and ``migrator/operations`` the table. Reads no grid's cell from the table.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from migrator.operations import Kind, Operation, Phase
from tests.unit.operations import cold_grids, kind_grids, live_grids, lost_host_grids, own_host_grids

_FILES = (live_grids, cold_grids, lost_host_grids, own_host_grids)
_TIMES = {0.0: "never", 900.0: "15 min", 3600.0: "1 hour", 86400.0: "1 day"}
# The column "besides": each word is one column of the table.
BESIDES = {
    "harmless": "harmless",
    "lends": "lends",
    "left to a deletion": "undo_left_to_delete",
    "else another host": "reschedule_on_failure",
    "where the strategy is chosen": "auto_strategy_only",
    "not on one host": "skipped_on_same_host",
    "not if shared": "skipped_when_shared",
    "evidence suffices": "fencing_evidence_suffices",
    "source first": "source_speaks_first",
}
PHASE: Mapping[str, Callable[[Phase], Any]] = {
    "phase": lambda p: p.name,
    "actor": lambda p: p.actor,
    "makes true": lambda p: p.do,
    "until": lambda p: p.end,
    "undone as": lambda p: _two(p.undo, p.undo_if_memory_shared),
    "undone until": lambda p: p.undo_end,
    "other host": lambda p: p.peer_ensure,
    "destroys": lambda p: p.destroys,
    "undo destroys": lambda p: p.undo_destroys,
    "undo put off": lambda p: p.undo_deferrable,
    "proof": lambda p: p.proof,
    "undo's proof": lambda p: p.undo_proof,
    "besides": lambda p: {word for word, column in BESIDES.items() if getattr(p, column)} | _frees(p),
    "keeps": lambda p: p.records,
    "written from": lambda p: p.observed_on,
    "alarm after": lambda p: _TIMES.get(p.deadline_s, p.deadline_s),
    "status": lambda p: p.migration_status,
    "task_state": lambda p: _two(p.task_state, p.task_state_hard),
}
KIND: Mapping[str, Callable[[Operation], Any]] = {
    "kind": lambda o: o.kind,
    "no return from": lambda o: o.point_of_no_return,
    "os-migrations": lambda o: "yes" if o.moves else "no",
    "action": lambda o: o.action,
    "good end": lambda o: o.completed,
    "way back": lambda o: o.reverting,
    "on failure": lambda o: o.recorded_on_failure,
    "stopped by": lambda o: o.stopped_by,
    "started by": lambda o: o.started_by,
    "copied by": lambda o: o.copied_by,
    "recorded by": lambda o: o.recorded_by,
    "stays from": lambda o: o.stays_from,
    "trusts record": lambda o: "yes" if o.trusts_record else "no",
}

Grid = list[dict[str, str]]


def _two(usual: Any, other: Any) -> str:
    return f"{usual or '-'} ({other})" if other else usual or ""


def _frees(phase: Phase) -> set[str]:
    return set() if phase.locks_instance else {"frees"}


def read(grid: str) -> Grid:
    """One dictionary a line, by the columns' heads."""
    head, *lines = ([cell.strip() for cell in line.split("|")] for line in grid.strip().splitlines())
    assert len(set(head)) == len(head)
    return [dict(zip(head, line, strict=True)) for line in lines]


def _beside(*grids: Grid) -> Grid:
    """Grids of the same phases, or kinds, as one."""
    beside = []
    for lines in zip(*grids, strict=True):
        assert len({next(iter(line.values())) for line in lines}) == 1, lines
        beside.append({head: cell for line in lines for head, cell in line.items()})
    return beside


PHASES: Mapping[Kind, Grid] = {
    kind: _beside(read(file.WAYS[kind]), read(file.STAKES[kind]), read(file.SHOWN[kind]))
    for file in _FILES
    for kind in file.WAYS
}
KINDS: Mapping[Kind, dict[str, str]] = {
    Kind(line["kind"]): line for line in _beside(read(kind_grids.KINDS), read(kind_grids.PLACES))
}


def differences(table: Operation) -> list[str]:
    """Where the table is not as the grids say. Empty: nowhere."""
    expected, found = PHASES[table.kind], table.phases
    if [phase.name for phase in found] != [line["phase"] for line in expected]:
        return [f"{table.kind}: the phases are {', '.join(phase.name for phase in found)}"]
    told = list(_unlike(KIND, table, KINDS[table.kind], str(table.kind)))
    for phase, line in zip(found, expected, strict=True):
        told += _unlike(PHASE, phase, line, f"{table.kind}, {phase.name}")
    return told


def _unlike(
    columns: Mapping[str, Callable[[Any], Any]], row: Any, line: Mapping[str, str], where: str
) -> Iterator[str]:
    assert columns.keys() == line.keys(), columns.keys() ^ line.keys()
    for column, value_of in columns.items():
        value, cell = value_of(row), line[column]
        wanted: Any = set(cell.split(", ")) - {"-"} if isinstance(value, set) else cell
        if wanted != (value if isinstance(value, set) else str(value or "-")):
            yield f"{where}: {column} is {value or '-'}, and should be {cell}"
