"""The contract, kept by real libvirt: a GlusterFS volume is the pool "shared", a directory the pool "local"."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from migrator.protocol import DiskSpec
from tests.contract.libvirt_hosts import DISK, Hosts
from tests.contract.pair import Pair
from tests.contract.suite import DriverContract
from tests.waiting import wait_for

SETTLE_S = 60.0


def settle(locks_instance: Callable[[], bool]) -> None:
    wait_for(locks_instance, SETTLE_S, "the hosts to settle")


@pytest.mark.lab
class TestLibvirt(DriverContract):
    @pytest.fixture
    def pair(self, clean: Hosts) -> Pair:
        return Pair(
            source=clean.source,
            destination=clean.destination,
            destination_name=clean.both[1].name,
            spec=lambda pool: clean.spec(DiskSpec(target="vda", pool=pool, size_gb=1, image_id=DISK)),
            settle=settle,
            volume=lambda: clean.lab.volumes.serve(f"v{uuid4().hex[:8]}"),
            hide=lambda _source: None,  # nothing answers at an address that no host has
            images=clean.images,
            slow_mib_s=1,
        )
