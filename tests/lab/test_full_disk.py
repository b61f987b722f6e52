"""A destination without room for the disk, found before the copy starts or while it runs: the guest stays as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from migrator.lab import LabHost
from migrator.lab.layout import LOCAL
from tests.lab.cluster import Cluster
from tests.lab.guests import Guest, booted
from tests.waiting import wait_for

pytestmark = pytest.mark.lab

MARKER = LOCAL / ".migrator-storage-id"
TOO_SMALL_MIB = 20
CRAWL_MIB_S = 1  # of the guest's 24 MiB most are still on their way when the disk has been filled
ROOMY_MIB = 1300  # the guest's whole disk of 1 GiB, and what a host asks for beside it


@pytest.fixture(scope="module")
def guest(cluster: Cluster, filled: str) -> Iterator[Guest]:
    with booted(cluster, filled, "local") as made:
        yield made


@contextmanager
def disk_of(host: LabHost, mib: int) -> Iterator[None]:
    """The host's local disk is another one of that size for a while; it passes for the one that the agent knows."""
    marker = host.run(["cat", str(MARKER)])
    host.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(LOCAL)])
    try:
        host.run(["sh", "-c", f"printf %s '{marker}' > {MARKER}"])
        yield
    finally:
        host.run(["umount", str(LOCAL)])


def left_on(host: LabHost) -> list[str]:
    """Files below the local disk that are neither the marker nor the test's own, nor a part of the image cache."""
    found = host.run(["find", str(LOCAL), "-type", "f"]).split()
    return [path for path in found if path not in (str(MARKER), f"{LOCAL}/hog") and "/_base/" not in path]


def test_too_small_before_the_copy(guest: Guest) -> None:
    source, destination = guest.host, guest.another()
    with disk_of(destination, TOO_SMALL_MIB):
        guest.act("migrate", {"host": destination.name})
        error = guest.wait_over()["error"]
        assert left_on(destination) == []
    assert (error["code"], error["phase"]) == ("check_failed", "check")
    assert "MiB free" in error["message"], error
    assert "1024 MiB needed" in error["message"], error
    assert len(guest.ticks.boots) == 1, "it was stopped for a move that could not be"
    guest.assert_runs_only_here(source)


def test_full_during_the_copy(guest: Guest) -> None:
    source, destination = guest.host, guest.another()
    lives = len(guest.ticks.boots)
    with disk_of(destination, ROOMY_MIB):
        destination.limit_link(CRAWL_MIB_S)
        try:
            guest.act("migrate", {"host": destination.name})
            guest.wait_phase("copy")
            wait_for(lambda: copied_mib(guest, destination) > 2, 30, "a part of the disk on the destination")
            destination.run(["sh", "-c", f"cat /dev/zero > {LOCAL}/hog"], check=False)
        finally:
            destination.limit_link(None)
        error = guest.wait_over()["error"]
        assert left_on(destination) == []
    assert error["phase"] == "copy"
    assert "is full" in error["message"], error
    guest.ticks.wait_boots(lives + 1)
    guest.assert_runs_only_here(source)


def copied_mib(guest: Guest, host: LabHost) -> int:
    """Really allocated there, in the host's own eyes."""
    shown = host.run(["du", "-sm", str(LOCAL / guest.uuid)], check=False).split()
    return int(shown[0]) if shown else 0
