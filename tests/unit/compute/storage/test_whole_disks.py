"""A disk that was cut, or whose image is gone or another one, is not whole. Real qemu-img and qemu-io write them."""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from migrator.compute.storage import table_readings
from migrator.compute.storage.disks import Disks
from migrator.compute.storage.whole_disks import WholeDisks
from migrator.errors import DiskBeingRead, StorageError
from migrator.protocol import DiskSpec, ImageRef, InstanceSpec
from migrator.untrusted.qcow2_clusters import TableReading
from migrator.untrusted.qcow2_header import Qcow2Header

INSTANCE = "3d4ee7a4-8c13-4d28-9f1a-0a4de1d0a2f5"
IMAGE = "11111111-2222-4333-8444-555555555555"
DISK = DiskSpec(target="vda", pool="local", size_gb=1, image_id=IMAGE)
MIB = 1024**2
NOT_LAID_OUT = "no lazy space", True  # what is compressed is not laid out beforehand
LAYOUTS = {
    "usual": "",
    "small clusters": "cluster_size=512",
    "large clusters": "cluster_size=2M",
    "extended": "extended_l2=on,cluster_size=128k",
    "version 2": "compat=0.10",
    "no lazy space": "preallocation=metadata",
}


class Clock:
    """A little time passes at each look."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 0.01
        return self.now


def run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return tmp_path / "pool"


@pytest.fixture
def spec(tmp_path: Path) -> InstanceSpec:
    image = tmp_path / "image"
    image.write_bytes(os.urandom(4 * MIB))
    whole = hashlib.sha256(image.read_bytes()).hexdigest()
    ref = ImageRef(id=IMAGE, size_bytes=4 * MIB, checksum_sha256=whole, disk_format="raw")
    return InstanceSpec(uuid=INSTANCE, name="i", vcpus=1, memory_mb=1, disks=(DISK,), images=(ref,))


@pytest.fixture
def disk(pool: Path, spec: InstanceSpec, tmp_path: Path) -> Path:
    """Made as for a guest that has written to it."""
    disks = Disks({"local": pool}, "local")
    disks.make(spec, {IMAGE: tmp_path / "image"})
    path = disks.path(INSTANCE, DISK)
    run("qemu-io", "-f", "qcow2", "-c", "write -P 7 8M 8M", "-c", "write -P 9 900M 1M", path)
    return path


def refuse_damaged(pool: Path, spec: InstanceSpec) -> None:
    patiently(partial(Disks({"local": pool}, "local").refuse_damaged, spec))


def patiently(look: Callable[[], None]) -> None:
    """A busy machine does not read even small tables within a slice of time."""
    while True:
        try:
            return look()
        except DiskBeingRead:
            time.sleep(0.1)


@pytest.mark.usefixtures("disk")
def test_a_disk_that_a_guest_has_written_to_is_whole(pool: Path, spec: InstanceSpec) -> None:
    refuse_damaged(pool, spec)
    assert sorted(path.name for path in (pool / "_base").iterdir()) == [IMAGE, f"{IMAGE}.sha256"]


@pytest.mark.parametrize("part", [0.9, 0.5, 0.1, 0.01, 0.0])
def test_a_disk_that_was_cut_is_not_whole(pool: Path, spec: InstanceSpec, disk: Path, part: float) -> None:
    os.truncate(disk, int(disk.stat().st_size * part))
    with pytest.raises(StorageError, match=r"disk.*(cut off|ends within its header|lie behind its end)"):
        refuse_damaged(pool, spec)


def gone(base: Path) -> None:
    base.unlink()


def short(base: Path) -> None:
    os.truncate(base, 2 * MIB)


def exchanged(base: Path) -> None:
    other = base.with_name("other")
    other.write_bytes(os.urandom(4 * MIB))
    other.rename(base)


def linked(base: Path) -> None:
    base.rename(base.with_name("elsewhere"))
    base.symlink_to(base.with_name("elsewhere"))


def not_readable(base: Path) -> None:
    base.unlink()
    base.mkdir()


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (gone, f"_base/{IMAGE} is missing, which .*disk lies over"),
        (short, f"_base/{IMAGE} has {2 * MIB} bytes, and its image {4 * MIB}"),
        (exchanged, f"_base/{IMAGE} is another image than the disk was made from"),
        (linked, "no plain file"),
        (not_readable, "no plain file"),
    ],
)
def test_a_disk_whose_image_is_gone_or_another_is_not_whole(
    pool: Path, spec: InstanceSpec, damage: Callable[[Path], None], said: str
) -> None:
    damage(pool / "_base" / IMAGE)
    with pytest.raises(StorageError, match=said):
        refuse_damaged(pool, spec)


@pytest.mark.usefixtures("disk")
def test_an_image_that_is_exchanged_later_is_found_too(pool: Path, spec: InstanceSpec) -> None:
    look = partial(Disks({"local": pool}, "local").refuse_damaged, spec)
    patiently(look)
    exchanged(pool / "_base" / IMAGE)
    with pytest.raises(StorageError, match="another image"):
        patiently(look)


def test_a_qcow2_image_that_was_cut_is_found_under_its_disk(pool: Path, tmp_path: Path) -> None:
    """Of an image of unknown size and checksum."""
    image = tmp_path / "image.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", image, "1G")
    run("qemu-io", "-f", "qcow2", "-c", "write -P 7 8M 8M", image)
    ref = ImageRef(id=IMAGE, size_bytes=0, checksum_sha256="", disk_format="qcow2")
    spec = InstanceSpec(uuid=INSTANCE, name="i", vcpus=1, memory_mb=1, disks=(DISK,), images=(ref,))
    Disks({"local": pool}, "local").make(spec, {IMAGE: image})
    refuse_damaged(pool, spec)
    os.truncate(pool / "_base" / IMAGE, 4 * MIB)
    with pytest.raises(StorageError, match=f"_base/{IMAGE}: it was cut off"):
        refuse_damaged(pool, spec)


@pytest.mark.parametrize(
    ("layout", "compressed"),
    [
        (layout, compressed)
        for layout in LAYOUTS
        for compressed in (False, True)
        if (layout, compressed) != NOT_LAID_OUT
    ],
)
def test_every_layout_of_qcow2_is_whole_until_its_last_cluster_is_cut(
    pool: Path, tmp_path: Path, layout: str, compressed: bool
) -> None:
    path = tmp_path / "disk.qcow2"
    options = ["-o", LAYOUTS[layout]] if LAYOUTS[layout] else []
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3 * MIB + 512) + bytes(64 * MIB) + b"end" * MIB)
    run("qemu-img", "convert", *(["-c"] if compressed else []), "-f", "raw", "-O", "qcow2", *options, source, path)
    checked = subprocess.run(["qemu-img", "check", "-f", "qcow2", str(path)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    one = DiskSpec(target="vda", pool="local", size_gb=1)
    look = partial(WholeDisks().refuse_damaged, path, one, pool, None)
    patiently(look)
    # Beyond what QEMU itself lets the last cluster lack.
    os.truncate(path, path.stat().st_size - (2 * 2 * MIB if layout == "large clusters" else MIB))
    with pytest.raises(StorageError, match=r"cut off"):
        patiently(look)


@pytest.fixture
def writing(disk: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the disk's lock and writes to new clusters of it, as a running guest does."""
    process = subprocess.Popen(
        ["qemu-io", "-f", "qcow2", str(disk)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def test_a_disk_that_a_process_holds_and_writes_to_stays_whole(
    pool: Path, spec: InstanceSpec, writing: subprocess.Popen[str]
) -> None:
    assert writing.stdin is not None
    for at in range(100, 400):
        writing.stdin.write(f"write -P 5 {at}M 700k\n")
        writing.stdin.flush()
        if at % 20 == 0:
            refuse_damaged(pool, spec)
    assert writing.poll() is None


def test_a_disk_is_read_again_when_it_changed_but_not_all_the_time(
    pool: Path, spec: InstanceSpec, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Qcow2Header] = []

    class Counted(TableReading):
        def __init__(self, header: Qcow2Header) -> None:
            reads.append(header)
            super().__init__(header)

    monkeypatch.setattr(table_readings, "TableReading", Counted)
    clock = Clock()
    whole = WholeDisks(clock)

    def look() -> int:
        whole.refuse_damaged(disk, DISK, pool, spec.images[0])
        return len(reads)

    assert [look() for _ in range(5)] == [1] * 5
    os.utime(disk, (0, 0))
    assert look() == 1, "a disk that was just read is not read again for each write"
    clock.now += 3600
    assert look() == 2
    os.truncate(disk, disk.stat().st_size // 2)
    with pytest.raises(StorageError, match="cut off"):
        look()


def test_kept_disks_that_were_cut_are_not_put_back(pool: Path, spec: InstanceSpec, disk: Path, tmp_path: Path) -> None:
    aside = tmp_path / "pool" / "aside"
    shutil.copytree(disk.parent, aside)
    disks = Disks({"local": pool}, "local")
    disks.check_complete(spec, {"local": aside})
    os.truncate(aside / "disk", 2 * MIB)
    with pytest.raises(StorageError, match="cut off"):
        disks.check_complete(spec, {"local": aside})
