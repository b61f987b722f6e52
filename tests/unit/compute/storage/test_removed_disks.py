"""Files that are removed: only the instance's own, in the pools named, and none that a guest runs from."""

import errno
import fcntl
import subprocess
import time
from pathlib import Path

import pytest

from migrator.compute.storage import atomic_files
from migrator.compute.storage.atomic_files import locked
from migrator.compute.storage.pool_identity import MARKER
from migrator.errors import StorageError
from migrator.protocol import DiskSpec
from tests.unit.compute.storage.disk_specs import IMAGE, INSTANCE, A, disks, spec


def test_only_the_instances_directory_is_removed(tmp_path: Path, image: Path) -> None:
    mine = disks(tmp_path / "pool", tmp_path / "other")
    mine.make(spec(A, DiskSpec(target="vdb", pool="b", size_gb=1)), {IMAGE: image})
    mine.remove(INSTANCE, ["a", "unheard-of"])
    mine.remove(INSTANCE, ["a"])
    assert sorted(path.name for path in (tmp_path / "pool").iterdir()) == ["_base"]
    assert (tmp_path / "other" / INSTANCE / "disk.vdb").exists()


def test_a_pool_where_the_instance_lives_on_is_kept(tmp_path: Path, image: Path) -> None:
    mine = disks(tmp_path / "pool", tmp_path / "other")
    mine.make(spec(A, DiskSpec(target="vdb", pool="b", size_gb=1)), {IMAGE: image})
    mine.remove(INSTANCE, ["a", "b"], [mine.identities()["b"]])
    assert not (tmp_path / "pool" / INSTANCE).exists()
    assert (tmp_path / "other" / INSTANCE / "disk.vdb").exists()


def test_a_pool_whose_identity_cannot_be_read_is_not_touched(tmp_path: Path, image: Path) -> None:
    mine = disks(tmp_path / "pool")
    mine.make(spec(A), {IMAGE: image})
    (tmp_path / "pool" / MARKER).write_text("?")
    with pytest.raises(StorageError, match="identity"):
        mine.remove(INSTANCE, ["a"], ["some-identity"])
    assert mine.facts(spec(A))[0].exists


def test_a_disk_that_a_guest_runs_from_is_not_deleted(tmp_path: Path, image: Path) -> None:
    """Wherever it runs: QEMU's locks are seen by every host that has the filesystem."""
    mine = disks(tmp_path / "pool")
    for disk_format in ("qcow2", "raw"):
        one = spec(A.model_copy(update={"format": disk_format}))
        mine.make(one, {IMAGE: image})
        path = mine.facts(one)[0].path
        emulator = subprocess.Popen(
            ["qemu-io", "-f", disk_format, path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + 20
            while not locked(Path(path)):
                assert time.monotonic() < deadline, "the lock was never seen"
                time.sleep(0.05)
            with pytest.raises(StorageError, match=f"{path} is in use"):
                mine.remove(INSTANCE, ["a"])
            assert mine.facts(one)[0].exists
        finally:
            emulator.kill()
            emulator.wait()
        mine.remove(INSTANCE, ["a"])
        assert not (tmp_path / "pool" / INSTANCE).exists()


def test_where_there_are_no_locks_files_are_deleted_without_asking_for_them(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, found = disks(tmp_path / "pool"), [errno.ENOLCK, errno.EIO]

    def ask(*_: object) -> bytes:
        raise OSError(found[0], "no locks here")

    monkeypatch.setattr(fcntl, "fcntl", ask)
    mine.make(spec(A), {IMAGE: image})
    mine.remove(INSTANCE, ["a"])
    mine.make(spec(A), {IMAGE: image})
    found.pop(0)
    with pytest.raises(StorageError, match="no locks here"):
        mine.remove(INSTANCE, ["a"])


def test_what_was_removed_is_not_back_after_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be taken for the instance's disks when that comes to this host again. A removal whose agent was killed
    before it was synced is synced by the next one."""
    synced: list[tuple[Path, bool]] = []
    home = tmp_path / INSTANCE
    monkeypatch.setattr(atomic_files, "sync", lambda path: synced.append((path, home.exists())))
    home.mkdir()
    for _ in range(2):
        atomic_files.remove_folder(home)
    assert synced == [(tmp_path, False)] * 2
