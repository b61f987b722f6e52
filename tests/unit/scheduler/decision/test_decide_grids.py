"""Every phase of what does not run while it is moved, against every kind of answer and every way its host may be."""

from typing import Any

import pytest

from migrator.operations import OPERATIONS, Actor, Kind
from tests.model.server import View
from tests.unit.scheduler.decision.deciding import BACK, GONE, OFF, RUNS, SAVED, letter, op, plan

M, E = Kind.MIGRATION, Kind.EVACUATION

# What the phase's own host may answer, and how it may be while it answers nothing.
ANSWERS: tuple[Any, ...] = (
    None,
    {"problem": "transient"},
    GONE,
    GONE | {"disk": True},
    OFF,
    SAVED,
    {"dom": "crashed"},
    {"dom": "paused"},
    RUNS,
    OFF | {"problem": "final"},
    OFF | {"checks": False},
)
VIEWS: tuple[View, ...] = (True, False, "fenced", "unfenced", "back")

# Each letter is of ``deciding.letter``.
GRIDS: list[tuple[Kind, bool, tuple[tuple[str, str, str], ...]]] = [
    (
        M,
        True,
        (
            ("inspect", ".wNNNNNNNRR", ".RRR."),
            ("claim", "NNNNNNNNNNN", "NNNNN"),
            ("check", ".wNNNNNNNRR", ".RRR."),
            ("depart", "NNNNNNNNNNN", "NNNNN"),
            ("stop", ".w..NNN..NN", ".wRw."),
            ("offer", ".wwwNNNwwRN", ".wRw."),
            ("copy", ".w.......R.", ".RRR."),
            ("start", ".w......NR.", ".wRw."),
            ("keep", "NNNNNNNNNNN", "NNNNN"),
            ("record", "NNNNNNNNNNN", "NNNNN"),
            ("verify", "...........", "....."),
            ("attest", ".wNNNNNNNNN", ".www."),
            ("confirm", "FFFFFFFFFFF", "FFFFF"),
            ("prove", ".wwNwwwwwww", ".www."),
            ("cleanup", ".wN.....ww.", ".PPP."),
            ("release", "EEEEEEEEEEE", "EEEEE"),
        ),
    ),
    (
        M,
        False,
        (
            ("inspect", "EEEEEEEEEEE", "EEEEE"),
            ("claim", "NNNNNNNNNNN", "NNNNN"),
            ("check", "NNNNNNNNNNN", "NNNNN"),
            ("depart", "NNNNNNNNNNN", "NNNNN"),
            ("stop", ".w......Nw.", ".wNw."),
            ("offer", ".wNNNNNNNwN", ".wOw."),
            ("copy", ".wN.....ww.", ".OOO."),
            ("start", ".wNNNNN..NN", ".wOw."),
            ("keep", ".wNNNNNNNNN", ".wNw."),
            ("record", "NNNNNNNNNNN", "NNNNN"),
            ("verify", "NNNNNNNNNNN", "NNNNN"),
            ("attest", "NNNNNNNNNNN", "NNNNN"),
        ),
    ),
    (
        E,
        True,
        (
            ("claim", "NNNNNNNNNNN", "NNNNN"),
            ("check", ".wNNNNNNNRR", ".RRR."),
            ("fence", ".wNNNNN..NN", "RwNR."),
            ("rebuild", ".w.N.....R.", ".RRR."),
            ("start", ".w......NR.", ".wRw."),
            ("commit", "FFFFFFFFFFF", "FFFFF"),
            ("cleanup", ".wN.....ww.", ".www."),
            ("release", "EEEEEEEEEEE", "EEEEE"),
        ),
    ),
    (
        E,
        False,
        (
            ("claim", "EEEEEEEEEEE", "EEEEE"),
            ("check", "NNNNNNNNNNN", "NNNNN"),
            ("fence", "NNNNNNNNNNN", "NNNNN"),
            ("rebuild", ".wN.....ww.", ".OOO."),
            ("start", ".wNNNNN..NN", ".wOw."),
        ),
    ),
    (Kind.SUSPEND, True, (("suspend", ".w...N...R.", ".wRw."), ("commit", "EEEEEEEEEEE", "EEEEE"))),
    (Kind.SUSPEND, False, (("suspend", "EEEEEEEEEEE", "EEEEE"), ("commit", "NNNNNNNNNNN", "NNNNN"))),
    (Kind.RESUME, True, (("resume", ".w......NR.", ".wRw."), ("commit", "EEEEEEEEEEE", "EEEEE"))),
]
ROWS = [(kind, forward, *row) for kind, forward, rows in GRIDS for row in rows]


@pytest.mark.parametrize(("kind", "forward", "phase", "answers", "views"), ROWS)
def test_every_phase_against_every_answer(kind: Kind, forward: bool, phase: str, answers: str, views: str) -> None:
    row = OPERATIONS[kind].phase(phase)
    there = row.actor is Actor.DESTINATION
    # A host that answers stops its guest for an evacuation only where the disks are kept.
    lasts = {"locks_instance": row.locks_instance, "shared": row.fencing_evidence_suffices}
    now = op(kind, phase, **({} if forward else BACK), **lasts)
    source: View = "fenced" if kind is E and there else "back" if row.fencing_evidence_suffices else True
    found = (plan(now, *((None, a) if there else (a, None)), ups=(source, True)) for a in ANSWERS)
    assert "".join(map(letter, found)) == answers
    found = (plan(now, ups=(source, view) if there else (view, True)) for view in VIEWS)
    assert "".join(map(letter, found)) == views


def test_the_grids_are_whole() -> None:
    for kind, forward, rows in GRIDS:
        table = OPERATIONS[kind]
        wanted = [p.name for p in table.phases if forward or table.reversible(p.name)]
        assert [name for name, *_ in rows] == wanted


@pytest.mark.parametrize("stale", [{"epoch": 1}, {"phase": "another"}])
@pytest.mark.parametrize(("kind", "forward", "phase", "answers", "views"), ROWS)
def test_stale_answers_steer_nothing(
    kind: Kind, forward: bool, phase: str, answers: str, views: str, stale: dict[str, Any]
) -> None:
    locks_instance = OPERATIONS[kind].phase(phase).locks_instance
    now = op(kind, phase, **(BACK | {"forward": forward, "locks_instance": locks_instance}))
    for answer in ANSWERS[1:]:
        assert letter(plan(now, answer | stale, answer | stale)) == letter(plan(now)), answers + views
