"""Saved memory: whole or not there, and never used twice."""

from pathlib import Path

import pytest

from migrator.compute.storage import saved_memory
from migrator.compute.storage.saved_memory import SavedMemory
from migrator.errors import StorageError

UUID = "3d4ee7a4-8c13-4d28-9f1a-0a4de1d0a2f5"
WHOLE, PART = b"LibvirtQemudSave rest", b"LibvirtQemudPart rest"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "b" / UUID
    path.mkdir(parents=True)
    return path


@pytest.fixture
def memory(tmp_path: Path) -> SavedMemory:
    return SavedMemory({"a": tmp_path / "a", "b": tmp_path / "b"})


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("memory", WHOLE, True),
        ("memory", PART, False),
        ("memory", b"", False),
        ("memory.used", WHOLE, False),
        ("memory.part", WHOLE, False),
        (".memory.copying.part", WHOLE, False),
    ],
)
def test_only_whole_memory_under_its_own_name_counts(
    home: Path, memory: SavedMemory, name: str, content: bytes, found: bool
) -> None:
    (home / name).write_bytes(content)
    assert (memory.find(UUID) is not None) is found


def test_it_is_used_once_unless_it_is_put_back(home: Path, memory: SavedMemory) -> None:
    (home / "memory").write_bytes(WHOLE)
    path = memory.find(UUID)
    assert path is not None
    used = memory.consume(path)
    assert memory.find(UUID) is None
    memory.restore(used)
    assert memory.find(UUID) == path


def test_what_is_gone_cannot_be_used(home: Path, memory: SavedMemory) -> None:
    with pytest.raises(StorageError, match="memory"):
        memory.consume(home / "memory")


def test_all_of_it_is_dropped_and_nothing_else(home: Path, memory: SavedMemory) -> None:
    for name in ("memory", "memory.used", "disk"):
        (home / name).write_bytes(WHOLE)
    memory.delete(UUID)
    memory.delete(UUID)
    assert [path.name for path in home.iterdir()] == ["disk"]


def test_it_is_described_like_a_disk(home: Path) -> None:
    path = home / "memory"
    assert not saved_memory.fact(path, "b").exists
    path.write_bytes(WHOLE)
    fact = saved_memory.fact(path, "b")
    assert (fact.target, fact.exists, fact.virtual_bytes, fact.pool) == ("memory", True, len(WHOLE), "b")
    assert fact.allocated_bytes > 0


@pytest.mark.parametrize("name", ["memory", "memory.used"])
def test_what_is_dropped_is_not_back_after_a_power_cut(
    home: Path, memory: SavedMemory, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its disks are written to from then on."""
    synced: list[tuple[Path, bool]] = []
    monkeypatch.setattr(saved_memory, "sync", lambda path: synced.append((path, (home / name).exists())))
    (home / name).write_bytes(WHOLE)
    memory.delete(UUID)
    assert synced == [(home, False)]
