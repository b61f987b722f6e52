"""The revisions make exactly the tables that the code uses, on both databases."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from migrator.db import hosts
from migrator.db.clock import now
from migrator.db.engine import Database
from migrator.db.tables import metadata
from migrator.db.upgrade import upgrade
from tests.api import seed


def test_revisions_match_the_tables(db: Database) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_upgrade_again_changes_nothing(database_url: str) -> None:
    upgrade(database_url)
    upgrade(database_url)


def test_no_json_has_a_nul_that_postgresql_could_not_read_past(db: Database) -> None:
    seed.host(db, "one", report={"storage": {"local\x00": {}}, "cpu_features": ["a\x00b", r"\u0000"]})
    with db.read() as connection:
        report = hosts.get(connection, "one").report
        assert report == {"storage": {"local": {}}, "cpu_features": ["ab", r"\u0000"]}
        assert hosts.storage(connection) == {"one": {}}  # a pool without an identity is no shared pool


def test_the_database_clock_moves(db: Database) -> None:
    with db.write() as connection:
        first = now(connection)
        assert 1.7e9 < first <= now(connection)
