"""The real driver's part that moves a guest alive: the transfer begun, watched, steered and ended.

What lasts has its own connection: a control call on the same one would hang until it ends. Never decides when: see
``poll_interval``.
"""

import threading
from typing import Any

from migrator.compute.libvirt.bindings import connections, domains, jobs
from migrator.compute.libvirt.domains import LibvirtDomains
from migrator.compute.libvirt.migration_thread import Transfer
from migrator.compute.libvirt.xml import domain as domain_xml
from migrator.compute.migration_parameters import steering
from migrator.errors import DriverError
from migrator.protocol import DomainState, InstanceSpec, JobFact, MigratingInputs
from migrator.settings import AgentSettings
from migrator.untrusted import peer_address


class LibvirtMoves(LibvirtDomains):
    """``_transfers``: instance -> the last transfer begun by this process; ``_lock`` is held to begin one."""

    _settings: AgentSettings
    _transfers: dict[str, Transfer]
    _lock: threading.Lock

    def start_migration(
        self, spec: InstanceSpec, operation_id: str, epoch: int, inputs: MigratingInputs, seal: str = ""
    ) -> None:
        inputs = self._checked(inputs)
        self.stamp(spec.uuid, operation_id, epoch, seal)
        paths = {disk.target: disk.path for disk in inputs.destination_disks}

        def prepare(domain: Any) -> tuple[str, ...]:
            # Set before the transfer, for a small guest's is over before a call could reach it.
            if (downtime_ms := steering(inputs, None).max_downtime_ms) is not None:
                domain.migrateSetMaxDowntime(downtime_ms)
            live = domains.migratable_xml(domain, secure=True)
            persistent = domains.migratable_xml(domain, secure=True, inactive=True)
            there = inputs.destination_seal
            return tuple(domain_xml.for_destination(xml, paths, seal=there) for xml in (live, persistent))

        xmls = self._with_domain(spec.uuid, prepare)
        uri = self._settings.libvirt_uri

        def move() -> None:
            connections.dedicated_connection(
                uri, lambda c: jobs.migrate(c.lookupByUUIDString(spec.uuid), inputs, *xmls)
            )

        with self._lock:
            if (old := self._transfers.get(spec.uuid)) is not None and old.running:
                raise DriverError(f"a transfer of {spec.uuid} is already under way")
            transfer = self._transfers[spec.uuid] = Transfer(spec.uuid, move)
        transfer.start()

    def _checked(self, inputs: MigratingInputs) -> MigratingInputs:
        """With the URI that this host's own setting makes of the peer's address. Raises DriverError."""
        try:
            peer_address.checked_host(inputs.destination_address)
            return inputs.model_copy(update={"uri": self._settings.peer_uri(inputs.uri)})
        except ValueError as error:
            raise DriverError(f"the destination is not opened: {error}") from error

    def migration_running(self, uuid: str) -> bool:
        transfer = self._transfers.get(uuid)
        return transfer is not None and transfer.running

    def migration_error(self, uuid: str) -> str | None:
        transfer = self._transfers.get(uuid)
        return None if transfer is None or transfer.running else transfer.error

    def job(self, uuid: str) -> JobFact | None:
        def read(connection: Any) -> JobFact | None:
            with connections.ignore_missing_domain():
                domain = connection.lookupByUUIDString(uuid)
                return jobs.active_job(domain) or jobs.ended_job(domain)
            return None

        return self._control.call(read)

    def steer(self, uuid: str, max_downtime_ms: int | None, bandwidth_mib_s: int) -> None:
        self._unless_absent(uuid, lambda domain: jobs.steer(domain, max_downtime_ms, bandwidth_mib_s))

    def force_completion(self, uuid: str, *, post_copy: bool) -> None:
        def force(domain: Any) -> None:
            if domains.state(domain)[0] is DomainState.RUNNING:
                jobs.complete(domain, post_copy=post_copy)

        self._unless_absent(uuid, force)

    def abort_job(self, uuid: str) -> None:
        self._unless_absent(uuid, jobs.abort_job)
