"""Cold migration and resize between real hosts: the guest finds the disk that it left, and both ways end clean."""

from collections.abc import Iterator

import pytest

from migrator.lab import LabHost
from migrator.lab.content import content_sum
from migrator.lab.layout import LOCAL
from tests.lab.cluster import MEMORY_MB, Cluster
from tests.lab.guests import Guest, booted
from tests.waiting import wait_for

pytestmark = pytest.mark.lab

GIB = 1 << 30
LARGER_MB = MEMORY_MB + 32


@pytest.fixture
def shared(cluster: Cluster, filled: str) -> Iterator[Guest]:
    with booted(cluster, filled, "shared") as made:
        yield made


@pytest.fixture
def local(cluster: Cluster, filled: str) -> Iterator[Guest]:
    with booted(cluster, filled, "local") as made:
        yield made


def make_larger(cluster: Cluster, pool: str) -> str:
    """A flavor's id."""
    name = f"larger-{pool}"
    flavor = {"id": name, "name": name, "ram": LARGER_MB, "vcpus": 1, "disk": 2}
    made = cluster.http.post("/flavors", json={"flavor": flavor})
    assert made.status_code == 200, made.text
    specs = {"extra_specs": {"migrator:storage": pool}}
    assert cluster.http.post(f"/flavors/{name}/os-extra_specs", json=specs).status_code == 200
    return name


def confirm(guest: Guest) -> None:
    guest.act("confirmResize", status=204)
    guest.wait("confirmed")


def suspended_guest_counts_on_elsewhere(guest: Guest, destination: LabHost) -> None:
    """It is suspended, moved with its saved memory, and resumed there: the same life, and hardly a tick is missing."""
    lives = len(guest.ticks.boots)
    guest.act("suspend")
    wait_for(lambda: guest.cluster.show(guest.uuid)["status"] == "SUSPENDED", 60, "the guest to be suspended")
    assert guest.cluster.runners(guest.uuid) == []
    last = guest.ticks.last()
    guest.act("migrate", {"host": destination.name})
    guest.wait("finished")
    guest.ticks.wait_host(destination.name)
    confirm(guest)
    assert len(guest.ticks.boots) == lives
    assert last is not None
    resumed = next(tick for tick in guest.ticks.ticks if tick.host == destination.name and tick.at > last.at)
    assert last.number < resumed.number < last.number + 20


def test_on_shared_storage_a_guest_grows_and_moves_suspended(shared: Guest) -> None:
    source = shared.host
    shared.act("resize", {"flavorRef": make_larger(shared.cluster, "shared")})
    destination = shared.cluster.host(shared.wait("finished")["destination"])
    assert destination.name != source.name
    assert shared.cluster.show(shared.uuid)["status"] == "VERIFY_RESIZE"
    shared.ticks.wait_boots(2)
    assert (shared.content.size, shared.ticks.content().size) == (GIB, 2 * GIB)
    confirm(shared)
    shared.assert_runs_only_here(destination, LARGER_MB)
    suspended_guest_counts_on_elsewhere(shared, source)
    shared.assert_runs_only_here(source, LARGER_MB)


def test_on_local_disks_a_resize_is_reverted_and_a_suspended_guest_takes_its_memory_along(local: Guest) -> None:
    source = local.host
    local.act("resize", {"flavorRef": make_larger(local.cluster, "local")})
    destination = local.cluster.host(local.wait("finished")["destination"])
    assert local.cluster.runners(local.uuid) == [destination.name] != [source.name]
    local.ticks.wait_boots(2)
    assert (local.content.size, local.ticks.content().size) == (GIB, 2 * GIB)
    # The source's copy is kept, as it was, until the move is confirmed.
    assert content_sum(source, LOCAL / local.uuid / "disk") == local.content.sum
    local.act("revertResize")
    local.wait("reverted")
    local.ticks.wait_boots(3)
    assert local.ticks.content().size == GIB
    local.assert_runs_only_here(source)
    suspended_guest_counts_on_elsewhere(local, destination)
    local.assert_runs_only_here(destination)
