"""Disk files: complete or absent, made once, from the images that they should be of. Real qemu-img."""

import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.errors import ImageUnavailable, StorageError
from migrator.protocol import DiskSpec, GuestDescription, ImageRef, InstanceSpec
from tests.unit.compute.storage.disk_specs import CONFIG, IMAGE, INSTANCE, A, disks, spec
from tests.unit.compute.storage.fifo import Opened


def test_an_overlay_reads_as_its_image_and_moves_with_the_pool(tmp_path: Path, image: Path) -> None:
    pool = tmp_path / "pool"
    mine = disks(pool)
    mine.make(spec(A), {IMAGE: image})
    fact = mine.facts(spec(A))[0]
    assert (fact.exists, fact.virtual_bytes, fact.backing_image_id) == (True, 1 << 30, IMAGE)
    elsewhere = tmp_path / "elsewhere"
    pool.rename(elsewhere)
    copy = tmp_path / "copy"
    disk = disks(elsewhere).path(INSTANCE, A)
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, copy], check=True)
    with copy.open("rb") as data:
        assert data.read(1 << 20) == image.read_bytes()


def test_a_raw_disk_is_a_copy(tmp_path: Path, image: Path) -> None:
    mine = disks(tmp_path / "pool")
    raw = A.model_copy(update={"format": "raw"})
    mine.make(spec(raw), {IMAGE: image})
    path = mine.path(INSTANCE, raw)
    assert path.stat().st_size == 1 << 30
    with path.open("rb") as data:
        assert data.read(1 << 20) == image.read_bytes()
    assert not (tmp_path / "pool/_base").exists()


def test_a_failure_leaves_nothing_under_any_name(tmp_path: Path, image: Path) -> None:
    mine = disks(tmp_path / "pool")
    with pytest.raises(StorageError):
        mine.make(spec(A, image_format="qcow2"), {IMAGE: image})  # it is not a qcow2
    with pytest.raises(ImageUnavailable, match="no host has the image"):
        mine.make(spec(A), {})
    assert [path for path in (tmp_path / "pool").rglob("*") if path.is_file()] == []


def test_target_disks_only_where_storage_is_not_shared(tmp_path: Path, image: Path) -> None:
    shared, one, two = tmp_path / "shared", tmp_path / "one", tmp_path / "two"
    source, destination = disks(shared, one), disks(shared, two)
    b = DiskSpec(target="vdb", pool="b", size_gb=2)
    raw = DiskSpec(target="vdc", pool="b", size_gb=1, format="raw")
    over = DiskSpec(target="vdd", pool="b", size_gb=1, image_id=IMAGE)
    instance = spec(A, b, raw, over, kernel=IMAGE)
    source.make(instance, {IMAGE: image})
    before = source.facts(instance)
    guest = GuestDescription(disks=tuple(before), storage=source.identities())
    destination.make_targets(instance, guest, {IMAGE: image})
    destination.make_targets(instance, guest, {})  # nothing is missing, so no image is needed
    after = destination.facts(instance)
    assert [(f.format, f.virtual_bytes, f.backing_image_id) for f in after] == [
        (f.format, f.virtual_bytes, f.backing_image_id) for f in before
    ]
    assert after[0].path == before[0].path
    assert all(str(two) in fact.path for fact in after[1:])
    assert destination.boot_files(instance).kernel == shared / INSTANCE / "kernel"


def test_the_kernel_comes_along_when_the_first_pool_is_not_shared(tmp_path: Path, image: Path) -> None:
    source, destination = disks(tmp_path / "one"), disks(tmp_path / "two")
    instance = spec(A, kernel=IMAGE)
    source.make(instance, {IMAGE: image})
    guest = GuestDescription(disks=tuple(source.facts(instance)), storage=source.identities())
    destination.make_targets(instance, guest, {IMAGE: image})
    assert (tmp_path / "two" / INSTANCE / "kernel").read_bytes() == image.read_bytes()


def test_two_threads_make_one_disk(tmp_path: Path, image: Path) -> None:
    mine, errors = disks(tmp_path / "pool"), list[Exception]()

    def make() -> None:
        try:
            mine.make(spec(A), {IMAGE: image})
        except StorageError as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(p.name for p in (tmp_path / "pool" / INSTANCE).iterdir()) == ["disk"]


