"""What an agent remarks of its step reaches the operation's timeline, bounded, for its words may be anything."""

import pytest

from migrator.db import events, operations
from migrator.db.engine import Database
from migrator.protocol import Fact, Facts
from migrator.scheduler import agents
from tests.api import seed

HOST = "compute1"


@pytest.fixture
def operation(db: Database) -> int:
    seed.host(db, HOST)
    return seed.migration(db, seed.instance(db, "a"), "running", source=HOST, active=True)


def told(db: Database, operation: int, sequence: int, note: str | None) -> list[tuple[str, str | None]]:
    """The notes of the timeline after the fact: (message, host)."""
    with db.read() as connection:
        row = operations.get(connection, operation)
    body = {"operation_id": row.uuid, "epoch": row.epoch, "phase": row.phase, "incarnation": 0, "note": note}
    agents.accept_facts(db, HOST, Facts(facts=(Fact.model_validate(body | {"sequence": sequence}),)))
    with db.read() as connection:
        lines = events.of_operation(connection, operation)
    return [(line.message, line.host) for line in lines if line.name == "note"]


def test_a_note_stands_in_the_timeline_once_however_often_it_is_sent(db: Database, operation: int) -> None:
    assert told(db, operation, 1, None) == []
    assert told(db, operation, 2, "left alone") == [("left alone", HOST)]
    assert told(db, operation, 3, "left alone") == [("left alone", HOST)]
    assert told(db, operation, 4, "still active") == [("left alone", HOST), ("still active", HOST)]


def test_an_agent_that_writes_much_fills_no_timeline(db: Database, operation: int) -> None:
    for sequence in range(1, 40):
        found = told(db, operation, sequence, f"{sequence} " + "x" * 1000)
    assert len(found) == 20
    assert all(len(message) == 300 for message, _ in found)


def test_a_note_is_escaped_as_any_text_of_others(db: Database, operation: int) -> None:
    assert told(db, operation, 1, "a\x00b\x1bc") == [("ab\\x1bc", HOST)]
