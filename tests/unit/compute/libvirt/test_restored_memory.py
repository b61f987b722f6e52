"""A saved memory whose restore fails: kept only if the libvirtd that was asked says itself that nothing runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import libvirt
import pytest

from migrator.compute.libvirt.bindings import connections, domains
from migrator.compute.libvirt.driver import LibvirtDriver
from migrator.compute.storage.saved_memory import USED
from migrator.errors import DriverError
from migrator.protocol import MEMORY, DiskSpec, InstanceSpec
from migrator.settings import AgentSettings

SPEC = InstanceSpec(
    uuid="7d1f0a52-6f0a-4d3e-9a3b-0c5d0a3c9a10",
    name="i",
    vcpus=1,
    memory_mb=1,
    disks=(DiskSpec(target="vda", pool="local", size_gb=1),),
)
SAVED = f"<domain type='kvm'><name>{SPEC.uuid}</name><uuid>{SPEC.uuid}</uuid><devices/></domain>"


class Connection:
    """To a libvirtd that dies, or not, in the middle of the restore; a libvirtd after that knows of no guest."""

    def __init__(self, dies: bool) -> None:
        self.dies = dies

    def lookupByUUIDString(self, _uuid: str) -> "Connection":  # noqa: N802 - libvirt's name
        return self

    def isActive(self) -> bool:  # noqa: N802
        return False

    def isAlive(self) -> bool:  # noqa: N802
        return not self.dies

    def getInfo(self) -> list[str]:  # noqa: N802
        return ["x86_64"]


@pytest.mark.parametrize(("dies", "left"), [(False, MEMORY), (True, USED)])
def test_a_memory_is_kept_only_on_the_word_of_whom_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: bool, left: str
) -> None:
    """A libvirtd that comes up again ends a guest that was just let run, and says then that none runs."""
    connection = Connection(dies)

    def alone(_uri: str, act: Callable[[Any], None]) -> None:
        try:
            act(connection)
        except libvirt.libvirtError as error:
            raise DriverError("refused") from error

    def restore(*_: object) -> None:
        raise libvirt.libvirtError("it did not work")

    monkeypatch.setattr(connections, "dedicated_connection", alone)
    monkeypatch.setattr(domains, "restore", restore)
    monkeypatch.setattr(domains, "saved_xml", lambda *_: SAVED)
    home = tmp_path / "pool" / SPEC.uuid
    home.mkdir(parents=True)
    (home / MEMORY).write_bytes(b"LibvirtQemudSave")
    settings = AgentSettings(host="a", state_path=tmp_path / "state", storage={"local": tmp_path / "pool"})
    with pytest.raises(DriverError):
        LibvirtDriver(settings).restore_memory(SPEC, "op", 1)
    assert [path.name for path in home.iterdir()] == [left]
