"""The real driver: libvirt and QEMU.

Puts its parts together, a file for each: what the host has (``host_report``, ``survey``) and uses (``use``), what
domains there are (``domain_facts``), their life (``definitions``, ``saved_memory``, ``domains``), and their moves
(``move_checks``, ``dirty_rate``, ``migration``). Owns itself what other hosts may read here through libvirt.

Each part owns the order of libvirt's calls (``bindings``) that keeps what ``compute/driver.py`` promises. What lasts
has its own connection: a control call on the same one would hang until it ends. No part decides what should happen to
an instance, and none looks at files (``storage/file_driver.py``) or XML (``xml``) itself.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from migrator.compute.libvirt.bindings import connections, pools
from migrator.compute.libvirt.dirty_rate import LibvirtMeasuring
from migrator.compute.libvirt.host_report import LibvirtHostReport
from migrator.compute.libvirt.migration import LibvirtMoves
from migrator.compute.libvirt.migration_thread import Transfer
from migrator.compute.libvirt.move_checks import LibvirtMoveChecks
from migrator.compute.libvirt.remote_volumes import OfferedFiles
from migrator.compute.libvirt.saved_memory import LibvirtSavedMemory
from migrator.compute.libvirt.use import LibvirtUse
from migrator.compute.storage import lent_files
from migrator.compute.storage.file_driver import HostFiles
from migrator.errors import DriverError
from migrator.protocol import GuestDescription, InstanceSpec
from migrator.settings import AgentSettings


class LibvirtDriver(
    LibvirtMoves, LibvirtMeasuring, LibvirtMoveChecks, LibvirtSavedMemory, LibvirtHostReport, LibvirtUse
):
    """``compute/driver.py``'s protocol over one libvirtd."""

    def __init__(self, settings: AgentSettings) -> None:
        HostFiles.__init__(self, settings, self._reader)
        self._settings = settings
        self._control = connections.connect(settings.libvirt_uri)
        self._transfers: dict[str, Transfer] = {}
        self._lock = threading.Lock()

    def make_target_disks(self, spec: InstanceSpec, guest: GuestDescription, images: dict[str, Path]) -> None:
        self._console(spec.uuid)
        self._disks.make_targets(spec, guest, images)

    def offer(self, spec: InstanceSpec, targets: Sequence[str]) -> None:
        homes = self._offerable(spec, targets)

        def open_pools(connection: Any) -> None:
            for pool, home in homes.items():
                pools.open_pool(connection, f"{_offered(spec.uuid)}{pool}", home)

        self._control.call(open_pools)

    def lend(self, spec: InstanceSpec, targets: Sequence[str], images: Sequence[str] = ()) -> Mapping[str, str]:
        directories, places = self._lendable(spec, targets, images)

        def open_pools(connection: Any) -> None:
            for pool, directory in directories.items():
                pools.open_pool(connection, f"{_offered(spec.uuid)}{pool}.lent", directory)

        self._control.call(open_pools)
        return places

    def withdraw(self, uuid: str) -> None:
        self._control.call(lambda connection: pools.close_pools(connection, _offered(uuid)))
        for home in self._disks.all_homes(uuid):
            lent_files.take_back(home)

    def close(self) -> None:
        self._control.close()

    def _reader(self, uri: str) -> OfferedFiles:
        try:
            return OfferedFiles(self._settings.peer_uri(uri))
        except ValueError as error:
            raise DriverError(f"the source is not opened: {error}") from error


def _offered(uuid: str) -> str:
    """How the names of the pools begin through which an instance's files are offered."""
    return f"migrator-{uuid}-"
