"""A disk that was damaged between a cold migration and the operator's word: no copy is given up for it, the reason
names the file, and when the file is back the operation goes on.

Each damage puts another file in the place of the right one, which a running guest goes on with.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from migrator.lab import LabHost
from migrator.lab.layout import LOCAL
from tests.lab.cluster import Cluster
from tests.lab.guests import FILL_MIB, Guest, booted
from tests.waiting import wait_for

pytestmark = pytest.mark.lab

SECTOR = 512
Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def guest(cluster: Cluster, filled: str) -> Iterator[Guest]:
    with booted(cluster, filled, "local") as made:
        yield made


def halved(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def exchanged(file: Path) -> None:
    """For one of the same size, and with the same tables."""
    content = file.read_bytes()
    file.write_bytes(content[:-SECTOR] + bytes(byte ^ 0xFF for byte in content[-SECTOR:]))


def base(guest: Guest, host: LabHost) -> Path:
    """What its disk lies over."""
    image = str(guest.cluster.show(guest.uuid)["image"]["id"])
    return host.outside(LOCAL) / "_base" / image


def overlay(guest: Guest, host: LabHost) -> Path:
    return guest.directory(host) / "disk"


@contextmanager
def damaged(file: Path, damage: Damage) -> Iterator[None]:
    aside = file.with_name(f"{file.name}.right")
    file.rename(aside)
    try:
        shutil.copy2(aside, file)
        damage(file)
        yield
    finally:
        aside.rename(file)


DAMAGES = [
    (overlay, halved, "it was cut off"),
    (base, halved, "its tables lie behind its end"),
    (base, exchanged, "another image than the disk was made from"),
]


def moved(guest: Guest) -> tuple[LabHost, LabHost]:
    """From where, and to where; both have its disks."""
    source, destination = guest.host, guest.another()
    boots = len(guest.ticks.boots)
    guest.act("migrate", {"host": destination.name})
    guest.wait("finished")
    guest.ticks.wait_boots(boots + 1)
    return source, destination


def wait_refused(guest: Guest, message: str, file: Path) -> None:
    """Until the timeline tells why not, and the operator is asked again."""

    def refused() -> bool:
        told = [line for line in guest.timeline().splitlines() if message in line and file.name in line]
        return bool(told) and guest.cluster.show(guest.uuid)["status"] == "VERIFY_RESIZE"

    try:
        wait_for(refused, 60, f"the reason why {guest.uuid} is left as it is")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{guest.timeline()}") from error


def assert_nothing_is_lost(guest: Guest, destination: LabHost, copies: dict[LabHost, int]) -> None:
    """It goes on where it is, and of each host's copy nothing is gone."""
    assert guest.cluster.runners(guest.uuid) == [destination.name]
    guest.ticks.wait_ticks(5)
    kept = guest.ticks.content()
    assert (kept.sum, kept.bytes) == (guest.content.sum, FILL_MIB << 20)
    assert {host: overlay(guest, host).stat().st_ino for host in copies} == copies


def copies_of(guest: Guest, *hosts: LabHost) -> dict[LabHost, int]:
    return {host: overlay(guest, host).stat().st_ino for host in hosts}


@pytest.mark.parametrize(("part", "damage", "message"), DAMAGES)
def test_a_source_is_not_given_up_for_a_damaged_destination(
    guest: Guest, part: Callable[[Guest, LabHost], Path], damage: Damage, message: str
) -> None:
    source, destination = moved(guest)
    copies = copies_of(guest, source)
    with damaged(part(guest, destination), damage):
        guest.act("confirmResize", status=204)
        wait_refused(guest, message, part(guest, destination))
        assert_nothing_is_lost(guest, destination, copies)
    guest.act("confirmResize", status=204)
    guest.wait("confirmed")
    guest.assert_runs_only_here(destination)


@pytest.mark.parametrize(("part", "damage", "message"), DAMAGES[:2])
def test_a_destination_is_not_given_up_for_a_damaged_source(
    guest: Guest, part: Callable[[Guest, LabHost], Path], damage: Damage, message: str
) -> None:
    source, destination = moved(guest)
    copies, boots = copies_of(guest, destination), len(guest.ticks.boots)
    with damaged(part(guest, source), damage):
        guest.act("revertResize")
        wait_refused(guest, message, part(guest, source))
        assert_nothing_is_lost(guest, destination, copies)
    guest.act("revertResize")
    guest.wait("reverted")
    guest.ticks.wait_boots(boots + 1)
    guest.assert_runs_only_here(source)
