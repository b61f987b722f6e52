"""A power cut takes back what libvirt wrote and did not sync: a domain that it forgot is defined again, as it was.

So libvirtd is killed, the file of the definition is put back, and libvirtd starts: nothing runs twice, the newest disks
stay, and the move ends as it should.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.lab import LabHost
from tests.lab.cluster import Cluster
from tests.lab.flights import BANDWIDTH_MIB_S, Flight, assert_safe, flown
from tests.lab.guests import Guest, booted
from tests.waiting import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def slow(cluster: Cluster) -> Iterator[Cluster]:
    cluster.serve(live_migration_bandwidth=BANDWIDTH_MIB_S)
    yield cluster
    cluster.serve()


@pytest.fixture
def flight(slow: Cluster) -> Iterator[Flight]:
    with flown(slow, "local") as begun:
        try:
            yield begun
        finally:
            for host in (begun.source, begun.destination):  # those that a failure left dead
                slow.start_agent(host)


def definition(host: LabHost, uuid: str) -> Path:
    """Where libvirt keeps it, as seen from outside."""
    return host.directory / "etc/qemu" / f"{uuid}.xml"


def forgotten(host: LabHost, uuid: str) -> bool:
    return uuid not in host.run(["virsh", "list", "--uuid", "--all"]).split()


def cut_power_of_libvirtd(host: LabHost, uuid: str, before: bytes) -> None:
    """What it wrote last is undone."""
    host.kill_libvirtd()
    definition(host, uuid).write_bytes(before)
    host.start_libvirtd()
    assert not forgotten(host, uuid)


@pytest.mark.parametrize("first", ["source", "destination"])
def test_a_source_that_is_defined_again_is_not_taken_for_the_guest(flight: Flight, first: str) -> None:
    """Neither agent saw the transfer end. ``first``: the one that is back first."""
    cluster, uuid = flight.cluster, flight.uuid
    before = definition(flight.source, uuid).read_bytes()
    flight.source.kill_agent()
    flight.destination.kill_agent()
    flight.ticks.wait_host(flight.destination.name, timeout=60)
    wait_for(lambda: forgotten(flight.source, uuid), 30, "the source to forget the guest")
    cut_power_of_libvirtd(flight.source, uuid, before)
    if first == "source":
        cluster.start_agent(flight.source)
        silent = f"waiting for host {flight.destination.name}, which is silent"
        wait_for(lambda: (cluster.operation(uuid)["waiting"] or "").startswith(silent), 30, "the move to wait")
        assert cluster.runners(uuid) == [flight.destination.name]
        cluster.start_agent(flight.destination)
    else:
        cluster.start_agent(flight.destination)
        cluster.start_agent(flight.source)
    assert assert_safe(flight) == "completed"
    assert forgotten(flight.source, uuid)


@pytest.fixture
def guest(cluster: Cluster, filled: str) -> Iterator[Guest]:
    with booted(cluster, filled, "local") as made:
        yield made


def test_a_cold_move_ends_beside_a_source_that_is_defined_again_while_it_is_confirmed(guest: Guest) -> None:
    """Its agent is killed in the middle of the cleaning up, and finds the definition again, without disks."""
    cluster, source, destination = guest.cluster, guest.host, guest.another()
    guest.act("migrate", {"host": destination.name})
    guest.wait("finished")
    before = definition(source, guest.uuid).read_bytes()
    guest.act("confirmResize", status=204)
    wait_for(lambda: forgotten(source, guest.uuid), 60, "the source to forget the guest")
    source.kill_agent()
    told = not guest.operation()["active"]  # it was faster than we are: nothing asks it to clean up again, as below
    cut_power_of_libvirtd(source, guest.uuid, before)
    cluster.start_agent(source)
    guest.wait_over()
    wait_for(lambda: cluster.runners(guest.uuid) == [destination.name], 30, "the guest to run where it was moved to")
    guest.ticks.wait_ticks(5)
    assert guest.ticks.content().sum == guest.content.sum
    assert guest.ticks.problems == []
    if told:
        source.run(["virsh", "undefine", guest.uuid])
    assert forgotten(source, guest.uuid)


def test_a_destination_that_is_defined_again_after_a_revert_runs_nothing(guest: Guest) -> None:
    """Worse than a power cut can be, for an agent syncs what it had libvirt forget before it says so: the definition is
    back after the operation is over. It is off, has no disks, and stays so until an operator removes it."""
    cluster, source, destination = guest.cluster, guest.host, guest.another()
    guest.act("migrate", {"host": destination.name})
    guest.wait("finished")
    before = definition(destination, guest.uuid).read_bytes()
    guest.act("revertResize")
    guest.wait_over()
    destination.kill_agent()
    cut_power_of_libvirtd(destination, guest.uuid, before)
    cluster.start_agent(destination)
    cluster.wait_services()
    wait_for(lambda: cluster.runners(guest.uuid) == [source.name], 60, "the guest to run where it was before")
    guest.ticks.wait_ticks(5)
    assert guest.ticks.content().sum == guest.content.sum
    assert guest.ticks.problems == []
    assert not guest.directory(destination).exists()
    destination.run(["virsh", "undefine", guest.uuid])
