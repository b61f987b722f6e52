"""A transfer that is in its middle, and what holds of it however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from migrator.lab import LabHost
from migrator.lab.layout import SHARED
from migrator.lab.ticks import TickFollower
from tests.lab.cluster import MEMORY_MB, Cluster

BANDWIDTH_MIB_S = 8  # some 60 MiB take long enough to have a middle


@dataclass
class Flight:
    """A transfer that is in its middle."""

    cluster: Cluster
    uuid: str
    source: LabHost
    destination: LabHost
    ticks: TickFollower
    claims_before: dict[str, int]


@contextmanager
def flown(cluster: Cluster, pool: str) -> Iterator[Flight]:
    """A guest of its own, deleted at the end without a trace; the server limits every transfer's bandwidth."""
    before = cluster.used_memory()
    uuid = cluster.boot(pool)
    source = cluster.where(uuid)
    destination = next(host for host in cluster.lab.hosts if host.name != source.name)
    with cluster.follow(uuid) as ticks:
        ticks.wait_ticks(10, timeout=60)
        cluster.migrate(uuid, destination.name)
        cluster.wait_transfer(uuid, source)
        yield Flight(cluster, uuid, source, destination, ticks, before)
    cluster.delete(uuid)
    assert cluster.used_memory() == before


def assert_safe(flight: Flight) -> str:
    """Every rule that holds however it went; gives the operation's status."""
    cluster = flight.cluster
    operation = cluster.wait_operation(flight.uuid)
    host = cluster.where(flight.uuid)
    # A guest whose host was cut off waits for its disk until GlusterFS has found its brick again, and so does each
    # process that looks at the mount: 42 s (network.ping-timeout) where the cut was not noticed at once.
    flight.ticks.wait_ticks(15, timeout=90)
    for each in cluster.lab.hosts:
        each.run(["ls", str(SHARED)], timeout=90)
    assert cluster.runners(flight.uuid) == [host.name]
    last = flight.ticks.last()
    assert last is not None
    assert last.host == host.name
    assert flight.ticks.problems == []
    assert len(flight.ticks.boots) == 1
    used = {name: used - flight.claims_before[name] for name, used in cluster.used_memory().items()}
    assert used == {name: MEMORY_MB if name == host.name else 0 for name in used}
    shown = cluster.show(flight.uuid)
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", None)
    if operation["status"] == "completed":
        assert host.name == flight.destination.name
    else:
        assert host.name == flight.source.name
        assert operation["error"], operation
    return str(operation["status"])
