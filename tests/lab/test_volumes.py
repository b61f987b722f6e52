"""Instances with disks on the network: moved in every way, and not a byte of a volume is copied."""

import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster import Cluster
from tests.lab.guests import FILL_MIB, Guest, booted, force_down
from tests.waiting import wait_for

pytestmark = pytest.mark.lab

MIB = 1 << 20
_NUMBERS = itertools.count(1)
# A guest writes a block and reads one each second, and headers are read: far less than its content.
NO_COPY_BYTES = FILL_MIB * MIB // 3


def _attached(ident: str, boot_index: int) -> dict[str, Any]:
    return {"uuid": ident, "source_type": "volume", "destination_type": "volume", "boot_index": boot_index}


@pytest.fixture
def backed(cluster: Cluster, filled: str) -> Iterator[Guest]:
    """Its root disk is a volume, with the content that it wrote."""
    ident = cluster.volume("root", filled)
    more = {"imageRef": "", "block_device_mapping_v2": [_attached(ident, 0)]}
    with booted(cluster, filled, "local", **more) as made:
        assert cluster.forget_volume(ident).status_code == 409
        yield made
    assert cluster.forget_volume(ident).status_code == 204


@pytest.fixture
def mixed(cluster: Cluster, filled: str) -> Iterator[tuple[Guest, str]]:
    """A local root disk with the content that it wrote, and a volume (its name) that holds something."""
    name = f"data{next(_NUMBERS)}"
    ident = cluster.volume(name)
    with cluster.lab.volumes.file(name).open("r+b") as file:
        file.write(os.urandom(FILL_MIB * MIB))
    image = {"uuid": filled, "source_type": "image", "destination_type": "local", "boot_index": 0}
    with booted(cluster, filled, "local", block_device_mapping_v2=[image, _attached(ident, -1)]) as guest:
        yield guest, name
    assert cluster.forget_volume(ident).status_code == 204


def _live(guest: Guest, block: Any = "auto") -> dict[str, Any]:
    destination = guest.another()
    guest.act("os-migrateLive", {"host": destination.name, "block_migration": block})
    ended = guest.cluster.wait_operation(guest.uuid)
    assert ended["status"] == "completed", guest.cluster.timeline(guest.uuid)
    guest.ticks.wait_host(destination.name)
    guest.assert_runs_only_here(destination)
    return ended


def _sum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()[: FILL_MIB * MIB]).hexdigest()


def test_a_guest_on_a_volume_moves_live_and_cold_and_is_evacuated(backed: Guest) -> None:
    cluster = backed.cluster
    ended = _live(backed)
    assert not ended["outcome"].get("disk_total_bytes"), ended
    assert len(backed.ticks.boots) == 1

    destination = backed.another()
    backed.act("migrate", {"host": destination.name})
    backed.wait("finished")
    backed.ticks.wait_boots(2)
    backed.act("confirmResize", status=204)
    backed.wait("confirmed")
    backed.assert_runs_only_here(destination)

    lost = backed.host
    lost.power_off()
    assert force_down(cluster, lost, True).status_code == 200
    refused = backed.act("evacuate", {"adminPass": "secret"}, status=400)
    assert "kept" in refused.text
    backed.act("evacuate", {}, status=200)
    backed.wait("done")
    backed.ticks.wait_boots(3)
    kept = backed.ticks.first_content()
    assert (kept.sum, kept.new) == (backed.content.sum, False)
    lost.power_on()
    cluster.start_agent(lost)
    backed.wait("completed")
    backed.assert_runs_only_here(backed.host)
    assert force_down(cluster, lost, False).status_code == 200
    wait_for(lambda: lost.name in cluster.services_up(), 30, f"{lost.name} to be up")


def test_of_a_mixed_guest_only_the_local_disk_is_copied(mixed: tuple[Guest, str]) -> None:
    guest, name = mixed
    cluster, volumes = guest.cluster, guest.cluster.lab.volumes
    before, passed = _sum(volumes.file(name)), volumes.passed_bytes()
    guest.act("os-migrateLive", {"host": guest.another().name, "block_migration": False})
    refused = cluster.wait_operation(guest.uuid)
    assert refused["status"] in ("error", "failed")
    assert "local is not shared" in refused["error"]["message"]

    ended = _live(guest)
    assert 0 < ended["outcome"]["disk_total_bytes"] <= 1 << 30  # the local one's size: the volume has as much again
    assert volumes.passed_bytes() - passed < NO_COPY_BYTES
    assert _sum(volumes.file(name)) == before
    assert f"protocol='nbd' name='{name}'" in guest.host.run(["virsh", "dumpxml", guest.uuid])


def test_a_volume_that_the_destination_does_not_reach_is_a_named_refusal(mixed: tuple[Guest, str]) -> None:
    """Found by the destination before anything is moved."""
    guest, _ = mixed
    destination = guest.another()
    unreachable = ["prohibit", f"{guest.cluster.lab.volumes.address}/32"]
    destination.run(["ip", "route", "add", *unreachable])
    try:
        guest.act("os-migrateLive", {"host": destination.name, "block_migration": "auto"})
        ended = guest.cluster.wait_operation(guest.uuid)
        assert ended["status"] in ("error", "failed")
        assert "volumes: " in ended["error"]["message"]
        guest.assert_runs_only_here(guest.host)
    finally:
        destination.run(["ip", "route", "del", *unreachable])
