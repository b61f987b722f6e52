"""Two real hosts for the driver's contract, and a driver inside each."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from migrator.compute.driver import Driver
from migrator.lab.host import LabHost
from migrator.lab.image import KERNEL_ARGS, GuestImages, build_guest
from migrator.lab.lab import Lab
from migrator.lab.layout import AGENT, BRIDGE_INSIDE, LOCAL, SHARED
from migrator.protocol import DiskSpec, ImageRef, InstanceSpec, NicSpec
from tests.contract.remote_driver import remote

LABS = 8  # runs on one machine at the same time
KERNEL, RAMDISK, DISK = (str(uuid4()) for _ in range(3))


@dataclass
class Hosts:
    """Source, destination, and the guest's image files."""

    lab: Lab
    source: Driver
    destination: Driver
    images: dict[str, Path]

    @property
    def both(self) -> list[LabHost]:
        return self.lab.hosts

    def spec(self, *disks: DiskSpec, memory_mb: int = 160) -> InstanceSpec:
        return InstanceSpec(
            uuid=str(uuid4()),
            name="a guest",
            vcpus=1,
            memory_mb=memory_mb,
            disks=disks,
            nics=(NicSpec(network="lab", mac="52:54:00:00:00:11"),),
            images=(ImageRef(id=DISK, size_bytes=0, checksum_sha256="", disk_format="qcow2"),),
            kernel_id=KERNEL,
            ramdisk_id=RAMDISK,
            kernel_args=KERNEL_ARGS,
        )

    def console(self, spec: InstanceSpec) -> str:
        """What the guest said, on the source and then on the destination."""
        logs = [host.console_log(spec.uuid) for host in self.both]
        return "".join(log.read_text(errors="replace").replace("\r", "") for log in logs if log.exists())


def agent_settings(host: LabHost, **changes: Any) -> dict[str, Any]:
    return {
        "host": host.name,
        "state_path": AGENT,
        "storage": {"local": LOCAL, "shared": SHARED},
        "virt_type": "qemu",
        "cpu_mode": "none",
        "live_migration_inbound_addr": host.address,
        "networks": {"lab": BRIDGE_INSIDE},
    } | changes


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    """Without root there can be none. With root, whatever is missing is a failure and not a reason to skip."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    guest = build_guest()
    with _free_lab() as lab:
        lab.down()  # of a run that was killed
        lab.up()
        yield from _drivers(lab, guest)


@contextlib.contextmanager
def _free_lab() -> Iterator[Lab]:
    """A lab of a name that no other run on this machine has now."""
    for number in range(LABS):
        with Path(tempfile.gettempdir(), f"migrator-contract-{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield Lab(f"mgd{number}", hosts=2)
            return
    raise RuntimeError(f"{LABS} runs have a lab up already")


def _drivers(lab: Lab, guest: GuestImages) -> Iterator[Hosts]:
    ends = []
    try:
        drivers = []
        for host in lab.hosts:
            driver, end = remote(host.enter, agent_settings(host))
            drivers.append(driver)
            ends.append(end)
        images = {KERNEL: guest.kernel, RAMDISK: guest.ramdisk, DISK: guest.disk}
        yield Hosts(lab, drivers[0], drivers[1], images)
    finally:
        for end in ends:
            end()
        lab.down()


@pytest.fixture
def clean(hosts: Hosts) -> Iterator[Hosts]:
    """The hosts, with no domain left behind by the test."""
    yield hosts
    for driver in (hosts.source, hosts.destination):
        for copy in driver.list_copies():
            driver.abort_job(copy.uuid)
            driver.destroy(copy.uuid)
            driver.undefine(copy.uuid)
