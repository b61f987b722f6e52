"""A disk with more tables than can be read at once is read in slices, by which its host is not slowed down."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from migrator.compute.storage import table_readings
from migrator.compute.storage.table_readings import SLICE_S
from migrator.compute.storage.whole_disks import WholeDisks
from migrator.errors import DiskBeingRead, StorageError
from migrator.protocol import DiskSpec
from migrator.untrusted import qcow2_header
from migrator.untrusted.qcow2_clusters import TableReading
from migrator.untrusted.qcow2_header import Qcow2Header

MIB = 1024**2
DISK = DiskSpec(target="vda", pool="local", size_gb=1)
TABLE_S = 0.02  # that a table takes in these tests


class Clock:
    """Stands still unless a table is read, or a test waits."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tables(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One number for each table that was read."""
    read: list[int] = []

    class Slow(TableReading):
        def advance(self, file: BinaryIO, enough: Callable[[], bool]) -> bool:
            def slowly() -> bool:
                clock.now += TABLE_S
                read.append(len(read))
                return enough()

            return super().advance(file, slowly)

    monkeypatch.setattr(table_readings, "TableReading", Slow)
    return read


def many_tables(path: Path, mib: int = 16) -> Path:
    """512 tables of 32 KiB of the disk each, and some of reference counts."""
    options = "cluster_size=512,preallocation=metadata"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, path, f"{mib}M")
    return path


def run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def to_the_end(whole: WholeDisks, file: Path, clock: Clock, between: Callable[[], Any] = lambda: None) -> list[str]:
    """What is said until it is known that the disk is whole. Asked again every second."""
    said: list[str] = []
    for _ in range(1000):
        try:
            whole.refuse_damaged(file, DISK, file.parent, None)
        except DiskBeingRead as error:
            said.append(error.message)
            clock.now += 1.0
            between()
        else:
            return said
    raise AssertionError("it is never known")


def test_a_large_disk_is_read_on_where_the_reading_stopped_and_says_so(
    tmp_path: Path, clock: Clock, tables: list[int]
) -> None:
    file, whole = many_tables(tmp_path / "disk"), WholeDisks(clock)
    said = to_the_end(whole, file, clock)
    once = len(tables)
    assert 512 < once < 600, "each table was read once"
    assert said[0] == f"{file} is large: its tables are being read, and 0 % of them are"
    assert f"{file} is large: its tables are being read, and 50 % of them are" in said
    assert len(set(said)) <= 10, "each is a line of the timeline"
    assert once * TABLE_S <= clock.now / 2, "at most half of the time is spent on it"
    whole.refuse_damaged(file, DISK, tmp_path, None)
    assert len(tables) == once, "what came out is remembered"


def test_one_call_reads_no_longer_than_a_slice(tmp_path: Path, clock: Clock, tables: list[int]) -> None:
    file, whole = many_tables(tmp_path / "disk"), WholeDisks(clock)
    for _ in range(5):  # in its pause it is not read at all
        with pytest.raises(DiskBeingRead):
            whole.refuse_damaged(file, DISK, tmp_path, None)
    assert len(tables) * TABLE_S == pytest.approx(SLICE_S, abs=TABLE_S)


def test_of_many_large_disks_the_host_reads_half_of_the_time_too(
    tmp_path: Path, clock: Clock, tables: list[int]
) -> None:
    whole, files = WholeDisks(clock), [many_tables(tmp_path / f"disk{n}") for n in range(4)]
    waiting = set(files)
    while waiting:
        for file in sorted(waiting):
            try:
                whole.refuse_damaged(file, DISK, tmp_path, None)
                waiting.discard(file)
            except DiskBeingRead:
                pass
        clock.now += 0.5
    assert len(tables) * TABLE_S <= clock.now / 2 + len(files) * SLICE_S, "beside the first slice of each"


