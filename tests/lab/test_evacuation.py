"""A host without power, and one that only seems to be: its instances live on elsewhere, once each."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from migrator.lab import LabHost
from tests.lab.cluster import MEMORY_MB, Cluster
from tests.lab.guests import Guest, booted, force_down
from tests.waiting import wait_for

pytestmark = pytest.mark.lab


def _forced_up(cluster: Cluster, host: LabHost) -> bool:
    return force_down(cluster, host, False).status_code == 200


def _evacuating(guest: Guest) -> bool:
    """Local disks are not given up while their host was heard a moment ago: the request is refused until then."""
    path = f"/servers/{guest.uuid}/action"
    return guest.cluster.http.post(path, json={"evacuate": {}}).status_code == 200


@pytest.fixture(autouse=True)
def healed(cluster: Cluster) -> Iterator[None]:
    """Whatever a test does to a host, and wherever it fails: the next one finds every host up."""
    yield
    for host in cluster.lab.hosts:
        if host.libvirtd_pid is None:
            host.power_on()
        if host.agent_pid is None:
            cluster.start_agent(host)
        wait_for(partial(_forced_up, cluster, host), 60, f"{host.name} to owe nothing")
    wait_for(lambda: len(cluster.services_up()) == len(cluster.lab.hosts), 60, "every host to be up")


@pytest.fixture
def shared(cluster: Cluster, filled: str) -> Iterator[Guest]:
    with booted(cluster, filled, "shared") as made:
        yield made


@pytest.fixture
def pair(cluster: Cluster, filled: str) -> Iterator[tuple[Guest, Guest]]:
    """One on shared storage and one on local disks, on one host."""
    with ExitStack() as stack:
        shared = stack.enter_context(booted(cluster, filled, "shared"))
        local = stack.enter_context(booted(cluster, filled, "local"))
        if local.host.name != shared.host.name:
            shared.act("os-migrateLive", {"host": local.host.name, "block_migration": "auto"})
            assert cluster.wait_operation(shared.uuid)["status"] == "completed"
        yield shared, local


def test_a_host_without_power_is_evacuated_and_comes_back(pair: tuple[Guest, Guest]) -> None:
    shared, local = pair
    cluster, host = shared.cluster, shared.host
    claimed = cluster.used_memory()
    host.power_off()
    assert force_down(cluster, host, True).status_code == 200
    for guest in pair:
        wait_for(partial(_evacuating, guest), 60, f"{host.name} to count as silent")
    for guest in pair:
        guest.wait("done")
        guest.ticks.wait_boots(2)
    kept, rebuilt = shared.ticks.first_content(), local.ticks.first_content()
    assert (kept.sum, kept.new) == (shared.content.sum, False)
    assert rebuilt.new  # from its image: what it had written is with the host that is gone
    assert all(guest.host.name != host.name for guest in pair)
    # What the lost host holds stays claimed until it has cleaned up, and until then it is not believed to be well.
    assert cluster.used_memory()[host.name] == claimed[host.name]
    refused = force_down(cluster, host, False)
    assert refused.status_code == 400
    assert "evacuat" in refused.text

    assert local.directory(host).exists()
    host.power_on()
    cluster.start_agent(host)
    for guest in pair:
        guest.wait("completed")
        assert guest.defined_on() == cluster.runners(guest.uuid) == [guest.host.name]
        assert guest.ticks.problems == []
    assert not local.directory(host).exists()
    (aside,) = local.directory(host).parent.glob(f".kept.{local.uuid}.*")
    assert (aside / "disk").stat().st_size > 0
    assert shared.ticks.wait_content().sum == shared.content.sum
    assert cluster.used_memory()[host.name] == claimed[host.name] - 2 * MEMORY_MB
    assert force_down(cluster, host, False).status_code == 200
    wait_for(lambda: host.name in cluster.services_up(), 30, f"{host.name} to be up")


def test_a_host_that_only_seems_dead_keeps_its_guest(shared: Guest) -> None:
    cluster, host = shared.cluster, shared.host
    host.kill_agent()
    assert force_down(cluster, host, True).status_code == 200
    shared.act("evacuate", {}, status=200)
    ended = shared.wait_over()
    assert ended["status"] == "error", shared.timeline()
    assert "its disk is locked" in ended["error"]["message"], ended
    shared.ticks.wait_ticks(10)
    assert len(shared.ticks.boots) == 1
    assert cluster.runners(shared.uuid) == [host.name]
    cluster.start_agent(host)
    assert force_down(cluster, host, False).status_code == 200
    wait_for(lambda: host.name in cluster.services_up(), 30, f"{host.name} to be up")
    shared.assert_runs_only_here(host)
