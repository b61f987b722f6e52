"""Storage pools: which storage each one is, and that no name leads out of it."""

import threading
from pathlib import Path
from uuid import UUID

import pytest

from migrator.compute.storage.pool_identity import MARKER
from migrator.errors import StorageError
from migrator.protocol import DiskSpec
from tests.unit.compute.storage.disk_specs import IMAGE, INSTANCE, A, disks, spec


def test_the_identity_stays_and_is_per_directory(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    first = disks(one, two).identities()
    assert first == disks(one, two).identities()
    assert first["a"] != first["b"]
    assert str(UUID(first["a"])) == first["a"] == (one / MARKER).read_text().strip()
    assert disks(one, one).identities() == {"a": first["a"], "b": first["a"]}


def test_hosts_that_race_for_the_marker_agree(tmp_path: Path) -> None:
    for attempt in range(20):
        pool, found, start = tmp_path / str(attempt), list[str](), threading.Barrier(4)

        def ask(pool: Path = pool, found: list[str] = found, start: threading.Barrier = start) -> None:
            mine = disks(pool)
            start.wait()
            found.append(mine.identities()["a"])

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert set(found) == {(pool / MARKER).read_text().strip()}


def test_a_damaged_marker_is_an_error_and_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("")
    with pytest.raises(StorageError, match="storage identity"):
        disks(tmp_path).identities()
    assert (tmp_path / MARKER).read_text() == ""


def test_a_pool_that_cannot_be_written_is_named(tmp_path: Path, image: Path) -> None:
    (tmp_path / "pool").write_text("a file, not a directory")
    with pytest.raises(StorageError, match="pool"):
        disks(tmp_path / "pool").make(spec(A), {IMAGE: image})


@pytest.mark.parametrize("uuid", ["../x", "", "_base", "/etc"])
def test_no_name_leads_out_of_the_pool(tmp_path: Path, uuid: str) -> None:
    with pytest.raises((StorageError, ValueError)):
        disks(tmp_path / "pool").remove(uuid, ["a"])


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", ""])
def test_no_image_or_disk_name_leads_out_of_the_pool(tmp_path: Path, image: Path, name: str) -> None:
    disk = DiskSpec(target="vda", pool="a", size_gb=1, image_id=name)
    with pytest.raises(StorageError):
        disks(tmp_path / "pool").make(spec(disk), {name: image})
    with pytest.raises(StorageError):
        disks(tmp_path / "pool").path(INSTANCE, DiskSpec(target=name, pool="a", size_gb=1))


def test_files_are_found_by_target(tmp_path: Path) -> None:
    mine = disks(tmp_path / "one", tmp_path / "two")
    instance = spec(A, DiskSpec(target="vdb", pool="b", size_gb=1))
    assert mine.file(instance, "memory") == tmp_path / "one" / INSTANCE / "memory"
    assert mine.file(instance, "vdb") == tmp_path / "two" / INSTANCE / "disk.vdb"
    assert mine.homes(instance, ["vdb", "memory"]) == {
        "a": tmp_path / "one" / INSTANCE,
        "b": tmp_path / "two" / INSTANCE,
    }
    with pytest.raises(StorageError, match="vdz"):
        mine.file(instance, "vdz")
