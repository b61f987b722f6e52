"""Brings a database to the newest Alembic revision. Safe to run from several processes at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from migrator.db.engine import Database

_LOCK = 0x6D696772  # "migr": PostgreSQL's advisory lock while the schema changes


def upgrade(url: str) -> None:
    db = Database(url)
    try:
        db.narrow_folder()
        with db.write() as connection:
            if not db.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            command.upgrade(_config(connection), "head")
        db.analyze()
    finally:
        db.close()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()))
    config.attributes["connection"] = connection
    return config


def _scripts() -> Path:
    """The revisions: in the checkout beside the package, or inside the installed package."""
    inside = Path(__file__).parent / "revisions"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "alembic"
