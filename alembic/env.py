"""Alembic's entry: runs the revisions against the URL that ``migrator.db.upgrade`` (or ``-x url=``) gives."""

from alembic import context
from sqlalchemy import Connection, create_engine

from migrator.db.tables import metadata


def run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _with(connection)
        return
    url = context.get_x_argument(as_dictionary=True)["url"]
    with create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1)).begin() as opened:
        _with(opened)


def _with(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


run()
