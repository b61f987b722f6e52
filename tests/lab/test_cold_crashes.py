"""``kill -9``, a pulled cable and a lost host amid a cold migration: nothing is lost and nothing runs twice.

One guest goes through all of them, so what one leaves behind would show in the next.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from migrator.lab import LabHost
from tests.lab.cluster import Cluster
from tests.lab.guests import SLOW_MIB_S, Guest, booted
from tests.waiting import wait_for

pytestmark = pytest.mark.lab


@dataclass
class Move:
    """A cold migration that was begun."""

    guest: Guest
    source: LabHost
    destination: LabHost
    boots: int

    @property
    def cluster(self) -> Cluster:
        return self.guest.cluster

    def everybody_dies(self) -> None:
        """Server and both agents; they come back a second later."""
        self.source.kill_agent()
        self.destination.kill_agent()
        self.cluster.kill_server()
        time.sleep(1)
        self.cluster.start_server()
        for host in (self.source, self.destination):
            self.cluster.start_agent(host)


@pytest.fixture(scope="module")
def guest(cluster: Cluster, filled: str) -> Iterator[Guest]:
    with booted(cluster, filled, "local") as made:
        yield made


@pytest.fixture
def move(guest: Guest) -> Iterator[Move]:
    """Begun, over a slow cable."""
    begun = Move(guest, guest.host, guest.another(), len(guest.ticks.boots))
    begun.destination.limit_link(SLOW_MIB_S)
    try:
        guest.act("migrate", {"host": begun.destination.name})
        yield begun
    finally:
        begun.destination.limit_link(None)


def source_agent_killed(move: Move) -> None:
    move.source.kill_agent()
    time.sleep(1)
    move.cluster.start_agent(move.source)


def destination_agent_killed(move: Move) -> None:
    move.destination.kill_agent()
    time.sleep(1)
    move.cluster.start_agent(move.destination)


def source_libvirtd_killed(move: Move) -> None:
    move.source.kill_libvirtd()
    time.sleep(1)
    move.source.start_libvirtd()


def server_killed(move: Move) -> None:
    move.cluster.kill_server()
    time.sleep(1)
    move.cluster.start_server()


def source_cut_off(move: Move) -> None:
    move.source.cut_link()
    time.sleep(4)
    move.source.restore_link()


def destination_cut_off(move: Move) -> None:
    move.destination.cut_link()
    time.sleep(4)
    move.destination.restore_link()


FAULTS = (
    source_agent_killed,
    destination_agent_killed,
    source_libvirtd_killed,
    server_killed,
    source_cut_off,
    destination_cut_off,
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_during_the_copy(move: Move, fault: Callable[[Move], None]) -> None:
    """The copy goes on or begins anew, and ends; or the instance runs on its source as if nothing had been asked."""
    guest = move.guest
    guest.wait_copying(move.destination)
    fault(move)
    move.destination.limit_link(None)
    ended = finish(move)
    guest.ticks.wait_boots(move.boots + 1)
    if ended == "confirmed":
        guest.assert_runs_only_here(move.destination)
    else:
        assert guest.operation()["error"], guest.timeline()
        guest.assert_runs_only_here(move.source)


def finish(move: Move) -> str:
    """Confirm it, if it came so far; the operation's last status."""
    guest = move.guest

    def so_far() -> bool:
        found = guest.operation()
        return found["status"] == "finished" or not found["active"]

    wait_for(so_far, 90, "the move to come so far")
    if guest.operation()["active"]:
        guest.act("confirmResize", status=204)
    return str(guest.wait_over()["status"])


def test_between_stop_and_start(move: Move) -> None:
    guest = move.guest
    wait_for(lambda: guest.cluster.runners(guest.uuid) == [], 30, "the guest to stop")
    move.everybody_dies()
    assert guest.cluster.runners(guest.uuid) == []
    move.destination.limit_link(None)
    assert finish(move) == "confirmed", guest.timeline()
    guest.ticks.wait_boots(move.boots + 1)
    guest.assert_runs_only_here(move.destination)


def test_in_verify_resize_and_during_confirm(move: Move) -> None:
    guest = move.guest
    move.destination.limit_link(None)
    guest.wait("finished")
    move.everybody_dies()
    assert guest.operation()["status"] == "finished"
    assert guest.cluster.runners(guest.uuid) == [move.destination.name]
    guest.act("confirmResize", status=204)
    move.everybody_dies()
    guest.wait("confirmed")
    guest.wait_over()
    guest.ticks.wait_boots(move.boots + 1)
    guest.assert_runs_only_here(move.destination)


def test_during_revert(move: Move) -> None:
    guest = move.guest
    move.destination.limit_link(None)
    guest.wait("finished")
    guest.ticks.wait_boots(move.boots + 1)
    guest.act("revertResize")
    move.everybody_dies()
    guest.wait("reverted")
    guest.wait_over()
    guest.ticks.wait_boots(move.boots + 2)
    guest.assert_runs_only_here(move.source)


def test_the_destination_is_destroyed_during_the_copy(move: Move) -> None:
    """The instance runs on its source before the destination is back; then that one cleans up what it has."""
    guest = move.guest
    guest.wait_copying(move.destination)
    move.destination.power_off()
    move.destination.limit_link(None)
    guest.ticks.wait_boots(move.boots + 1, timeout=90)
    guest.ticks.wait_host(move.source.name)
    assert guest.directory(move.destination).exists()
    move.destination.power_on()
    guest.cluster.start_agent(move.destination)
    assert guest.wait_over()["error"], guest.timeline()
    guest.assert_runs_only_here(move.source)
