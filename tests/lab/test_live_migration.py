"""A real guest, booted and moved over HTTP between real hosts, on shared storage and on local disks."""

import time

import pytest

from tests.lab.cluster import MEMORY_MB, Cluster
from tests.waiting import wait_for

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("pool", ["shared", "local"])
def test_a_guest_moves_and_counts_on(cluster: Cluster, pool: str) -> None:
    before = cluster.used_memory()
    uuid = cluster.boot(pool)
    source = cluster.where(uuid)
    with cluster.follow(uuid) as ticks:
        ticks.wait_ticks(20, timeout=60)
        began = time.monotonic()
        cluster.migrate(uuid)
        operation = cluster.wait_operation(uuid)
        assert operation["outcome"] == "completed" or operation["status"] == "completed", operation
        destination = cluster.where(uuid)
        ticks.wait_host(destination.name)
        ticks.wait_ticks(20)
        gap = ticks.max_gap_ms(since=began)
    assert destination.name != source.name
    assert cluster.runners(uuid) == [destination.name]
    assert ticks.problems == []
    assert len(ticks.boots) == 1
    assert ticks.disk_ok > 0
    assert gap < 5000
    claimed = {name: used - before[name] for name, used in cluster.used_memory().items()}
    assert claimed == {name: MEMORY_MB if name == destination.name else 0 for name in claimed}
    migration = cluster.http.get("/os-migrations", params={"instance_uuid": uuid}).json()["migrations"][0]
    assert (migration["status"], migration["migration_type"]) == ("completed", "live-migration")
    assert (migration["source_compute"], migration["dest_compute"]) == (source.name, destination.name)
    cluster.delete(uuid)
    assert cluster.used_memory() == before


def test_a_guest_moves_there_and_back(cluster: Cluster) -> None:
    uuid = cluster.boot("shared")
    source = cluster.where(uuid)
    other = next(host for host in cluster.lab.hosts if host.name != source.name)
    with cluster.follow(uuid) as ticks:
        ticks.wait_ticks(5, timeout=60)
        for goal in (other, source):
            cluster.migrate(uuid, goal.name)
            assert cluster.wait_operation(uuid)["status"] == "completed"
            ticks.wait_host(goal.name)
    assert cluster.runners(uuid) == [source.name]
    assert ticks.problems == []
    assert len(ticks.boots) == 1
    cluster.delete(uuid)


def _ask(cluster: Cluster, uuid: str, action: str, status: str) -> None:
    assert cluster.http.post(f"/servers/{uuid}/action", json={action: None}).status_code == 202
    wait_for(lambda: cluster.show(uuid)["status"] == status, 20, f"{status} after {action}")


def test_a_paused_guest_moves_and_goes_on_only_when_it_is_let(cluster: Cluster) -> None:
    uuid = cluster.boot("local")
    source = cluster.where(uuid)
    with cluster.follow(uuid) as ticks:
        ticks.wait_ticks(5, timeout=60)
        _ask(cluster, uuid, "pause", "PAUSED")
        time.sleep(1)  # what it said before has been read
        last = ticks.last()
        cluster.migrate(uuid)
        operation = cluster.wait_operation(uuid)
        assert operation["status"] == "completed", operation
        destination = cluster.where(uuid)
        assert destination.name != source.name
        assert cluster.show(uuid)["status"] == "PAUSED"
        assert "(user)" in destination.run(["virsh", "domstate", "--reason", uuid])
        assert ticks.last() == last
        _ask(cluster, uuid, "unpause", "ACTIVE")
        ticks.wait_host(destination.name)
        ticks.wait_ticks(5)
    assert cluster.runners(uuid) == [destination.name]
    assert ticks.problems == []
    assert len(ticks.boots) == 1
    cluster.delete(uuid)


def test_one_that_is_being_prepared_is_aborted(cluster: Cluster) -> None:
    before = cluster.used_memory()
    uuid = cluster.boot("local")
    with_it = cluster.used_memory()
    source = cluster.where(uuid)
    destination = next(host for host in cluster.lab.hosts if host.name != source.name)
    destination.kill_agent()  # so that it stays in that stage
    try:
        cluster.migrate(uuid, destination.name)
        wait_for(lambda: cluster.operation(uuid)["status"] == "preparing", 20, "the destination to be asked")
        aborted = cluster.http.delete(f"/servers/{uuid}/migrations/{cluster.operation(uuid)['id']}")
        assert aborted.status_code == 202
        assert cluster.wait_operation(uuid)["status"] == "cancelled"
        assert cluster.used_memory() == with_it
        assert cluster.runners(uuid) == [source.name]
    finally:
        cluster.start_agent(destination)
    wait_for(lambda: destination.name in cluster.services_up(), 30, f"{destination.name} to be up")
    cluster.delete(uuid)
    assert cluster.used_memory() == before
