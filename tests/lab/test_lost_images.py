"""Real hosts, and a catalogue that has lost an image with its kernel and ramdisk: guests move all the same."""

import shutil
import sqlite3
from collections.abc import Iterator

import pytest

from migrator.lab.image import KERNEL_ARGS, register_guest
from migrator.lab.layout import AGENT, LOCAL
from tests.lab.cluster import GUEST_ARGS, Cluster
from tests.lab.guests import GUEST_ARGS as FILLING
from tests.lab.guests import Guest, booted
from tests.waiting import wait_for

pytestmark = pytest.mark.lab


def lose_images(cluster: Cluster, image: str) -> None:
    """Rows and bytes, as by a registry that was set up anew; and what agents had kept of them, but for what lies under
    disks and beside them on the one host that needs it."""
    shown = cluster.http.get(f"{cluster.url}/image/v2/images/{image}").json()
    lost = [image, shown["kernel_id"], shown["ramdisk_id"]]
    cluster.kill_server()
    with sqlite3.connect(cluster.root / "migrator.db") as database:
        database.execute("DELETE FROM images WHERE id IN (?, ?, ?)", lost)
    database.close()
    for ident in lost:
        (cluster.root / "images" / ident).unlink()
    cluster.start_server()
    for host in cluster.lab.hosts:
        shutil.rmtree(host.outside(AGENT) / "images", ignore_errors=True)
    cluster.wait_services()


def bases(cluster: Cluster, image: str) -> list[str]:
    """Names of the hosts that have it under local disks."""
    return [host.name for host in cluster.lab.hosts if (host.outside(LOCAL) / "_base" / image).exists()]


@pytest.fixture
def guest(cluster: Cluster) -> Iterator[Guest]:
    image = register_guest(cluster.url, kernel_args=f"{KERNEL_ARGS} {FILLING}")
    with booted(cluster, image, "local") as made:
        assert bases(cluster, image) == [made.host.name]
        lose_images(cluster, image)
        yield made


def test_a_stopped_guest_moves_with_what_its_disk_lies_over(guest: Guest) -> None:
    destination, boots = guest.another(), len(guest.ticks.boots)
    guest.act("migrate", {"host": destination.name})
    guest.wait("finished")
    guest.act("confirmResize", status=204)
    guest.wait_over()
    guest.ticks.wait_boots(boots + 1)
    guest.assert_runs_only_here(destination)


def test_a_running_guest_moves_with_what_its_disk_lies_over(cluster: Cluster) -> None:
    image = register_guest(cluster.url, kernel_args=GUEST_ARGS)
    uuid = cluster.boot("local", image)
    source = cluster.where(uuid)
    destination = next(host for host in cluster.lab.hosts if host.name != source.name)
    with cluster.follow(uuid) as ticks:
        ticks.wait_ticks(10, timeout=60)
        lose_images(cluster, image)
        cluster.migrate(uuid, destination.name)
        operation = cluster.wait_operation(uuid)
        assert operation["status"] == "completed", (operation, cluster.timeline(uuid))
        ticks.wait_host(destination.name)
        ticks.wait_ticks(5)
        assert ticks.problems == []
        assert len(ticks.boots) == 1
    assert cluster.runners(uuid) == [destination.name]
    assert not list((source.outside(LOCAL)).glob(f"{uuid}/*"))
    # It boots anew with the kernel and the ramdisk that came along.
    assert cluster.http.post(f"/servers/{uuid}/action", json={"reboot": {"type": "HARD"}}).status_code == 202
    wait_for(lambda: cluster.show(uuid)["OS-EXT-STS:task_state"] is None, 60, "the reboot")
    with cluster.follow(uuid) as ticks:
        ticks.wait_ticks(5, timeout=60)
    cluster.delete(uuid)
