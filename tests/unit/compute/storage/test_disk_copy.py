"""A copy of files from another host: complete or absent, whatever ends it. The reader is a directory here."""

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.compute.storage import disk_copy
from migrator.compute.storage.disk_copy import DiskCopyJob, RemoteFile, drop_parts
from migrator.errors import DriverError, HypervisorUnavailable, StorageError

RUN = 4096


class Files:
    """``disk_copy.Reader`` of local files, in small runs. ``before`` is called before each run."""

    opened = 0

    def __init__(self, before: Callable[[int], None] = lambda _: None) -> None:
        self._before = before
        Files.opened += 1

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def read(self, path: str, offset: int, length: int, sink: Callable[[int, bytes], None]) -> None:
        with open(path, "rb") as file:
            for at in range(offset, offset + length, RUN):
                self._before(at)
                file.seek(at)
                data = file.read(min(RUN, offset + length - at))
                if data.strip(b"\0"):
                    sink(at, data)

    def close(self) -> None:
        Files.opened -= 1


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_copy, "PIECE_BYTES", 16 * RUN)
    monkeypatch.setattr(Files, "opened", 0)


def wanted(tmp_path: Path, *contents: bytes) -> list[RemoteFile]:
    found = []
    for number, content in enumerate(contents):
        there = tmp_path / f"there{number}"
        there.write_bytes(content)
        found.append(RemoteFile(str(there), tmp_path / "here" / f"disk{number}", len(content)))
    return found


def copy(
    files: list[RemoteFile],
    before: Callable[[int], None] = lambda _: None,
    prepare: Callable[[], None] = lambda: None,
    inspect: Callable[[RemoteFile], None] = lambda _: None,
) -> DiskCopyJob:
    made = DiskCopyJob("u", files, lambda: Files(before), prepare, inspect, lambda _: None)
    made.start()
    return made


def here(tmp_path: Path) -> list[str]:
    home = tmp_path / "here"
    return sorted(path.name for path in home.iterdir()) if home.exists() else []


def test_files_of_every_size_arrive(tmp_path: Path) -> None:
    contents = [b"", b"x", os.urandom(16 * RUN), os.urandom(50 * RUN + 7), bytes(40 * RUN)]
    told: list[Path] = []
    files = wanted(tmp_path, *contents)
    made = DiskCopyJob("u", files, Files, lambda: None, lambda _: None, told.append)
    made.start()
    made.join(10)
    assert (made.active, made.error) == (False, None)
    assert [file.path.read_bytes() for file in files] == contents
    assert sorted(told) == sorted(file.path for file in files)
    assert here(tmp_path) == [file.path.name for file in files]
    assert files[4].path.stat().st_blocks == 0, "a hole was filled"
    fact = made.fact()
    assert fact.disk_processed_bytes == fact.disk_total_bytes == sum(map(len, contents))
    assert Files.opened == 0, "a connection was left open"


def test_the_numbers_grow_while_it_runs(tmp_path: Path) -> None:
    go, halfway = threading.Event(), threading.Event()

    def pause(at: int) -> None:
        if at == 8 * RUN:
            halfway.set()
            go.wait(10)

    made = copy(wanted(tmp_path, os.urandom(16 * RUN)), pause)
    assert halfway.wait(10)
    fact = made.fact()
    assert (fact.active, fact.disk_total_bytes, fact.disk_processed_bytes) == (True, 16 * RUN, 8 * RUN)
    assert fact.disk_remaining_bytes == 8 * RUN
    go.set()
    made.join(10)
    assert made.fact().disk_remaining_bytes == 0


@pytest.mark.parametrize("error", [HypervisorUnavailable("gone"), StorageError("cannot be read")])
def test_an_error_of_the_source_ends_it_without_a_trace(tmp_path: Path, error: DriverError) -> None:
    def fail(at: int) -> None:
        if at == 20 * RUN:
            raise error

    made = copy(wanted(tmp_path, os.urandom(64 * RUN)), fail)
    made.join(10)
    assert made.error is error
    assert not made.active
    assert here(tmp_path) == []
    assert Files.opened == 0


def test_a_full_disk_says_how_much_was_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_copy, "free_bytes", lambda _: 0)

    def full(at: int) -> None:
        if at == 8 * 256 * RUN:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk_copy, "PIECE_BYTES", 1 << 40)
    made = copy(wanted(tmp_path, os.urandom(16 * 256 * RUN)), full)
    made.join(10)
    assert isinstance(made.error, StorageError)
    assert "is full: 8 MiB more are needed" in made.error.message
    assert here(tmp_path) == []


def test_another_error_of_the_disk_is_told_in_its_words(tmp_path: Path) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    made = copy(wanted(tmp_path, b"x"), broken)
    made.join(10)
    assert isinstance(made.error, StorageError)
    assert "Input/output error" in made.error.message


def test_what_cannot_be_prepared_ends_it_before_a_byte_is_read(tmp_path: Path) -> None:
    def refuse() -> None:
        raise StorageError("no image")

    made = copy(wanted(tmp_path, b"x"), prepare=refuse)
    made.join(10)
    assert made.error is not None
    assert made.error.message == "no image"
    assert here(tmp_path) == []


def test_it_is_stopped_and_clears_up(tmp_path: Path) -> None:
    reading = threading.Event()

    def slow(_: int) -> None:
        reading.set()
        time.sleep(0.01)

    made = copy(wanted(tmp_path, os.urandom(4000 * RUN)), slow)
    assert reading.wait(10)
    assert made.stop()
    assert not made.active
    assert made.error is not None
    assert here(tmp_path) == []


def test_one_that_cannot_be_stopped_in_time_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_copy, "STOP_WAIT_S", 0.1)
    go, reading = threading.Event(), threading.Event()

    def hang(_: int) -> None:
        reading.set()
        go.wait(10)

    made = copy(wanted(tmp_path, b"x"), hang)
    assert reading.wait(10)
    assert not made.stop()
    go.set()
    made.join(10)
    assert made.stop()


def test_what_a_killed_agent_left_is_replaced(tmp_path: Path) -> None:
    files = wanted(tmp_path, os.urandom(5 * RUN))
    files[0].path.parent.mkdir()
    files[0].part.write_bytes(os.urandom(9 * RUN))
    made = copy(files)
    made.join(10)
    assert made.error is None
    assert files[0].path.read_bytes() == Path(files[0].source).read_bytes()
    assert here(tmp_path) == ["disk0"]


def test_parts_are_dropped_and_nothing_else(tmp_path: Path) -> None:
    file = wanted(tmp_path, b"x")[0]
    drop_parts(file.path.parent)  # no such directory
    file.path.parent.mkdir()
    for path in (file.path, file.part, file.path.with_name(".disk0.0123.part")):
        path.touch()
    drop_parts(file.path.parent)
    assert here(tmp_path) == [".disk0.0123.part", "disk0"]
