"""What nothing on a host uses: found, left alone for its time, then removed; and never a disk."""

import fcntl
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.compute.storage import base_images
from migrator.compute.storage.leftovers import Leftovers
from migrator.protocol import ImageRef, Leftover, LeftoverKind

DAY = 24 * 3600.0
FLOCK = "hhqqi0q"  # fcntl(2), struct flock: type, whence, start, length, pid
GONE, HERE = "5f0c6c52-7b1f-4d43-a4a3-9f0d2a2b0001", "5f0c6c52-7b1f-4d43-a4a3-9f0d2a2b0002"
IMAGE, OTHER = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0001", "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0002"
PART = ".disk.0123.part"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def write(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def overlay(path: Path, base: str) -> Path:
    """The head of a qcow2 that lies over a base, as qemu-img writes it."""
    name = f"../_base/{base}".encode()
    return write(path, struct.pack(">4sIQI", b"QFI\xfb", 3, 512, len(name)).ljust(512, b"\0") + name)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host(tmp_path: Path, clock: Clock) -> Callable[[], Leftovers]:
    """Each call is another process of the agent of a host with one pool."""
    return lambda: Leftovers(lambda: {"local": tmp_path / "pool"}, tmp_path / "state", DAY, clock)


def passed(leftovers: Leftovers, clock: Clock, days: float) -> list[str]:
    """What is removed when the time has passed; an agent looks often."""
    gone: list[Leftover] = []
    for _ in range(round(days / 0.05)):
        clock.now += 0.05 * DAY
        gone += leftovers.tidy({HERE})
    return [Path(one.path).name for one in gone]


def made(tmp_path: Path, kind: LeftoverKind) -> Path:
    pool, state = tmp_path / "pool", tmp_path / "state"
    if kind is LeftoverKind.DISKS:
        write(pool / GONE / "disk")
        return pool / GONE
    return write(
        {
            LeftoverKind.CONSOLE: state / "consoles" / f"{GONE}.log",
            LeftoverKind.IMAGE: state / "images" / f"{IMAGE}.0123456789abcdef",
            LeftoverKind.BASE: pool / "_base" / IMAGE,
            LeftoverKind.PART: pool / HERE / PART,
            LeftoverKind.MEMORY: pool / HERE / "memory.used",
        }[kind]
    )


@pytest.mark.parametrize("kind", sorted(set(LeftoverKind) - {LeftoverKind.DISKS, LeftoverKind.BASE}))
def test_it_is_shown_at_once_and_removed_when_its_time_has_passed(
    kind: LeftoverKind, tmp_path: Path, host: Callable[[], Leftovers], clock: Clock
) -> None:
    path, leftovers = made(tmp_path, kind), host()
    (one,) = leftovers.find({HERE})
    assert (one.kind, one.path, one.age_s, one.bytes > 0) == (kind, str(path), 0.0, True)
    assert passed(leftovers, clock, 0.9) == []
    assert passed(leftovers, clock, 0.2) == [path.name]
    assert not path.exists()
    assert leftovers.find({HERE}) == []


@pytest.mark.parametrize("kind", sorted(set(LeftoverKind) - {LeftoverKind.DISKS}))
def test_what_is_used_now_and_then_stays(
    kind: LeftoverKind, tmp_path: Path, host: Callable[[], Leftovers], clock: Clock
) -> None:
    path, leftovers = made(tmp_path, kind), host()
    for number in range(5):
        os.utime(path, ns=(number, number))
        assert passed(leftovers, clock, 0.9) == []
    assert path.exists()


def test_only_time_in_which_an_agent_ran_counts(tmp_path: Path, host: Callable[[], Leftovers], clock: Clock) -> None:
    made(tmp_path, LeftoverKind.CONSOLE)
    assert passed(host(), clock, 0.9) == []
    clock.now += 30 * DAY
    assert passed(host(), clock, 0.9) == []


def test_an_instances_directory_is_shown_and_never_removed(
    tmp_path: Path, host: Callable[[], Leftovers], clock: Clock
) -> None:
    home, leftovers = made(tmp_path, LeftoverKind.DISKS), host()
    write(tmp_path / "pool" / HERE / "disk")
    assert passed(leftovers, clock, 30) == []
    (one,) = leftovers.find({HERE})
    assert (one.kind, one.instance, one.pool, one.age_s > 29 * DAY) == (LeftoverKind.DISKS, GONE, "local", True)
    assert (home / "disk").exists()


def test_what_belongs_to_a_domain_that_is_here_is_not_left_over(tmp_path: Path, host: Callable[[], Leftovers]) -> None:
    write(tmp_path / "state" / "consoles" / f"{HERE}.log")
    write(tmp_path / "pool" / HERE / "disk")
    write(tmp_path / "state" / "consoles" / "notes.txt")
    write(tmp_path / "pool" / "lost+found" / PART)
    assert host().find({HERE}) == []


@pytest.mark.parametrize("home", [HERE, GONE, f".kept.{GONE}.{GONE}", f".dropped.{GONE}.{GONE}"])
def test_a_base_that_any_disk_in_the_pool_lies_over_stays(
    home: str, tmp_path: Path, host: Callable[[], Leftovers], clock: Clock
) -> None:
    """Whatever host's it is: storage may be shared."""
    base, leftovers = made(tmp_path, LeftoverKind.BASE), host()
    disk = overlay(tmp_path / "pool" / home / "disk", IMAGE)
    assert passed(leftovers, clock, 10) == []
    assert base.exists()
    disk.unlink()
    assert passed(leftovers, clock, 3) == [f".unused.{IMAGE}"]
    assert list(base.parent.iterdir()) == []


def test_a_base_goes_in_two_steps_and_comes_back_if_a_disk_was_laid_over_it_meanwhile(
    tmp_path: Path, host: Callable[[], Leftovers], clock: Clock
) -> None:
    base, leftovers = made(tmp_path, LeftoverKind.BASE), host()
    leftovers.tidy(())
    assert passed(leftovers, clock, 1.2) == []
    assert not base.exists()
    overlay(tmp_path / "pool" / GONE / "disk", IMAGE)
    leftovers.tidy(())
    assert base.read_bytes() == b"x"
    assert passed(leftovers, clock, 5) == [f".unused.{IMAGE}"]
    assert base.read_bytes() == b"x"


def test_a_base_comes_back_if_a_disk_that_is_only_half_made_may_lie_over_it(
    tmp_path: Path, host: Callable[[], Leftovers], clock: Clock
) -> None:
    base, leftovers = made(tmp_path, LeftoverKind.BASE), host()
    leftovers.tidy(())
    assert passed(leftovers, clock, 1.2) == []
    assert not base.exists()
    write(tmp_path / "pool" / GONE / PART)
    leftovers.tidy(())
    assert base.read_bytes() == b"x"


@pytest.mark.parametrize("name", [PART, "disk"])
def test_while_it_cannot_be_told_what_a_disk_lies_over_no_base_goes_and_their_time_goes_on(
    name: str, tmp_path: Path, host: Callable[[], Leftovers], clock: Clock
) -> None:
    """It is half made, or cannot be read."""
    base, leftovers = made(tmp_path, LeftoverKind.BASE), host()
    leftovers.tidy(())
    assert passed(leftovers, clock, 0.9) == []
    disk = tmp_path / "pool" / GONE / name
    if name == PART:
        write(disk)
    else:
        disk.parent.mkdir()
        disk.symlink_to("away")
    assert passed(leftovers, clock, 0.3) == []
    assert base.exists()
    disk.unlink()
    assert passed(leftovers, clock, 0.1) == []
    assert not base.exists(), "it was out of use for its whole time"


def test_what_a_process_has_locked_stays(tmp_path: Path, host: Callable[[], Leftovers], clock: Clock) -> None:
    """As QEMU locks what its guest uses."""
    log, leftovers = made(tmp_path, LeftoverKind.CONSOLE), host()
    with log.open("r+b") as held:
        fcntl.fcntl(held, fcntl.F_OFD_SETLK, struct.pack(FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 1, 0))
        assert passed(leftovers, clock, 3) == []
        assert log.exists()
    assert passed(leftovers, clock, 0.1) == [log.name]


def test_a_base_is_made_anew_under_a_name_that_was_given_up(
    tmp_path: Path, host: Callable[[], Leftovers], clock: Clock
) -> None:
    """The checksum of the old one must not be held against the new one."""
    pool, leftovers = tmp_path / "pool", host()
    for content in (b"old", b"new"):
        image = ImageRef(id=OTHER, size_bytes=3, checksum_sha256="", disk_format="raw")
        found = write(tmp_path / "fetched", content)
        base_images.make(pool, image, {OTHER: found}, base_images.BaseLocks())
        assert (pool / "_base" / OTHER).read_bytes() == content
        leftovers.tidy(())
        passed(leftovers, clock, 3)
        assert list((pool / "_base").iterdir()) == []
