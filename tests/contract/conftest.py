"""Two real hosts for the driver's contract, and a driver inside each."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.lab.image import GuestImages, build_guest
from migrator.lab.lab import Lab
from tests.contract.libvirt_hosts import DISK, KERNEL, RAMDISK, Hosts, agent_settings
from tests.contract.libvirt_world import World
from tests.contract.remote_driver import remote

LABS = 8  # runs on one machine at the same time


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


@pytest.fixture
def world(clean: Hosts) -> World:
    return World(clean)
