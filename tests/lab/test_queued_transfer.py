"""A migrate call that libvirtd holds, because the other libvirtd does not answer, outlives the agent that made it and
what was asked of the operation in that time: the guest runs once, and the record is true.

libvirt counts such a call as an active job from its first moment on, and ends it when it is told to, as soon as the
other end answers: so an operation whose call is held does not end before.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from migrator.compute.agent.worker import SETTLE_S
from migrator.lab import LabHost
from migrator.lab.process import Process
from tests.lab.cluster import Cluster
from tests.lab.flights import Flight, assert_safe
from tests.waiting import wait_for

pytestmark = pytest.mark.lab

LISTEN = 16509  # where the other libvirtd is called


@contextmanager
def frozen(process: Process | None) -> Iterator[Process]:
    """It does nothing within the block, and answers no call."""
    assert process is not None
    process.send(signal.SIGSTOP)
    try:
        yield process
    finally:
        process.send(signal.SIGCONT)


def calls(host: LabHost, destination: LabHost) -> bool:
    """Whether its libvirtd has connected to the other one's."""
    return bool(host.run(["ss", "-Htn", "state", "established", f"dst {destination.address}:{LISTEN}"], check=False))


def has_job(flight: Flight) -> bool:
    return "Outgoing migration" in flight.source.run(["virsh", "domjobinfo", flight.uuid], check=False)


@pytest.fixture(scope="module")
def patient(cluster: Cluster) -> Iterator[Cluster]:
    """With a server that takes no agent for dead that only stands still for a while, on however busy a machine."""
    cluster.serve(service_down_time=120)
    yield cluster
    cluster.serve()


@pytest.fixture
def queued(patient: Cluster) -> Iterator[Flight]:
    """The source's libvirtd has the call, and waits; the destination's does nothing until it is let go."""
    cluster = patient
    before = cluster.used_memory()
    uuid = cluster.boot("shared")
    source = cluster.where(uuid)
    destination = next(host for host in cluster.lab.hosts if host.name != source.name)
    with cluster.follow(uuid) as ticks:
        ticks.wait_ticks(10, timeout=60)
        with frozen(destination.agent):
            cluster.migrate(uuid, destination.name)
            wait_for(lambda: cluster.operation(uuid)["phase"] == "check", 20, "the destination to be asked")
            agent = source.agent
            assert agent is not None
            agent.send(signal.SIGSTOP)
        wait_for(lambda: cluster.operation(uuid)["phase"] == "transfer", 20, "the transfer to be asked for")
        with frozen(destination.libvirtd):
            agent.send(signal.SIGCONT)
            wait_for(lambda: calls(source, destination), 20, "the source's libvirtd to call the other one")
            try:
                yield Flight(cluster, uuid, source, destination, ticks, before)
            finally:  # what a failure left dead
                for host in (source, destination):
                    cluster.start_agent(host)
    cluster.delete(uuid)
    assert cluster.used_memory() == before


def let_go(flight: Flight) -> None:
    assert has_job(flight), "libvirt does not hold the call any more: nothing was tested"
    assert flight.destination.libvirtd is not None
    flight.destination.libvirtd.send(signal.SIGCONT)


def cancel(flight: Flight) -> None:
    path = f"/servers/{flight.uuid}/migrations/{flight.cluster.operation(flight.uuid)['id']}"
    assert flight.cluster.http.delete(path).status_code == 202


def test_a_cancelled_operation_does_not_end_before_the_call_that_libvirtd_holds(queued: Flight) -> None:
    """The agent is another one, and has only seen the job."""
    queued.source.kill_agent()
    cancel(queued)
    queued.cluster.start_agent(queued.source)
    time.sleep(3 * SETTLE_S)  # without a job for less than that, the transfer would be over
    operation = queued.cluster.operation(queued.uuid)
    assert (operation["active"], operation["phase"], operation["forward"]) == (True, "transfer", False), operation
    assert operation["waiting"] == f"{queued.source.name}: its transfer was told to end, and has not yet"
    let_go(queued)
    assert assert_safe(queued) == "cancelled"


def test_a_call_that_begins_after_its_operation_was_cancelled_and_its_agent_died_takes_the_record_along(
    queued: Flight,
) -> None:
    """No agent told libvirt to end it: the guest moves, once, and the operation turns forward again."""
    queued.source.kill_agent()
    cancel(queued)
    let_go(queued)
    queued.ticks.wait_host(queued.destination.name, timeout=60)
    assert queued.cluster.operation(queued.uuid)["active"]
    queued.cluster.start_agent(queued.source)
    assert assert_safe(queued) == "completed"


def test_a_call_whose_agents_and_server_died_ends_in_a_true_record(queued: Flight) -> None:
    queued.source.kill_agent()
    queued.destination.kill_agent()
    queued.cluster.kill_server()
    let_go(queued)
    queued.ticks.wait_host(queued.destination.name, timeout=60)
    queued.cluster.start_server()
    for host in (queued.source, queued.destination):
        queued.cluster.start_agent(host)
    assert assert_safe(queued) == "completed"