def test_what_a_killed_process_left_is_cleared_away_in_time(tmp_path: Path, image: Path) -> None:
    home = tmp_path / "pool" / INSTANCE
    home.mkdir(parents=True)
    old, young = home / ".disk.1.part", home / ".disk.2.part"
    for part in (old, young):
        part.touch()
    os.utime(old, (1, 1))
    disks(tmp_path / "pool").make(spec(A), {IMAGE: image})
    assert (old.exists(), young.exists()) == (False, True)


def test_a_config_drive_is_made_once_beside_the_disks(tmp_path: Path, image: Path) -> None:
    mine = disks(tmp_path / "pool")
    mine.make(spec(A, CONFIG), {IMAGE: image}, "s3cret")
    fact = mine.facts(spec(A, CONFIG))[1]
    assert (Path(fact.path).name, fact.exists, fact.readonly, fact.format) == ("disk.config", True, True, "raw")
    before = Path(fact.path).read_bytes()
    assert b"s3cret" in before
    mine.make(spec(A, CONFIG), {}, "other")
    assert Path(fact.path).read_bytes() == before


def test_a_live_moves_destination_keeps_the_config_drive_that_was_copied_and_makes_none(
    tmp_path: Path, image: Path
) -> None:
    source, destination = disks(tmp_path / "one"), disks(tmp_path / "two")
    instance = spec(A, CONFIG)
    source.make(instance, {IMAGE: image})
    guest = GuestDescription(disks=tuple(source.facts(instance)[:1]), storage=source.identities())
    with pytest.raises(StorageError, match="has not come here from the source"):
        destination.make_targets(instance, guest, {IMAGE: image})
    drive = destination.path(INSTANCE, CONFIG)
    assert not drive.exists()
    drive.write_bytes(b"as it was")
    destination.make_targets(instance, guest, {IMAGE: image})
    assert drive.read_bytes() == b"as it was"


def test_only_a_config_drive_of_the_instance_is_one(tmp_path: Path) -> None:
    mine = disks(tmp_path / "pool")
    assert mine.config_drives(spec(A, CONFIG), ["sda"]) == {"sda": ("a", mine.path(INSTANCE, CONFIG))}
    for target in ("vda", "memory", "sdb", "../sda"):
        with pytest.raises(StorageError, match="is no config drive"):
            mine.config_drives(spec(A, CONFIG), ["sda", target])


def test_disks_grow_and_never_shrink(tmp_path: Path, image: Path) -> None:
    mine = disks(tmp_path / "pool")
    instance = spec(A, DiskSpec(target="vdb", pool="a", size_gb=1, format="raw"), CONFIG)
    larger = spec(*(disk.model_copy(update={"size_gb": disk.size_gb * 3}) for disk in instance.disks))
    with pytest.raises(StorageError, match="missing"):
        mine.grow(larger)
    mine.make(instance, {IMAGE: image})
    for _ in range(2):
        mine.grow(larger)
    mine.grow(instance)
    assert [fact.virtual_bytes for fact in mine.facts(instance)][:2] == [3 << 30, 3 << 30]


def test_what_a_guest_wrote_into_a_raw_disk_is_no_header(tmp_path: Path) -> None:
    mine = disks(tmp_path / "pool")
    raw = DiskSpec(target="vda", pool="a", size_gb=1, format="raw")
    mine.make(spec(raw), {})
    sly = tmp_path / "sly"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", sly, "1G"], check=True)
    with mine.path(INSTANCE, raw).open("r+b") as disk:
        disk.write(sly.read_bytes())
    fact = mine.facts(spec(raw))[0]
    assert (fact.format, fact.virtual_bytes, fact.backing_image_id) == ("raw", 1 << 30, None)


def test_disks_that_a_domain_has_and_the_instance_does_not(tmp_path: Path, image: Path) -> None:
    mine = disks(tmp_path / "pool")
    mine.make(spec(A), {IMAGE: image})
    own = mine.facts(spec(A))[0].path
    (tmp_path / "link").symlink_to(tmp_path / "pool")
    same = f"{tmp_path}/link/{INSTANCE}/disk"
    for found in ({}, {"vda": own}, {"vda": same}, {"vda": "/where/the/pool/was/before/disk"}):
        assert mine.unknown_disks(spec(A), found) == []
    assert mine.unknown_disks(spec(A), {"vda": str(image)}) == [f"vda is {image}"]
    assert mine.unknown_disks(spec(A), {"vda": own, "vdz": "network"}) == ["vdz is network"]


