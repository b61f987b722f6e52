"""One call of ``decide`` in one line: an operation in a phase, what its two hosts said, and how they are."""

from dataclasses import replace
from typing import Any

from migrator.operations import OPERATIONS, Kind
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.snapshot import Placement, Plan, Question
from tests.model import server
from tests.model.server import Op, View, VisitedState

RUNS = {"dom": "running"}
OFF = {"dom": "shut_off"}
GONE = {"dom": "absent"}
SAVED = {"dom": "saved"}
BACK = {"forward": False, "epoch": 2, "error": (("phase", "start"), ("status", "error"))}
UP = (True, True)


def op(kind: Kind, phase: str, **changes: Any) -> Op:
    source = None if kind is Kind.BUILD else 0
    destination = 1 if kind is Kind.BUILD or OPERATIONS[kind].moves else None
    return server.new(kind, 1, source, 1)._replace(**{"phase": phase, "destination": destination} | changes)


def plan(op: Op, source: Any = None, destination: Any = None, *, ups: tuple[View, ...] = UP) -> Plan:
    """``source`` and ``destination``: parts of a fact of the operation's own epoch and phase; None: no fact."""
    facts = tuple(
        None
        if parts is None
        else VisitedState(**{"number": 1, "epoch": op.epoch, "phase": op.phase, "dom": None} | parts)
        for parts in (source, destination)
    )
    snapshot = server.snapshot_of(op, facts, ups)
    found = decide(snapshot)
    return decide(replace(snapshot, placement=Placement("b"))) if found.asks is Question.PLACEMENT else found


def letter(found: Plan) -> str:
    """What became of it, in one letter.

    N: the next phase (on the way back, the one above). O: the same, and the undoing is owed. F: the next phase, and the
    instance is free. E: the end. R: turned round. P: back to the proof of the copy that stays. w: waits, and says for
    what. dot: nothing yet.
    """
    if found.final_status is not None:
        return "E"
    if found.forward is False:
        assert found.bump_epoch
        return "R"
    if found.phase is not None and found.bump_epoch and not found.context:
        return "P"
    if found.phase is not None:
        return "F" if found.locks_instance is False else "O" if found.context.get("owed") else "N"
    return "w" if found.wait_reason else "."
