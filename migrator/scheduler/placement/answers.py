"""What a decision asks for before it can be made, and only the database can find. Reads only, and decides nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from migrator.db.engine import Connection
from migrator.scheduler.decision.snapshot import Question, Snapshot
from migrator.scheduler.placement.check_errors import destination_checks
from migrator.scheduler.placement.placement import place


def answered(connection: Connection, snapshot: Snapshot, question: Question, down_after: float) -> Snapshot:
    """The snapshot with the answer in it. ``down_after``: s of silence after which a host counts as down."""
    return _ANSWERS[question](connection, snapshot, down_after)


def _placement(connection: Connection, snapshot: Snapshot, down_after: float) -> Snapshot:
    return replace(snapshot, placement=place(connection, snapshot, down_after))


def _destination_checks(connection: Connection, snapshot: Snapshot, down_after: float) -> Snapshot:
    return replace(snapshot, destination_checks=destination_checks(connection, snapshot, down_after))


_ANSWERS: Mapping[Question, Callable[[Connection, Snapshot, float], Snapshot]] = {
    Question.PLACEMENT: _placement,
    Question.DESTINATION_CHECKS: _destination_checks,
}
