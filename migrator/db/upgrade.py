"""Brings a database to the newest Alembic revision. Safe to run from several processes at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from migrator.db.engine import Database
from migrator.errors import DatabaseNewer, SettingInvalid

_LOCK = 0x6D696772  # "migr": PostgreSQL's advisory lock while the schema changes


def upgrade(url: str) -> None:
    """Raises DatabaseNewer and SettingInvalid, and has changed nothing then."""
    db = Database(url)
    try:
        db.narrow_folder()
        with db.write() as connection:
            if not db.is_sqlite:
                _refuse_encoding(connection)
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            config = _config(connection)
            _refuse_newer(connection, config)
            command.upgrade(config, "head")
        db.analyze()
    finally:
        db.close()


def _refuse_encoding(connection: Connection) -> None:
    """Any other than UTF8 cannot keep every name, or keeps bytes of which it does not know what they mean."""
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        name = connection.engine.url.database
        raise SettingInvalid(
            f"database: {name} has the encoding {encoding}, and migrator keeps text in UTF8",
            advice=f"make it with `createdb --encoding=UTF8 --template=template0 {name}`",
        )


def _refuse_newer(connection: Connection, config: Config) -> None:
    scripts = ScriptDirectory.from_config(config)
    ours = {script.revision for script in scripts.walk_revisions()}
    unknown = sorted(set(MigrationContext.configure(connection).get_current_heads()) - ours)
    if unknown:
        raise DatabaseNewer(
            f"the database is at revision {', '.join(unknown)}, and this release of migrator knows it up to "
            f"{', '.join(scripts.get_heads())}: a server of a newer release has upgraded it",
            advice="install that release here, too, or restore the backup of before the upgrade",
        )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()))
    config.attributes["connection"] = connection
    return config


def _scripts() -> Path:
    """The revisions: in the checkout beside the package, or inside the installed package."""
    inside = Path(__file__).parent / "revisions"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "alembic"
