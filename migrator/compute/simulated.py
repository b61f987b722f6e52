"""The simulated hypervisor: ``compute/driver.py``'s protocol in front of one host of a ``Fabric``.

One object is one agent's connection: it knows the transfers that it began itself and nothing else. Throwing it away
and making another is an agent's restart; all that outlives that is in the fabric. Every call first asks the fabric's
fault hook, then lets the world catch up with the clock.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from migrator.compute import compatibility, simulated_transfers
from migrator.compute.fabric import Fabric
from migrator.compute.simulated_world import GIB, Domain, SimulatedHost, Storage, Transfer
from migrator.errors import DomainNotFound, DriverError, HypervisorUnavailable, StorageError
from migrator.protocol import (
    CheckResult,
    Copy,
    DiskFact,
    DiskSpec,
    DomainFact,
    DomainState,
    GuestDescription,
    HostReport,
    InstanceSpec,
    JobFact,
    MigratingInputs,
)

_IMAGE_GB = 1  # virtual size of a disk that takes its image's
_PROCESS = (DomainState.RUNNING, DomainState.PAUSED, DomainState.INCOMING)

P = ParamSpec("P")
R = TypeVar("R")
_Method = Callable[Concatenate["SimulatedHypervisor", P], R]


def _call(method: _Method[P, R]) -> _Method[P, R]:
    """A call to the hypervisor: the fault hook before and after, the lock, and time passing."""
    name = method.__name__

    @wraps(method)
    def call(self: "SimulatedHypervisor", /, *args: P.args, **kwargs: P.kwargs) -> R:
        fabric = self.fabric
        if fabric.fault is not None:
            fabric.fault(self.name, name, "before")
        with fabric.lock:
            fabric.advance()
            if not self.host.daemon_up or not self.host.powered:
                raise HypervisorUnavailable(f"the hypervisor of {self.name} does not answer")
            result = method(self, *args, **kwargs)
        if fabric.fault is not None:
            fabric.fault(self.name, name, "after")
        return result

    return call


class SimulatedHypervisor:
    def __init__(self, name: str, fabric: Fabric) -> None:
        self.name = name
        self.fabric = fabric
        self._begun: dict[str, Transfer] = {}  # instance -> the last transfer begun on this connection

    @property
    def host(self) -> SimulatedHost:
        return self.fabric.hosts[self.name]

    @_call
    def host_report(self) -> HostReport:
        host = self.host
        return HostReport(
            hypervisor_type="simulated",
            hypervisor_version=7002000,
            libvirt_version=9000000,
            cpu_model=host.cpu_model,
            cpu_vendor="Intel",
            cpu_topology={"sockets": 1, "cores": host.vcpus, "threads": 1},
            machine_types=host.machine_types,
            vcpus=host.vcpus,
            memory_mb=host.memory_mb,
            storage={name: pool.pool(f"/simulated/{self.name}/{name}") for name, pool in host.pools.items()},
            default_pool="local",
            address=self.name,
            live_migration_uri=f"simulated://{self.name}",
            networks=host.networks,
            simulated=True,
        )

    @_call
    def list_copies(self) -> Sequence[Copy]:
        return [Copy(uuid=uuid, state=domain.state) for uuid, domain in self.host.domains.items()]

    @_call
    def domain(self, uuid: str) -> DomainFact:
        domain = self.host.domains.get(uuid)
        if domain is None:
            return DomainFact(state=DomainState.ABSENT)
        return DomainFact(
            state=domain.state, reason=domain.reason, stamp_operation=domain.operation_id, stamp_epoch=domain.epoch
        )

    @_call
    def stamp(self, uuid: str, operation_id: str, epoch: int) -> None:
        domain = self._domain(uuid)
        domain.operation_id, domain.epoch = operation_id, epoch

    # disks
    @_call
    def disks(self, spec: InstanceSpec) -> Sequence[DiskFact]:
        return [self._disk_fact(spec.uuid, disk) for disk in spec.disks]

    @_call
    def make_disks(self, spec: InstanceSpec, images: dict[str, Path]) -> None:
        for disk in spec.disks:
            if disk.image_id is not None and disk.image_id not in images:
                raise StorageError(f"the file of the image {disk.image_id} was not fetched")
            self._storage(disk.pool).make(spec.uuid, disk, (disk.size_gb or _IMAGE_GB) * GIB, disk.image_id)

    @_call
    def make_target_disks(self, spec: InstanceSpec, guest: GuestDescription, images: dict[str, Path]) -> None:
        described = {fact.target: fact for fact in guest.disks}
        for disk in spec.disks:
            if self._storage(disk.pool).identity == guest.storage.get(disk.pool):
                continue
            if disk.target not in described:
                raise StorageError(f"the source does not describe the disk {disk.target}")
            fact = described[disk.target]
            if fact.backing_image_id is not None and fact.backing_image_id not in images:
                raise StorageError(f"the file of the image {fact.backing_image_id} was not fetched")
            self._storage(disk.pool).make(spec.uuid, disk, fact.virtual_bytes, fact.backing_image_id)

    @_call
    def remove_files(self, spec: InstanceSpec, pools: Sequence[str]) -> None:
        for name in pools:
            storage = self.host.pools.get(name)
            if storage is not None:
                storage.remove(spec.uuid)

    # life
    @_call
    def define_and_start(self, spec: InstanceSpec, operation_id: str, epoch: int) -> None:
        present = self.host.domains.get(spec.uuid)
        if present is not None and present.state is DomainState.RUNNING:
            return
        if present is not None and present.state in _PROCESS:
            raise DriverError(f"domain {spec.uuid} is {present.state}")
        for disk in spec.disks:
            self._lock_image(spec.uuid, disk)
        now = self.fabric.clock()
        domain = Domain(spec, DomainState.SHUT_OFF, None, operation_id, epoch, now)
        self.fabric.put_domain(self.name, domain)
        self.fabric.set_state(self.name, spec.uuid, DomainState.RUNNING, "booted", now)

    @_call
    def shut_down(self, uuid: str) -> None:
        domain = self.host.domains.get(uuid)
        behaviour, now = self.fabric.behaviour(uuid), self.fabric.clock()
        if domain is None or domain.state is not DomainState.RUNNING or behaviour.ignores_shutdown:
            return
        if now - domain.started_at >= behaviour.boot_s and uuid not in self.fabric.stopping:
            self.fabric.stopping[uuid] = (self.name, now + behaviour.shutdown_s)

    @_call
    def destroy(self, uuid: str) -> None:
        domain, now = self.host.domains.get(uuid), self.fabric.clock()
        if domain is None or domain.state not in _PROCESS:
            return
        transfer = self.fabric.transfers.get(uuid)
        if transfer is not None and domain.state is DomainState.INCOMING:
            simulated_transfers.fail(self.fabric, transfer, "operation failed: domain was destroyed", now)
        if domain.state is DomainState.INCOMING:
            self.fabric.drop_domain(self.name, uuid, now)  # an arriving domain is not persistent yet
            return
        self.fabric.set_state(self.name, uuid, DomainState.SHUT_OFF, "destroyed", now)
        if transfer is not None:
            simulated_transfers.fail(self.fabric, transfer, "operation failed: domain is not running", now)

    @_call
    def undefine(self, uuid: str) -> None:
        domain = self.host.domains.get(uuid)
        if domain is not None and domain.state in _PROCESS:
            raise DriverError(f"domain {uuid} is {domain.state}: only a stopped one can be forgotten")
        self.fabric.drop_domain(self.name, uuid, self.fabric.clock())

    # moving
    @_call
    def describe_guest(self, spec: InstanceSpec) -> GuestDescription:
        self._domain(spec.uuid)
        return GuestDescription(
            cpu_xml=f"<cpu><model>{self.host.cpu_model}</model></cpu>",
            machine=self.host.machine_types[0],
            memory_mb=spec.memory_mb,
            vcpus=spec.vcpus,
            disks=tuple(self._disk_fact(spec.uuid, disk) for disk in spec.disks),
            storage=self._identities(),
            hypervisor_version=7002000,
        )

    @_call
    def check_source(self, spec: InstanceSpec) -> Sequence[CheckResult]:
        domain = self.host.domains.get(spec.uuid)
        state = domain.state if domain is not None else DomainState.ABSENT
        transfer = self.fabric.transfers.get(spec.uuid)
        active = transfer is not None and transfer.source == self.name
        return compatibility.source(state, job_active=active, passed_through=())

    @_call
    def check_destination(
        self, spec: InstanceSpec, guest: GuestDescription, block: bool | None
    ) -> Sequence[CheckResult]:
        host, own = self.host, self._identities()
        present = host.domains.get(spec.uuid)
        live = [d for uuid, d in host.domains.items() if d.state in _PROCESS and uuid != spec.uuid]
        fits = guest.cpu_xml is None or host.cpu_model in guest.cpu_xml
        free = {name: pool.free_bytes for name, pool in host.pools.items()}
        return [
            compatibility.domain(present.state if present is not None else DomainState.ABSENT),
            compatibility.memory(
                spec.memory_mb,
                total_mb=host.memory_mb,
                reserved_mb=512,
                used_mb=sum(d.spec.memory_mb for d in live),
                ratio=1.0,
            ),
            compatibility.cpu(fits, f"this host's CPU is {host.cpu_model}"),
            compatibility.machine_type(guest.machine, host.machine_types),
            compatibility.network(spec, host.networks),
            compatibility.storage(spec, guest, own, block),
            compatibility.disk(spec, guest, own, free_bytes=free, ratio=1.0),
            compatibility.leftover(spec, guest, own, self.disks(spec)),
        ]

    @_call
    def start_migration(self, spec: InstanceSpec, operation_id: str, epoch: int, inputs: MigratingInputs) -> None:
        domain = self._domain(spec.uuid)
        if domain.state is not DomainState.RUNNING:
            raise DriverError("Requested operation is not valid: domain is not running")
        if spec.uuid in self.fabric.transfers:
            raise DriverError("another migration job is already running for domain")
        destination = inputs.uri.removeprefix("simulated://")
        if destination not in self.fabric.hosts or destination == self.name:
            raise DriverError(f"unable to connect to server at {inputs.uri!r}")
        domain.operation_id, domain.epoch = operation_id, epoch
        now = self.fabric.clock()
        self._begun[spec.uuid] = simulated_transfers.begin(self.fabric, self.name, spec, inputs, destination, now)

    def migration_running(self, uuid: str) -> bool:
        with self.fabric.lock:
            self.fabric.advance()
            transfer = self._begun.get(uuid)
            return transfer is not None and not transfer.over

    def migration_error(self, uuid: str) -> str | None:
        with self.fabric.lock:
            transfer = self._begun.get(uuid)
            return transfer.error if transfer is not None else None

    @_call
    def job(self, uuid: str) -> JobFact | None:
        now, active = self.fabric.clock(), self.fabric.transfers.get(uuid)
        if active is not None and active.source == self.name:
            return simulated_transfers.job_fact(active, now)
        domain = self.host.domains.get(uuid)
        if domain is not None and domain.completed is not None:
            return domain.completed
        begun = self._begun.get(uuid)
        return simulated_transfers.job_fact(begun, now) if begun is not None else None

    @_call
    def abort_job(self, uuid: str) -> None:
        transfer = self.fabric.transfers.get(uuid)
        if transfer is not None and transfer.source == self.name:
            now = self.fabric.clock()
            simulated_transfers.fail(self.fabric, transfer, "operation aborted: migration out job: canceled", now)

    def close(self) -> None:
        """Nothing is held: transfers are the fabric's."""

    # parts
    def _domain(self, uuid: str) -> Domain:
        if uuid not in self.host.domains:
            raise DomainNotFound(f"no domain with matching uuid '{uuid}'")
        return self.host.domains[uuid]

    def _identities(self) -> dict[str, str]:
        return {name: pool.identity for name, pool in self.host.pools.items()}

    def _storage(self, pool: str) -> Storage:
        if pool not in self.host.pools:
            raise StorageError(f"this host has no storage pool {pool}")
        return self.host.pools[pool]

    def _disk_fact(self, uuid: str, disk: DiskSpec) -> DiskFact:
        return self._storage(disk.pool).fact(uuid, disk, f"/simulated/{self.name}/{disk.pool}/{uuid}/{disk.target}")

    def _lock_image(self, uuid: str, disk: DiskSpec) -> None:
        """The image's lock: one process a disk, wherever it runs."""
        identity = self._storage(disk.pool).identity
        if (uuid, disk.target) not in self.host.pools[disk.pool].disks:
            raise DriverError(f"Cannot access storage file of {disk.target}: No such file or directory")
        for host in self.fabric.hosts.values():
            other = host.domains.get(uuid)
            shares = disk.pool in host.pools and host.pools[disk.pool].identity == identity
            if host.name != self.name and shares and other is not None and other.state in _PROCESS:
                raise DriverError(f'Failed to get "write" lock on {disk.target}: it is in use on {host.name}')
