"""The newest fact of each host for each operation is kept, whatever order facts come in, and however often."""

from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db import facts
from migrator.db.engine import Database
from migrator.db.tables import facts as rows
from migrator.protocol import UNREADABLE_FACT
from tests.api import seed

UNREADABLE = {"problem": {"code": UNREADABLE_FACT}}


@pytest.fixture
def operation(db: Database) -> int:
    return seed.migration(db, seed.instance(db, "a"), "running")


def told(db: Database, operation: int, incarnation: int, sequence: int, **body: Any) -> bool:
    """Whether it was news; every fact before it was told long ago."""
    with db.write() as connection:
        connection.execute(update(rows).values(told_at=1.0))
        number = {"incarnation": incarnation, "sequence": sequence}
        return facts.upsert(
            connection, operation, "compute1", epoch=1, phase="check", body={"said": number} | body, **number
        )


def kept(db: Database, operation: int) -> tuple[int, int, bool]:
    """Its number, and whether its host has told it just now."""
    with db.read() as connection:
        row = connection.execute(select(rows).where(rows.c.operation_id == operation)).one()
    assert row.body["said"] == {"incarnation": row.incarnation, "sequence": row.sequence}
    return row.incarnation, row.sequence, row.told_at > 1.0


@pytest.mark.parametrize("late", [(2, 4), (1, 9)])
def test_an_older_fact_that_comes_late_changes_nothing(db: Database, operation: int, late: tuple[int, int]) -> None:
    assert told(db, operation, 2, 5)
    assert not told(db, operation, *late)
    assert kept(db, operation) == (2, 5, False)


@pytest.mark.parametrize("newer", [(2, 6), (3, 1)])
def test_a_newer_fact_takes_the_place_of_the_one_before(db: Database, operation: int, newer: tuple[int, int]) -> None:
    assert told(db, operation, 2, 5)
    assert told(db, operation, *newer)
    assert kept(db, operation) == (*newer, True)


def test_a_fact_that_is_sent_again_is_no_news_and_shows_that_its_host_still_looks(db: Database, operation: int) -> None:
    assert told(db, operation, 2, 5)
    assert not told(db, operation, 2, 5)
    assert kept(db, operation) == (2, 5, True)


def test_a_fact_that_can_be_read_at_last_is_news(db: Database, operation: int) -> None:
    assert told(db, operation, 2, 5, **UNREADABLE)
    assert not told(db, operation, 2, 5, **UNREADABLE)
    assert told(db, operation, 2, 5)
    assert kept(db, operation) == (2, 5, True)