@pytest.mark.parametrize("remembered", [True, False])
def test_a_base_of_the_same_id_and_another_content_is_refused(tmp_path: Path, image: Path, remembered: bool) -> None:
    """The image was deleted and another one made under its id: a disk over the wrong one would be corrupt."""
    mine, source = disks(tmp_path / "pool"), disks(tmp_path / "source")
    other = tmp_path / "other"
    other.write_bytes(os.urandom(1 << 20))

    def made_from(content: Path) -> InstanceSpec:
        checksum = hashlib.sha256(content.read_bytes()).hexdigest()
        images = (ImageRef(id=IMAGE, size_bytes=0, checksum_sha256=checksum, disk_format="raw"),)
        return spec(A).model_copy(update={"images": images})

    old, new = made_from(image), made_from(other)
    mine.make(old, {IMAGE: image})
    mine.remove(INSTANCE, ["a"])
    if not remembered:
        (tmp_path / "pool/_base" / f"{IMAGE}.sha256").unlink()
    source.make(new, {IMAGE: other})
    guest = GuestDescription(disks=tuple(source.facts(new)), storage=source.identities())
    attempts: tuple[Callable[[], None], ...] = (
        lambda: mine.make(new, {IMAGE: other}),
        lambda: mine.make_targets(new, guest, {IMAGE: other}),
        lambda: mine.prepare_copy(new, guest, ["vda"], {IMAGE: other}),
    )
    for attempt in attempts:
        with pytest.raises(StorageError, match="another image of the same id"):
            attempt()
    mine.make(old, {IMAGE: image})
    assert mine.facts(old)[0].exists


def test_an_image_whose_extents_are_files_of_the_host_is_refused(tmp_path: Path) -> None:
    """A vmdk may be a list of files by their paths: the guest would read them as its disk."""
    whole, parts, secret = tmp_path / "whole", tmp_path / "parts", tmp_path / "secret"
    secret.write_bytes(b"secret" * 200_000)
    for path, kind in ((whole, "monolithicSparse"), (parts, "monolithicFlat")):
        subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-o", f"subformat={kind}", path, "1M"], check=True)
    parts.write_bytes(parts.read_bytes().replace(b'"parts-flat"', f'"{secret}"'.encode()))
    mine = disks(tmp_path / "pool")
    for disk in (A, A.model_copy(update={"format": "raw", "size_gb": 0})):
        with pytest.raises(StorageError, match="refers to another file"):
            mine.make(spec(disk, image_format="vmdk"), {IMAGE: parts})
        mine.make(spec(disk, image_format="vmdk"), {IMAGE: whole})
        mine.remove(INSTANCE, ["a"])
        shutil.rmtree(tmp_path / "pool/_base", ignore_errors=True)


@pytest.mark.parametrize(
    ("image_format", "options"), [("vmdk", "subformat=monolithicFlat"), ("qcow2", "data_file={other}")]
)
def test_what_an_image_refers_to_is_not_even_opened(tmp_path: Path, image_format: str, options: str) -> None:
    """Opened, the fifo would hold up every build on the host, and a watchdog would reset it."""
    path, other = tmp_path / "parts", tmp_path / "parts-flat"
    arguments = ["-f", image_format, "-o", options.format(other=other), str(path), "1M"]
    subprocess.run(["qemu-img", "create", "-q", *arguments], check=True)
    other.unlink()
    os.mkfifo(other)
    opened = Opened(other)
    opened.start()
    with pytest.raises(StorageError, match="refers to another file"):
        disks(tmp_path / "pool").make(spec(A, image_format=image_format), {IMAGE: path})
    opened.end.set()
    opened.join()
    assert not opened.found


def test_a_copy_finds_its_images_and_boot_files_prepared(tmp_path: Path, image: Path) -> None:
    source, destination = disks(tmp_path / "one"), disks(tmp_path / "two")
    instance = spec(A, kernel=IMAGE)
    source.make(instance, {IMAGE: image})
    guest = GuestDescription(disks=tuple(source.facts(instance)))
    destination.prepare_copy(instance, guest, ["vda"], {IMAGE: image})
    destination.prepare_copy(instance, guest, ["vda"], {})
    assert (tmp_path / "two/_base" / IMAGE).read_bytes() == image.read_bytes()
    assert (tmp_path / "two" / INSTANCE / "kernel").exists()
    assert not destination.facts(instance)[0].exists
