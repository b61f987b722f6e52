"""``kill -9`` and a pulled cable in the middle of a real transfer: the guest runs once, and every part knows where."""

import re
import signal
import time
from collections.abc import Iterator

import pytest

from tests.lab.cluster import Cluster, process_of
from tests.lab.flights import BANDWIDTH_MIB_S, Flight, assert_safe, flown
from tests.waiting import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def slow(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with a server that limits every transfer's bandwidth."""
    cluster.serve(live_migration_bandwidth=BANDWIDTH_MIB_S)
    yield cluster
    cluster.serve()


@pytest.fixture
def flight(slow: Cluster, request: pytest.FixtureRequest) -> Iterator[Flight]:
    with flown(slow, getattr(request, "param", "shared")) as begun:
        yield begun


def test_server_killed(flight: Flight) -> None:
    flight.cluster.kill_server()
    time.sleep(1)
    flight.cluster.start_server()
    assert assert_safe(flight) == "completed"


def test_source_agent_killed_and_its_successor_reattaches(flight: Flight) -> None:
    epoch = flight.cluster.operation(flight.uuid)["epoch"]
    flight.source.kill_agent()
    time.sleep(1)
    flight.cluster.start_agent(flight.source)
    assert assert_safe(flight) == "completed"
    assert flight.cluster.operation(flight.uuid)["epoch"] == epoch  # neither aborted nor begun again


def test_source_agent_dead_until_the_transfer_is_over(flight: Flight) -> None:
    flight.source.kill_agent()
    flight.ticks.wait_host(flight.destination.name, timeout=60)
    flight.cluster.start_agent(flight.source)
    assert assert_safe(flight) == "completed"


def test_destination_agent_killed(flight: Flight) -> None:
    flight.destination.kill_agent()
    time.sleep(1)
    flight.cluster.start_agent(flight.destination)
    assert assert_safe(flight) == "completed"


def test_source_libvirtd_killed(flight: Flight) -> None:
    flight.source.kill_libvirtd()
    time.sleep(1)
    flight.source.start_libvirtd()
    assert assert_safe(flight) != "completed"


def test_destination_libvirtd_killed(flight: Flight) -> None:
    flight.destination.kill_libvirtd()
    time.sleep(1)
    flight.destination.start_libvirtd()
    assert assert_safe(flight) != "completed"


@pytest.mark.parametrize("flight", ["local", "shared"], indirect=True)
def test_link_of_the_destination_cut_for_seconds(flight: Flight) -> None:
    flight.destination.cut_link()
    try:
        time.sleep(4)
    finally:
        flight.destination.restore_link()
    assert_safe(flight)


def test_link_of_the_source_cut_for_seconds(flight: Flight) -> None:
    flight.source.cut_link()
    try:
        time.sleep(4)
    finally:
        flight.source.restore_link()
    assert_safe(flight)


def test_destination_out_of_memory_at_the_last_moment(flight: Flight) -> None:
    """The kernel kills the QEMU that takes the guest in, when hardly anything is left to send."""
    wait_for(lambda: remaining_mib(flight) < 8, 60, "the end of the transfer")
    process_of(flight.destination, flight.uuid).send(signal.SIGKILL)
    assert assert_safe(flight) != "completed"


def remaining_mib(flight: Flight) -> float:
    """Of the guest's memory, as the source's libvirt counts; infinite while it counts nothing."""
    said = flight.source.run(["virsh", "domjobinfo", flight.uuid, "--rawstats"], check=False)
    found = re.search(r"memory_remaining: (\d+)", said)
    return int(found[1]) / (1 << 20) if found else float("inf")
