"""The real driver's part that reads what the host and its guests really use. Changes nothing.

Guests' counters are asked of their emulators as well, of which any may hang: a thread of its own asks, on a connection
of its own, and nothing waits for it for longer than ``_WITHIN_S``. While one hangs, no other is begun.
"""

import threading
from collections.abc import Mapping
from typing import Any

from migrator.compute.libvirt.bindings import domains, hosts
from migrator.compute.libvirt.bindings.connection_pool import Reconnecting
from migrator.compute.use_counters import GuestCounters, HostCounters
from migrator.errors import DriverError

_WITHIN_S = 5.0


class LibvirtUse:
    _control: Reconnecting[Any]
    _reading: "_Reading | None" = None

    def use(self) -> HostCounters:
        busy_s, memory_mb = self._control.call(lambda connection: hosts.use(connection))
        return HostCounters(busy_s, memory_mb, self._guests())

    def _guests(self) -> Mapping[str, GuestCounters] | None:
        if self._reading is not None and self._reading.is_alive():
            return None
        self._reading = _Reading(self._control)
        self._reading.start()
        self._reading.join(_WITHIN_S)
        return self._reading.found


class _Reading(threading.Thread):
    """``found`` None: it did not end yet, or failed."""

    def __init__(self, connections: Reconnecting[Any]) -> None:
        super().__init__(name="guests-use", daemon=True)
        self._connections = connections
        self.found: Mapping[str, GuestCounters] | None = None

    def run(self) -> None:
        try:
            counted = self._connections.call(lambda connection: domains.use(connection))
        except DriverError:
            return
        self.found = {uuid: GuestCounters(*numbers) for uuid, numbers in counted.items()}
