"""What an agent closes to other users where earlier releases left it open: its state, and what lies in its pools.

Owns which mode is for what. A pool's own directory and its marker are not touched: they may be others' to read.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from migrator import private_files
from migrator.compute.storage.atomic_files import entries
from migrator.compute.storage.base_images import BASE
from migrator.private_files import FILE, FOLDER, PASSAGE

CONSOLES = "consoles"  # below the state path: QEMU itself may write there
_KEPT = (".kept.", ".dropped.")


def narrow_state(state_path: Path) -> None:
    private_files.narrow(f"state_path = {state_path}", _state(state_path))


def narrow_pool(pool: Path) -> None:
    private_files.narrow(f"the pool {pool}", _pool(pool))


def _state(state_path: Path) -> Iterator[tuple[Path, int]]:
    yield state_path, PASSAGE
    for path in entries(state_path):
        passage = path.name == CONSOLES
        yield path, _mode(path, PASSAGE if passage else FOLDER)
        for inner in entries(path):
            yield inner, _mode(inner, FOLDER)


def _pool(pool: Path) -> Iterator[tuple[Path, int]]:
    for path in entries(pool):
        if path.name == BASE or path.name.startswith(_KEPT) or _is_uuid(path.name):
            yield path, _mode(path, PASSAGE)
            for inner in entries(path):
                yield inner, _mode(inner, PASSAGE)


def _mode(path: Path, folder: int) -> int:
    return folder if path.is_dir() else FILE


def _is_uuid(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
