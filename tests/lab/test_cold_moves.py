"""Cold migration and resize between real hosts: the guest finds the disk that it left, and both ways end clean."""

from collections.abc import Iterator

import pytest

from migrator.lab.content import content_sum
from tests.lab.cluster import MEMORY_MB, Cluster, wait_for
from tests.lab.guests import POOLS, Guest, booted

pytestmark = pytest.mark.lab

GIB = 1 << 30
LARGER_MB = MEMORY_MB + 32
LARGER = {"id": "larger-local", "name": "larger-local", "ram": LARGER_MB, "vcpus": 1, "disk": 2}


@pytest.fixture(params=["shared", "local"])
def guest(cluster: Cluster, filled: str, request: pytest.FixtureRequest) -> Iterator[Guest]:
    with booted(cluster, filled, request.param) as made:
        yield made


@pytest.fixture
def local(cluster: Cluster, filled: str) -> Iterator[Guest]:
    with booted(cluster, filled, "local") as made:
        yield made


@pytest.fixture(scope="module")
def larger(cluster: Cluster) -> str:
    made = cluster.http.post("/flavors", json={"flavor": LARGER})
    assert made.status_code == 200, made.text
    return str(made.json()["flavor"]["id"])


def test_a_cold_migration_keeps_the_disk_and_a_suspended_guest_counts_on(guest: Guest) -> None:
    source, destination = guest.host, guest.another()
    guest.act("migrate", {"host": destination.name})
    guest.wait("finished")
    assert guest.cluster.show(guest.uuid)["status"] == "VERIFY_RESIZE"
    if guest.pool == "local":  # the source's copy is kept until the move is confirmed
        assert content_sum(source, POOLS["local"] / guest.uuid / "disk") == guest.content.sum
    assert guest.cluster.runners(guest.uuid) == [destination.name]
    guest.act("confirmResize", status=204)
    guest.wait("confirmed")
    guest.ticks.wait_boots(2)
    guest.assert_runs_only_here(destination)

    guest.act("suspend")
    wait_for(lambda: guest.cluster.show(guest.uuid)["status"] == "SUSPENDED", 60, "the guest to be suspended")
    last = guest.ticks.last()
    guest.act("migrate", {"host": source.name})
    guest.wait("finished")
    guest.act("confirmResize", status=204)
    guest.wait("confirmed")
    assert guest.cluster.show(guest.uuid)["status"] == "SUSPENDED"
    assert guest.cluster.runners(guest.uuid) == []
    guest.act("resume")
    guest.ticks.wait_host(source.name)
    wait_for(lambda: guest.cluster.show(guest.uuid)["status"] == "ACTIVE", 60, "the guest to be resumed")
    assert len(guest.ticks.boots) == 2  # the same life
    resumed = next(tick for tick in guest.ticks.ticks if tick.host == source.name and tick.life == 2)
    assert last is not None
    assert last.number < resumed.number < last.number + 20
    guest.assert_runs_only_here(source)


def test_a_resize_is_reverted_and_then_confirmed(local: Guest, larger: str) -> None:
    source = local.host
    assert local.content.size == GIB
    local.act("resize", {"flavorRef": larger})
    local.wait("finished")
    assert local.host.name != source.name
    local.ticks.wait_boots(2)
    assert local.ticks.content().size == 2 * GIB
    local.act("revertResize")
    local.wait("reverted")
    local.ticks.wait_boots(3)
    assert local.ticks.content().size == GIB
    local.assert_runs_only_here(source)

    local.act("resize", {"flavorRef": larger})
    destination = local.wait("finished")["destination"]
    local.act("confirmResize", status=204)
    local.wait("confirmed")
    local.ticks.wait_boots(4)
    assert local.ticks.content().size == 2 * GIB
    local.assert_runs_only_here(local.cluster.host(destination), LARGER_MB)
