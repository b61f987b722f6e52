"""Which start of a host's agent is the newest, where its journal is one that was restored; on both databases."""

import pytest

from migrator.compute.journal import LineJournal, MemoryMedium
from migrator.db.engine import Database
from migrator.errors import IncarnationSuperseded
from migrator.operations import Kind
from migrator.protocol import Fact, Facts
from migrator.scheduler import agents
from migrator.scheduler.requests import requests
from tests import registering
from tests.bench import databases

HOST = "host00000"
CALLER = requests.Caller("admin", "admin", "req-test")


def journal_of(lines: list[bytes]) -> LineJournal:
    return LineJournal(MemoryMedium(lines))


def register(db: Database, journal: LineJournal) -> None:
    told = {"start": journal.start, "lost": journal.lost}
    registering.register(db, HOST, journal.incarnation, databases.report().model_copy(update=told))


def heard(db: Database, journal: LineJournal, operation: str, phase: str, sequence: int) -> bool:
    """Whether a report of the agent is news."""
    report = {"operation_id": operation, "epoch": 1, "phase": phase, "incarnation": journal.incarnation}
    return bool(agents.accept_facts(db, HOST, Facts(facts=(Fact(**report, sequence=sequence),))))


def test_an_agent_with_a_journal_of_before_its_last_start_is_heard_above_that(db: Database) -> None:
    uuid = databases.add_instances(db, 1)[0]
    with db.write() as connection:
        key = requests.begin(connection, CALLER, Kind.LIVE_MIGRATION, uuid, HOST)
        row = connection.exec_driver_sql(f"SELECT uuid, phase FROM operations WHERE id = {int(key)}").one()
    lines: list[bytes] = []
    journal_of(lines)  # a start long ago
    copy = list(lines)
    before = journal_of(lines)
    register(db, before)
    assert heard(db, before, row.uuid, row.phase, sequence=40)

    restored = journal_of(copy)
    assert restored.incarnation == before.incarnation
    with pytest.raises(IncarnationSuperseded) as refused:
        register(db, restored)
    restored.raise_incarnation(refused.value.details["known"])
    register(db, restored)
    assert "older copy" in restored.lost
    assert heard(db, restored, row.uuid, row.phase, sequence=1)
    with pytest.raises(IncarnationSuperseded):  # the one before, should it still be there
        register(db, before)


def test_one_start_registers_as_often_as_it_likes(db: Database) -> None:
    databases.add_instances(db, 1)
    journal = journal_of([])
    for _ in range(3):
        register(db, journal)
    registering.register(db, HOST, journal.incarnation, databases.report())  # an agent that tells no start
    register(db, journal)
