"""A database that is backed up and restored under the world's feet. Agents, hosts and guests go on as they are."""

import shutil
import sqlite3
from pathlib import Path

from tests.world.world import World


def backup(world: World, to: Path) -> None:
    with sqlite3.connect(_path(world)) as source, sqlite3.connect(to) as copy:
        source.backup(copy)
    source.close()
    copy.close()


def restore(world: World, saved: Path) -> None:
    world.db.engine.dispose()
    path = _path(world)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    shutil.copyfile(saved, path)
    world.restart_server()
    world._beat()


def _path(world: World) -> Path:
    return Path(world.db.url.removeprefix("sqlite:///"))
