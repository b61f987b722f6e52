"""How long there has been a server to speak to, by the database's clock."""

from sqlalchemy import select, update

from migrator.db import listening
from migrator.db.clock import now
from migrator.db.engine import Database
from migrator.db.tables import listening as table


def seconds(db: Database) -> float:
    with db.read() as connection:
        return float(connection.execute(select(listening.seconds(connection.dialect.name))).scalar_one())


def beat(db: Database) -> None:
    with db.write() as connection:
        listening.beat(connection)


def past(db: Database, **ago: float) -> None:
    with db.write() as connection:
        moment = now(connection)
        connection.execute(update(table).values({name: moment - seconds for name, seconds in ago.items()}))


def test_it_counts_from_the_first_beat_after_a_break(db: Database) -> None:
    assert seconds(db) > 1e9, "no server ever said that it listens: nothing is known against anybody's silence"
    beat(db)
    assert 0 <= seconds(db) < 10
    past(db, since=500, alive_at=listening.STALE_S / 2)
    beat(db)
    assert 490 < seconds(db) < 510, "an unbroken line of beats"
    past(db, since=500, alive_at=listening.STALE_S + 1)
    assert seconds(db) == 0, "overdue, before anybody noticed"
    beat(db)
    assert 0 <= seconds(db) < 10
