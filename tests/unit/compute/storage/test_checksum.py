"""Checksums: equal for equal content, different for anything else, and worked out once."""

import os
import time
from pathlib import Path

import pytest

from migrator.compute.storage import checksum as module
from migrator.compute.storage.checksum import BLOCK, Checksums, checksum
from migrator.errors import StorageError

SIZE = 8 * BLOCK + 123


def sparse(path: Path, *runs: tuple[int, bytes], size: int = SIZE) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for offset, data in runs:
            file.seek(offset)
            file.write(data)
    return path


def dense(path: Path, model: Path) -> Path:
    path.write_bytes(model.read_bytes())
    return path


def wait(sums: Checksums, paths: dict[str, Path]) -> dict[str, str]:
    deadline = time.monotonic() + 10
    while (found := sums.of(paths)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


RUNS = [
    (),
    ((0, b"a"),),
    ((SIZE - 1, b"z"),),
    ((BLOCK - 1, b"ab"),),
    ((3 * BLOCK + 4096, os.urandom(BLOCK)), (6 * BLOCK, b"x")),
]


@pytest.mark.parametrize("runs", RUNS)
def test_holes_and_zeros_are_the_same(tmp_path: Path, runs: tuple[tuple[int, bytes], ...]) -> None:
    one = sparse(tmp_path / "one", *runs)
    other = dense(tmp_path / "other", one)
    assert checksum(one) == checksum(other)
    assert checksum(one).startswith("xxh3-128:")


def test_every_content_has_its_own(tmp_path: Path) -> None:
    files = [sparse(tmp_path / str(number), *runs) for number, runs in enumerate(RUNS)]
    files.append(sparse(tmp_path / "moved", (BLOCK, b"a")))
    files.append(sparse(tmp_path / "longer", size=SIZE + 1))
    files.append(sparse(tmp_path / "empty", size=0))
    assert len({checksum(file) for file in files}) == len(files)


def test_one_changed_byte_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(SIZE))
    before = checksum(file)
    with file.open("r+b") as changed:
        changed.seek(5 * BLOCK + 7)
        byte = changed.read(1)
        changed.seek(-1, os.SEEK_CUR)
        changed.write(bytes([byte[0] ^ 1]))
    assert checksum(file) != before


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []

    def counted(path: Path) -> str:
        reads.append(path)
        return checksum(path)

    monkeypatch.setattr(module, "checksum", counted)
    file, sums = sparse(tmp_path / "file", (0, b"one")), Checksums()
    sums.begin(file)
    first = wait(sums, {"vda": file})
    assert wait(sums, {"vda": file}) == first
    assert reads == [file]
    sparse(file, (0, b"two"))
    os.utime(file, ns=(1, 1))
    assert wait(sums, {"vda": file}) != first
    sums.forget(tmp_path)
    wait(sums, {"vda": file})
    assert reads == [file] * 3


def test_what_cannot_be_read_is_an_error_each_time(tmp_path: Path) -> None:
    sums = Checksums()
    for _ in range(2):
        with pytest.raises(StorageError, match="absent"):
            sums.of({"vda": tmp_path / "absent"})
    with pytest.raises(StorageError, match="cannot read"):  # each file system has its own words for a directory
        wait(sums, {"vda": tmp_path})
    file = sparse(tmp_path / "file")
    assert set(wait(sums, {"vda": file})) == {"vda"}


def test_what_has_a_checksum_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is deleted for it, and an agent may have been killed between the file's name and the disk."""
    synced: list[Path] = []
    monkeypatch.setattr(module, "sync", synced.append)
    path = tmp_path / "instance" / "disk"
    path.parent.mkdir()
    wait(Checksums(), {"vda": sparse(path, (0, b"a"))})
    assert synced == [path, path.parent, tmp_path]
