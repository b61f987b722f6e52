"""The simulated hypervisor's part for the life of one domain: defined, started, paused, saved, stopped, forgotten."""

from migrator.compute.simulated import live_migration
from migrator.compute.simulated.connection import PROCESS, call
from migrator.compute.simulated.disks import SimulatedDisks
from migrator.compute.simulated.state import MIB, Domain
from migrator.errors import DriverError
from migrator.protocol import MAY_GO_ON, PAUSE_REASON_USER, DomainState, InstanceSpec


class SimulatedLife(SimulatedDisks):
    @call
    def define(self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "", seal: str = "") -> None:
        self._define(spec, operation_id, epoch, machine, seal)

    @call
    def define_and_start(
        self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "", seal: str = ""
    ) -> None:
        present = self.host.domains.get(spec.uuid)
        if present is not None and present.state is DomainState.RUNNING:
            return
        if present is not None and present.state in PROCESS:
            raise DriverError(f"domain {spec.uuid} is {present.state}")
        for disk in spec.disks:
            self._lock_image(spec.uuid, disk)
        self._attach(spec)
        self._define(spec, operation_id, epoch, machine, seal)
        self._start(spec.uuid, "booted")

    @call
    def save_memory(self, spec: InstanceSpec) -> None:
        domain = self._domain(spec.uuid)
        if self._state(domain) is DomainState.SAVED:
            return
        if domain.state is not DomainState.RUNNING or spec.uuid in self.simulation.transfers:
            raise DriverError(f"domain {spec.uuid} is {domain.state}, or is being moved: its memory is not saved")
        size, pool = domain.spec.memory_mb * MIB, domain.spec.home_pool
        self._storage(pool).take(pool, size)
        self.simulation.save_memory(self.name, domain, size)
        self.simulation.set_state(self.name, spec.uuid, DomainState.SHUT_OFF, "saved", self.simulation.clock())

    @call
    def restore_memory(self, spec: InstanceSpec, operation_id: str, epoch: int, seal: str = "") -> None:
        domain = self._domain(spec.uuid)
        if domain.state is DomainState.RUNNING:
            return
        if self._state(domain) is not DomainState.SAVED:
            raise DriverError(f"domain {spec.uuid} is {domain.state} and has no saved memory")
        for disk in spec.disks:
            self._lock_image(spec.uuid, disk)
        self._attach(spec)
        domain.operation_id, domain.epoch, domain.seal = operation_id, epoch, seal
        self.simulation.use_memory(self.name, domain)
        self._start(spec.uuid, "restored")

    @call
    def pause(self, uuid: str) -> None:
        domain = self._domain(uuid)
        if domain.state is DomainState.PAUSED and domain.reason in MAY_GO_ON:
            return
        if domain.state is not DomainState.RUNNING or uuid in self.simulation.transfers:
            raise DriverError(f"the domain {uuid} is {domain.state}, or is being moved: it is not paused")
        self.simulation.set_state(self.name, uuid, DomainState.PAUSED, PAUSE_REASON_USER, self.simulation.clock())

    @call
    def unpause(self, uuid: str) -> None:
        domain = self._domain(uuid)
        if domain.state is DomainState.RUNNING:
            return
        if domain.state is not DomainState.PAUSED or domain.reason not in MAY_GO_ON:
            raise DriverError(f"the domain {uuid} is {domain.state} ({domain.reason}): it is left alone")
        self.simulation.set_state(self.name, uuid, DomainState.RUNNING, "unpaused", self.simulation.clock())

    @call
    def shut_down(self, uuid: str) -> None:
        domain = self.host.domains.get(uuid)
        behaviour, now = self.simulation.behaviour(uuid), self.simulation.clock()
        if domain is None or domain.state is not DomainState.RUNNING or behaviour.ignores_shutdown:
            return
        if now - domain.started_at >= behaviour.boot_s and uuid not in self.simulation.stopping:
            self.simulation.stopping[uuid] = (self.name, now + behaviour.shutdown_s)

    @call
    def destroy(self, uuid: str) -> None:
        domain, now = self.host.domains.get(uuid), self.simulation.clock()
        if domain is None or domain.state not in PROCESS:
            return
        transfer = self.simulation.transfers.get(uuid)
        if transfer is not None and domain.state is DomainState.INCOMING:
            live_migration.fail(self.simulation, transfer, "operation failed: domain was destroyed", now)
        if domain.state is DomainState.INCOMING:
            self.simulation.drop_domain(self.name, uuid, now)  # an arriving domain is not persistent yet
            return
        self.simulation.set_state(self.name, uuid, DomainState.SHUT_OFF, "destroyed", now)
        if transfer is not None:
            live_migration.fail(self.simulation, transfer, "operation failed: domain is not running", now)

    @call
    def undefine(self, uuid: str) -> None:
        domain = self.host.domains.get(uuid)
        if domain is not None and domain.state in PROCESS:
            raise DriverError(f"domain {uuid} is {domain.state}: only a stopped one can be forgotten")
        self.host.unsynced.pop(uuid, None)
        self.simulation.drop_domain(self.name, uuid, self.simulation.clock())

    def _define(self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str, seal: str) -> None:
        present = self.host.domains.get(spec.uuid)
        if present is not None and present.state in PROCESS:
            return
        kept = machine or (present.machine if present is not None else "") or self.host.machine_types[0]
        reason = present.reason if present is not None else None
        domain = Domain(spec, DomainState.SHUT_OFF, reason, operation_id, epoch, kept, seal=seal)
        self.simulation.put_domain(self.name, domain)

    def _start(self, uuid: str, reason: str) -> None:
        now = self.simulation.clock()
        self._domain(uuid).started_at = now
        if reason == "booted":
            self.host.write_console(uuid, "a simulated guest boots")
        self.simulation.set_state(self.name, uuid, DomainState.RUNNING, reason, now)
