"""The real driver's part that defines an instance's domain on this host, and starts it from its disks.

Owns what of the host goes into the domain's XML: paths, bridges, the console, and which disks a definition may not take
from a guest. Never decides whether the instance may run here.
"""

from pathlib import Path
from typing import Any

from migrator.compute.libvirt.bindings import connections, domains
from migrator.compute.libvirt.bindings.connection_pool import Reconnecting
from migrator.compute.libvirt.xml import domain as domain_xml
from migrator.compute.libvirt.xml import guest as guest_xml
from migrator.compute.libvirt.xml.domain import DiskPlace, HostShape
from migrator.compute.libvirt.xml.stamp import Stamp
from migrator.compute.storage.file_driver import HostFiles
from migrator.compute.storage.file_permissions import CONSOLES
from migrator.errors import DriverError
from migrator.private_files import PASSAGE, make_folder
from migrator.protocol import DiskSpec, InstanceSpec
from migrator.settings import AgentSettings


class LibvirtDefinitions(HostFiles):
    """``_control``: a connection for short calls."""

    _control: Reconnecting[Any]
    _settings: AgentSettings

    def define(self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "", seal: str = "") -> None:
        stamp = Stamp(spec.name, operation_id, epoch, seal)
        self._control.call(lambda connection: self._defined(connection, spec, stamp, machine))

    def define_and_start(
        self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "", seal: str = ""
    ) -> None:
        stamp = Stamp(spec.name, operation_id, epoch, seal)

        self._disks.refuse_foreign(spec)

        def start(connection: Any) -> None:
            domain = self._defined(connection, spec, stamp, machine)
            if domain is not None:
                domains.start(domain)

        self._control.call(start)

    def _defined(self, connection: Any, spec: InstanceSpec, stamp: Stamp, machine: str) -> Any | None:
        """The domain, made anew from the spec; None for one that has a process, which is left alone."""
        kept = ""
        with connections.ignore_missing_domain():
            old = connection.lookupByUUIDString(spec.uuid)
            if old.isActive():
                return None
            # What the guest has seen once it keeps, although "pc" may mean a newer one by now.
            xml = old.XMLDesc(0)
            kept = guest_xml.read_guest(xml).machine
            if strays := self._disks.unknown_disks(spec, guest_xml.read_disks(xml)):
                raise DriverError(
                    f"the domain {spec.uuid} has disks that are not the instance's own, and they would be lost to it: "
                    f"{', '.join(strays)}",
                    advice="merge the snapshot (virsh blockcommit), or detach the disk",
                )
        machine = machine or kept or self._settings.machine_type or "pc"
        shape = self._shape(spec, connection.getInfo()[0], machine)
        domain = connection.defineXML(domain_xml.build(spec, shape, stamp))
        domains.disable_autostart(domain)
        return domain

    def _console(self, uuid: str) -> Path:
        consoles = self._settings.state_path / CONSOLES
        make_folder(consoles, PASSAGE)
        return consoles / f"{uuid}.log"

    def _shape(self, spec: InstanceSpec, arch: str, machine: str) -> HostShape:
        settings, files = self._settings, self._disks.boot_files(spec)
        places = {disk.target: self._place(spec, disk) for disk in spec.disks}
        return HostShape(
            virt_type=settings.virt_type,
            cpu_mode=settings.cpu_mode,
            cpu_model=settings.cpu_models[0] if settings.cpu_models else None,
            machine=machine,
            arch=arch,
            console=self._console(spec.uuid),
            disks=places,
            bridges=settings.networks,
            kernel=files.kernel,
            ramdisk=files.ramdisk,
        )

    def _place(self, spec: InstanceSpec, disk: DiskSpec) -> DiskPlace:
        path = self._disks.path(spec.uuid, disk)
        return DiskPlace(path, self._disks.cache_mode(path), self._disks.chain(spec, disk))
