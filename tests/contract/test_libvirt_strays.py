"""What others did to a domain with libvirt's own tools, and what must not come of it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from migrator.compute.driver import Driver
from migrator.errors import DriverError, StorageError
from migrator.lab.host import LabHost
from migrator.lab.layout import LOCAL
from migrator.protocol import DiskSpec, DomainState, InstanceSpec
from tests.contract.libvirt_hosts import DISK, Hosts
from tests.contract.pair import failed
from tests.unit.compute.storage.fifo import Opened

pytestmark = pytest.mark.lab

VDA = DiskSpec(target="vda", pool="local", size_gb=1, image_id=DISK)


@pytest.fixture
def spec(clean: Hosts) -> Iterator[InstanceSpec]:
    """A running guest with a disk."""
    made = clean.spec(VDA)
    clean.source.make_disks(made, clean.images)
    clean.source.define_and_start(made, "op-build", 1)
    yield made
    clean.source.destroy(made.uuid)
    clean.source.undefine(made.uuid)
    clean.source.remove_files(made, ["local"])


@pytest.fixture
def virsh(clean: Hosts) -> Callable[..., str]:
    host: LabHost = clean.both[0]
    return lambda *arguments: host.run(["virsh", *arguments])


def test_libvirt_starts_nothing_by_itself(clean: Hosts, spec: InstanceSpec, virsh: Callable[..., str]) -> None:
    """A host that was declared dead comes back: what libvirt starts there runs before the agent can look."""
    for look in (clean.source.list_copies, lambda: _defined_again(clean.source, spec)):
        virsh("autostart", spec.uuid)
        look()
        assert spec.uuid not in virsh("list", "--all", "--autostart", "--uuid")


def _defined_again(driver: Driver, spec: InstanceSpec) -> None:
    driver.destroy(spec.uuid)
    driver.define(spec, "op-move", 2)


def test_a_guest_that_libvirt_keeps_asleep_does_not_leave(
    clean: Hosts, spec: InstanceSpec, virsh: Callable[..., str]
) -> None:
    """Its memory would stay behind, and be resumed over disks that went on elsewhere."""
    virsh("managedsave", spec.uuid)
    assert "managed_save" in failed(clean.source.check_source(spec, live=False))
    virsh("managedsave-remove", spec.uuid)
    assert failed(clean.source.check_source(spec, live=False)) == {}


def test_a_guest_on_a_snapshot_does_not_leave_and_is_not_thrown_back(
    clean: Hosts, spec: InstanceSpec, virsh: Callable[..., str]
) -> None:
    """Its newest data lies in a file that migrator knows nothing of."""
    snapshot = str(LOCAL / spec.uuid / "disk.snapshot")
    virsh("snapshot-create-as", spec.uuid, "s", "--disk-only", "--no-metadata", "--diskspec", f"vda,file={snapshot}")
    for live in (True, False):
        assert snapshot in failed(clean.source.check_source(spec, live=live))["disks"]
    clean.source.destroy(spec.uuid)
    for attempt in (clean.source.define, clean.source.define_and_start):
        with pytest.raises(DriverError, match=r"disk\.snapshot"):
            attempt(spec, "op-start", 2)
    assert clean.source.domain(spec.uuid).state is DomainState.SHUT_OFF
    assert snapshot in virsh("domblklist", spec.uuid)


def test_what_runs_is_told_while_the_storage_hangs(clean: Hosts, spec: InstanceSpec) -> None:
    """A fifo without a writer stands for a mount that does not answer."""
    stopped = clean.spec()
    clean.source.define(stopped, "op-build", 1)
    fifo = clean.both[0].outside(LOCAL / stopped.uuid / "memory")
    fifo.parent.mkdir(exist_ok=True)
    os.mkfifo(fifo)
    try:
        found = clean.source.list_copies(live=True)
    finally:
        fifo.unlink()
    assert [(copy.uuid, copy.state) for copy in found] == [(spec.uuid, DomainState.RUNNING)]


@pytest.mark.parametrize("name", ["disk", "kernel"])
def test_a_guest_cannot_make_libvirt_open_a_file_of_the_host(clean: Hosts, tmp_path: Path, name: str) -> None:
    """A raw disk that the guest gave the header of an image, or an uploaded kernel that is one. Opened by libvirt, the
    fifo would hold up its daemon; a watchdog would reset the host."""
    spec = clean.spec(VDA.model_copy(update={"format": "raw", "image_id": None}))
    clean.source.make_disks(spec, clean.images)
    home, fifo = clean.both[0].outside(LOCAL / spec.uuid), clean.both[0].outside(LOCAL / "fifo")
    os.mkfifo(fifo)
    header = tmp_path / "header"
    subprocess.run(
        ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", str(LOCAL / "fifo"), str(header), "1G"],
        check=True,
    )
    with (home / name).open("r+b") as file:  # the format of the backing file is not said, so that it is looked for
        file.write(header.read_bytes().replace(b"\xe2\x79\x2a\xca", b"\xde\xad\xbe\xef"))
    opened = Opened(fifo)
    opened.start()
    try:
        with pytest.raises(StorageError, match="begins like a disk image"):
            clean.source.offer(spec, ["vda"])
    finally:
        opened.end.set()
        opened.join()
        fifo.unlink()
        clean.source.withdraw(spec.uuid)
        clean.source.remove_files(spec, ["local"])
    assert not opened.found
