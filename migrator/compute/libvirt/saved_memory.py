"""The real driver's part that saves a guest's memory, and lets the guest go on from it.

Owns when a saved memory is used up: before the guest runs, so that no crash makes it run twice from the same one. Both
last, so each has a connection of its own.
"""

from typing import Any

from migrator.compute.libvirt.bindings import connections, domains
from migrator.compute.libvirt.definitions import LibvirtDefinitions
from migrator.compute.libvirt.xml import domain as domain_xml
from migrator.compute.libvirt.xml.stamp import Stamp
from migrator.errors import DriverError, StorageError
from migrator.private_files import sync
from migrator.protocol import InstanceSpec


class LibvirtSavedMemory(LibvirtDefinitions):
    def save_memory(self, spec: InstanceSpec) -> None:
        path = self._disks.memory(spec)

        def save(connection: Any) -> None:
            domain = connection.lookupByUUIDString(spec.uuid)
            if not domain.isActive():
                if self._memory.find(spec.uuid) is None:
                    raise DriverError(f"the domain {spec.uuid} does not run; there is no memory to save")
                return
            self._memory.delete(spec.uuid)  # of an earlier life
            domains.save(domain, str(path))

        connections.dedicated_connection(self._settings.libvirt_uri, save)
        try:
            sync(path)
            sync(path.parent)
        except OSError as error:
            raise StorageError(f"cannot save the memory to {path}: {error}") from error

    def restore_memory(self, spec: InstanceSpec, operation_id: str, epoch: int, seal: str = "") -> None:
        stamp = Stamp(spec.name, operation_id, epoch, seal)

        def restore(connection: Any) -> None:
            if connection.lookupByUUIDString(spec.uuid).isActive():
                return
            saved = self._memory.find(spec.uuid)
            if saved is None:
                raise StorageError(f"there is no saved memory of {spec.uuid} here")
            self._disks.refuse_foreign(spec)
            shape = self._shape(spec, connection.getInfo()[0], machine="")
            xml = domain_xml.for_restoring(domains.saved_xml(connection, str(saved)), spec, shape, stamp)
            used = self._memory.consume(saved)
            try:
                domains.restore(connection, str(used), xml)
            except connections.Error:
                # Only libvirt's own answer that nothing runs allows a second attempt. A libvirtd that died may have
                # let it run for a moment, and the next one ends such a guest: the memory stays used.
                if connections.alive(connection) and not connection.lookupByUUIDString(spec.uuid).isActive():
                    self._memory.restore(used)
                raise

        connections.dedicated_connection(self._settings.libvirt_uri, restore)
        self._memory.delete(spec.uuid)
