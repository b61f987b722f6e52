"""A connection to one simulated host: what every call of the simulated hypervisor goes through."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.state import Domain, SimulatedHost, Storage
from migrator.errors import DomainNotFound, DriverError, HypervisorUnavailable, StorageError
from migrator.protocol import DiskFact, DiskSpec, DomainState, InstanceSpec

PROCESS = (DomainState.RUNNING, DomainState.PAUSED, DomainState.INCOMING)

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound="Connection")


def call(method: Callable[Concatenate[C, P], R]) -> Callable[Concatenate[C, P], R]:
    """A call to the hypervisor: the fault hook before and after, the lock, and time passing."""
    name = method.__name__

    @wraps(method)
    def calling(self: C, /, *args: P.args, **kwargs: P.kwargs) -> R:
        simulation = self.simulation
        if simulation.fault is not None:
            simulation.fault(self.name, name, "before")
        with simulation.lock:
            simulation.advance()
            if not self.host.daemon_up or not self.host.powered:
                raise HypervisorUnavailable(f"the hypervisor of {self.name} does not answer")
            result = method(self, *args, **kwargs)
        if simulation.fault is not None:
            simulation.fault(self.name, name, "after")
        return result

    return calling


class Connection:
    def __init__(self, name: str, simulation: SimulatedCluster) -> None:
        self.name = name
        self.simulation = simulation

    @property
    def host(self) -> SimulatedHost:
        return self.simulation.hosts[self.name]

    def _state(self, domain: Domain) -> DomainState:
        saved = domain.state is DomainState.SHUT_OFF and self.host.memory_of(domain.spec) is not None
        return DomainState.SAVED if saved else domain.state

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

    def _disk_facts(self, spec: InstanceSpec) -> list[DiskFact]:
        return [
            self._storage(disk.pool).fact(spec.uuid, disk, self._path(spec.uuid, disk.pool, disk.target))
            for disk in spec.disks
        ]

    def _path(self, uuid: str, pool: str, target: str) -> str:
        return f"/simulated/{self.name}/{pool}/{uuid}/{target}"

    def _attach(self, spec: InstanceSpec) -> None:
        """The volumes' servers answer; their other clients are unknown."""
        for volume in spec.volumes:
            self.simulation.volume(self.name, volume.source)

    def _lock_image(self, uuid: str, disk: DiskSpec) -> None:
        """The image's lock: one process a disk, wherever it runs."""
        identity = self._storage(disk.pool).identity
        file = self.host.pools[disk.pool].disks.get((uuid, disk.target))
        if file is None:
            raise DriverError(f"Cannot access storage file of {disk.target}: No such file or directory")
        if damage := self.host.pools[disk.pool].damage(file):
            raise DriverError(f"Could not open {disk.target}: {damage}")
        for host in self.simulation.hosts.values():
            other = host.domains.get(uuid)
            shares = disk.pool in host.pools and host.pools[disk.pool].identity == identity
            if host.name != self.name and shares and other is not None and other.state in PROCESS:
                raise DriverError(f'Failed to get "write" lock on {disk.target}: it is in use on {host.name}')
