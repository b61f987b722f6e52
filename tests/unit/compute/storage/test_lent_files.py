"""A running guest's config drive, where another host reads it: links to it, and nothing that a guest writes to."""

import os
from pathlib import Path

import pytest

from migrator.compute.storage import idle_base_images, qemu_img
from migrator.compute.storage.disks import Disks
from migrator.compute.storage.lent_files import LENT, lend, take_back
from migrator.errors import StorageError
from migrator.protocol import CopiedInputs, DiskSpec, Ensure, Fact, ImageRef, OfferedInputs, Role
from tests.unit.compute.agent.cold_steps import sums
from tests.unit.compute.agent.two_hosts import BUILD, SPEC, World

HOME = "3d4ee7a4-8c13-4d28-9f1a-0a4de1d0a2f5"
DRIVE = DiskSpec(target="sda", pool="local", format="raw", size_gb=0, config_drive=True)
BOTH = SPEC.model_copy(update={"disks": (*SPEC.disks, DRIVE)})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / HOME
    home.mkdir()
    (home / "disk").write_bytes(b"QFI\xfb written by a guest")
    (home / "disk.config").write_bytes(b"an ISO")
    return home


def test_the_directory_holds_links_to_what_is_lent_and_nothing_else(home: Path) -> None:
    drive = home / "disk.config"
    directory = lend(home, [drive])
    (directory / "left-by-another").write_bytes(b"x")
    (directory / "disk.config").unlink()
    (directory / "disk.config").write_bytes(b"another file")
    for _ in range(2):
        assert lend(home, [drive]) == directory == home / LENT
        assert [path.name for path in directory.iterdir()] == ["disk.config"]
        assert (directory / "disk.config").samefile(drive)
    assert directory.stat().st_mode & 0o777 == 0o700
    for _ in range(2):
        take_back(home)
        assert sorted(path.name for path in home.iterdir()) == ["disk", "disk.config"]
    take_back(home / "nowhere")
    assert drive.read_bytes() == b"an ISO"


@pytest.mark.parametrize("what", ["missing", "symlink", "fifo", "image", "directory-is-a-link"])
def test_what_is_no_plain_file_or_looks_like_an_image_is_not_lent(home: Path, tmp_path: Path, what: str) -> None:
    drive = home / "disk.config"
    if what == "directory-is-a-link":
        (tmp_path / "elsewhere").mkdir()
        (home / LENT).symlink_to(tmp_path / "elsewhere")
    else:
        drive.unlink()
    if what == "symlink":
        drive.symlink_to("/etc/hostname")
    elif what == "fifo":
        os.mkfifo(drive)
    elif what == "image":
        drive.write_bytes(b"QFI\xfb")
    with pytest.raises(StorageError):
        lend(home, [drive])


def test_images_under_disks_are_found_idle_although_a_config_drive_is_lent(home: Path) -> None:
    image = "11111111-2222-4333-8444-555555555555"
    (home.parent / "_base").mkdir()
    (home.parent / "_base" / image).write_bytes(b"x")
    (home / "disk").write_bytes(b"raw")
    lend(home, [home / "disk.config"])
    assert idle_base_images.find(home.parent) == [home.parent / "_base" / image]


def test_an_image_under_disks_is_lent_beside_a_config_drive_and_only_if_it_names_no_other_file(tmp_path: Path) -> None:
    disks = Disks({"local": tmp_path}, "local")
    ref = ImageRef(id="11111111-2222-4333-8444-555555555555", size_bytes=1, checksum_sha256="", disk_format="qcow2")
    spec = BOTH.model_copy(update={"images": (ref,), "kernel_id": None, "ramdisk_id": None})
    home, base = tmp_path / spec.uuid, tmp_path / "_base" / ref.id
    for directory in (home, base.parent):
        directory.mkdir(exist_ok=True)
    assert disks.lendable_images(spec, [ref.id]) == {}
    (home / "disk.config").write_bytes(b"an ISO")
    qemu_img.create(base, "qcow2", 1 << 20)
    assert disks.lendable_images(spec, []) == {}
    assert disks.lendable_images(spec, [ref.id]) == {ref.id: ("local", base)}
    directory = lend(home, [home / "disk.config"], [base])
    assert sorted(path.name for path in directory.iterdir()) == [ref.id, "disk.config"]
    base.unlink()
    qemu_img.overlay(base, "/etc/hostname", "raw", 1 << 20)
    with pytest.raises(StorageError):
        disks.lendable_images(spec, [ref.id])


# --- the workers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    world = World()
    fact = world.act("a", Ensure.RUNNING, kind="build", operation_id=BUILD, role=Role.DESTINATION, instance=BOTH)
    assert fact.problem is None
    return world


def lent(world: World, *targets: str) -> Fact:
    return world.act("a", Ensure.LENT, OfferedInputs(copy_disks=targets), instance=BOTH)


@pytest.mark.parametrize("targets", [("vda",), ("sda", "vda"), ("memory",), ()])
def test_what_a_guest_writes_to_is_not_lent(world: World, targets: tuple[str, ...]) -> None:
    fact = lent(world, *targets)
    assert fact.problem is not None
    assert (fact.problem.code, fact.problem.final) == ("conflict", True)
    assert "a.lend" not in world.calls
    assert world.simulation.hosts["a"].offers == {}


def test_a_running_guests_config_drive_is_copied_with_equal_sums(world: World) -> None:
    world.simulation.storages["local-a"].disks[BOTH.uuid, "sda"].token = "-one"
    for _ in range(100):
        mine = lent(world, "sda")
        guest = world.guest().model_copy(update={"disks": mine.disks})
        inputs = CopiedInputs(guest=guest, source_uri="simulated://a", copy_disks=("sda",))
        theirs = world.act("b", Ensure.COPIED, inputs, role=Role.DESTINATION, instance=BOTH)
        if sums(mine) and sums(theirs):
            break
        world.clock.now += 0.2
    assert mine.problem is theirs.problem is None
    assert [disk.target for disk in mine.disks] == ["sda"]
    assert sums(mine) == sums(theirs) != {}
    assert world.simulation.storages["local-b"].disks[BOTH.uuid, "sda"].token == "-one"
    assert world.simulation.running_on(BOTH.uuid) == ["a"]
    assert world.act("a", Ensure.WITHDRAWN, instance=BOTH).problem is None
    host = world.simulation.hosts["a"]
    assert (host.offers, host.lent) == ({}, {})


def test_a_drive_is_read_where_it_is_lent_and_nowhere_else(world: World) -> None:
    lent(world, "sda")
    guest = world.act("a", Ensure.MOVABLE, instance=BOTH).guest
    assert guest is not None
    inputs = CopiedInputs(guest=guest, source_uri="simulated://a", copy_disks=("sda",))
    fact = world.act("b", Ensure.COPIED, inputs, role=Role.DESTINATION, instance=BOTH)
    assert fact.problem is not None
    assert "does not lend" in fact.problem.message
