"""What operators do to the world's database: they back it up, and restore it from an older backup."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.world.world import World


def _path(world: World) -> Path:
    return Path(world.db.url.removeprefix("sqlite:///"))


def backup(world: World, to: Path) -> None:
    """SQLite's own online backup."""
    with closing(sqlite3.connect(_path(world))) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def restore(world: World, backup_file: Path) -> None:
    """With every server stopped; the agents go on, and register again when they are told to."""
    world.db.engine.dispose()
    path = _path(world)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(backup_file, path)
    world.restart_server()
    world._beat()


def made_by_an_earlier_release(backup_file: Path) -> None:
    """It did not write down when a host listed its copies: the upgrade leaves that open."""
    with closing(sqlite3.connect(backup_file)) as connection:
        connection.execute("UPDATE hosts SET listed_at = NULL")
        connection.commit()