def test_of_more_large_disks_than_may_be_read_at_once_each_is_through_after_one_reading(
    tmp_path: Path, clock: Clock, tables: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_readings, "_MOST", 2)
    whole, files = WholeDisks(clock), [many_tables(tmp_path / f"disk{n}") for n in range(5)]
    small, said, waiting = tmp_path / "small", set(), set(files)
    run("qemu-img", "create", "-q", "-f", "qcow2", small, "1G")
    for _ in range(1000):
        for file in sorted(waiting):
            try:
                whole.refuse_damaged(file, DISK, tmp_path, None)
                waiting.discard(file)
            except DiskBeingRead as error:
                said.add(error.message)
        whole.refuse_damaged(small, DISK, tmp_path, None)
        clock.now += 0.5
    assert not waiting
    assert f"the tables of {files[4]} are not read yet, for those of many other disks are being read" in said
    assert len(tables) < 600 * len(files), "none was begun anew"


def test_a_small_disk_is_not_kept_waiting_by_a_large_one(tmp_path: Path, clock: Clock, tables: list[int]) -> None:
    whole, large = WholeDisks(clock), many_tables(tmp_path / "large")
    small = tmp_path / "small"
    run("qemu-img", "create", "-q", "-f", "qcow2", small, "1G")
    with pytest.raises(DiskBeingRead):
        whole.refuse_damaged(large, DISK, tmp_path, None)
    whole.refuse_damaged(small, DISK, tmp_path, None)
    assert tables


def test_a_disk_that_its_guest_writes_to_meanwhile_is_whole(tmp_path: Path, clock: Clock, tables: list[int]) -> None:
    file = tmp_path / "disk"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=512", file, "64M")
    run("qemu-io", "-f", "qcow2", "-c", "write 0 8M", file)
    at = iter(range(8, 64))

    def write() -> None:
        run("qemu-io", "-f", "qcow2", "-c", f"write {next(at)}M 300k", file)

    assert len(to_the_end(WholeDisks(clock), file, clock, write)) > 3
    assert len(tables) < 600, "it was not begun anew"


@pytest.mark.parametrize("replaced", [False, True])
def test_a_disk_that_is_cut_while_it_is_read_is_not_whole(
    tmp_path: Path, clock: Clock, tables: list[int], replaced: bool
) -> None:
    file, whole = many_tables(tmp_path / "disk"), WholeDisks(clock)
    run("qemu-io", "-f", "qcow2", "-c", "write 15M 1M", file)

    def cut() -> None:
        if replaced:
            (tmp_path / "other").write_bytes(file.read_bytes())
            (tmp_path / "other").rename(file)
        os.truncate(file, file.stat().st_size - MIB)

    with pytest.raises(DiskBeingRead):
        whole.refuse_damaged(file, DISK, tmp_path, None)
    cut()
    with pytest.raises(StorageError, match="cut off") as said:
        to_the_end(whole, file, clock)
    assert not isinstance(said.value, DiskBeingRead)
    read = len(tables)
    with pytest.raises(StorageError, match="cut off"):
        whole.refuse_damaged(file, DISK, tmp_path, None)
    assert len(tables) == read, "what is wrong with it is remembered"


class Broken:
    """A file of a storage that fails after so many reads."""

    def __init__(self, file: BinaryIO, reads: int) -> None:
        self._file, self._left = file, reads

    def read(self, size: int) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise OSError(5, "Input/output error")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_a_reading_that_failed_half_way_never_counts_as_done(tmp_path: Path) -> None:
    with many_tables(tmp_path / "disk").open("rb") as file:
        reading = TableReading(header_of(file))
        with pytest.raises(OSError, match="Input/output"):
            reading.advance(Broken(file, 10), lambda: False)  # type: ignore[arg-type]
        assert reading.advance(file, lambda: False) is False


def test_a_disk_whose_storage_failed_half_way_is_read_anew(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, whole, fails = many_tables(tmp_path / "disk"), WholeDisks(clock), [10]

    class Failing(TableReading):
        def advance(self, file: BinaryIO, enough: Callable[[], bool]) -> bool:
            return super().advance(Broken(file, fails.pop()) if fails else file, enough)  # type: ignore[arg-type]

    monkeypatch.setattr(table_readings, "TableReading", Failing)
    with pytest.raises(StorageError, match="Input/output"):
        whole.refuse_damaged(file, DISK, tmp_path, None)
    whole.refuse_damaged(file, DISK, tmp_path, None)


def header_of(file: BinaryIO) -> Qcow2Header:
    return qcow2_header.read(file)
