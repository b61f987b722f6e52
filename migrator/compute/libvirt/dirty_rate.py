"""How fast a guest writes its memory, asked of libvirt before the guest is moved. Changes nothing."""

from typing import Any

from migrator.compute.libvirt.bindings import jobs
from migrator.compute.libvirt.bindings.connection_pool import Reconnecting
from migrator.compute.network.link_speed import link_mib_s
from migrator.protocol import Measurement


class LibvirtMeasuring:
    """The part of ``compute/driver.py``'s protocol that measures. ``_control``: a connection for short calls."""

    _control: Reconnecting[Any]

    def start_measuring(self, uuid: str) -> None:
        self._control.call(lambda connection: jobs.count_writes(connection.lookupByUUIDString(uuid)))

    def measurement(self, uuid: str, destination_address: str) -> Measurement | None:
        found = self._control.call(lambda connection: jobs.counted_writes(connection, uuid))
        if found is None:
            return None
        dirty_mib_s, memory_mib = found
        link = link_mib_s(destination_address)
        return Measurement(
            dirty_mib_s=dirty_mib_s,
            sample_resolution_mib_s=jobs.DIRTY_GRAIN_MIB_S,
            memory_mib=memory_mib,
            link_mib_s=link,
        )
