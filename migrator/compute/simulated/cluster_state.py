"""All that there is in the simulated world, and the truth about it that tests compare the record with.

Owns when each instance executed guest code on which host, which version of its data each disk holds, and what was lost:
every change of a domain goes through here, at the instant it happens. Time never passes here (``cluster.py``).
"""

import itertools
import threading
from collections.abc import Callable

from migrator.compute.simulated.state import (
    MIB,
    VOLUME_BYTES,
    Behaviour,
    Domain,
    Execution,
    FileCopy,
    SimulatedDisk,
    SimulatedHost,
    Storage,
    Transfer,
)
from migrator.errors import StorageError
from migrator.protocol import MEMORY, DomainState


class ClusterState:
    """``clock`` in seconds; safe to use from several threads under ``lock``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.hosts: dict[str, SimulatedHost] = {}
        self.storages: dict[str, Storage] = {}
        self.transfers: dict[str, Transfer] = {}  # instance -> the active one
        self.copies: dict[tuple[str, str], FileCopy] = {}  # (destination, instance) -> the active one
        self.measuring: dict[str, float] = {}  # instance -> when its writing will have been counted
        self.stopping: dict[str, tuple[str, float]] = {}  # instance -> host and when its guest will have stopped
        self.volumes: dict[str, SimulatedDisk] = {}  # source -> what lies there
        self.unreachable: set[tuple[str, str]] = set()  # (host, source)
        self.behaviours: dict[str, Behaviour] = {}
        self.default_behaviour = Behaviour()
        self.executions: list[Execution] = []
        self.losses: list[str] = []  # guests that ran on data older than what they had written
        self._versions: dict[tuple[str, str], int] = {}  # newest version of each disk's data, and saved memory's
        self.kept_retention_s = 7 * 86400.0  # of disks that hosts keep aside
        self.tokens = itertools.count(1)  # of config drives that were made
        self._writes = itertools.count(1)
        self.cuts: set[frozenset[str]] = set()

    # building the world
    def add_host(
        self,
        name: str,
        *,
        vcpus: int = 16,
        memory_mb: int = 65536,
        local_gb: int = 1000,
        shared: str | None = "shared",
        bandwidth_bytes_per_s: float = 1000 * MIB,
    ) -> SimulatedHost:
        """A host with a pool "local" of its own and, unless ``shared`` is None, a pool "shared" of that identity."""
        pools = {"local": self.storage(f"local-{name}", local_gb)}
        if shared is not None:
            pools["shared"] = self.storage(shared, 10_000)
        host = SimulatedHost(name, vcpus, memory_mb, pools, bandwidth_bytes_per_s=bandwidth_bytes_per_s)
        self.hosts[name] = host
        return host

    def storage(self, identity: str, total_gb: int) -> Storage:
        return self.storages.setdefault(identity, Storage(identity, total_gb))

    def volume(self, host: str, source: str) -> SimulatedDisk:
        """The volume at a source, as the host reaches it; a new one unless a test made it. Raises StorageError."""
        if (host, source) in self.unreachable:
            raise StorageError(f"Failed to connect to {source!r}: Connection refused")
        return self.volumes.setdefault(source, SimulatedDisk(VOLUME_BYTES, "raw"))

    def behaviour(self, uuid: str) -> Behaviour:
        return self.behaviours.get(uuid, self.default_behaviour)

    def reachable(self, one: str, other: str) -> bool:
        return frozenset((one, other)) not in self.cuts

    # the truth
    def overlaps(self) -> list[tuple[Execution, Execution]]:
        """Pairs of intervals in which one instance ran twice. Empty, or safety rule 1 is broken."""
        found = []
        for number, one in enumerate(self.executions):
            for other in self.executions[number + 1 :]:
                if one.uuid == other.uuid and one.since < _end(other) and other.since < _end(one):
                    found.append((one, other))
        return found

    def newest_version(self, uuid: str, target: str) -> int:
        """0: the image's, or there is no such file."""
        return self._versions.get((uuid, target), 0)

    def holders_of_newest(self, uuid: str, target: str) -> list[str]:
        """Storage identities that hold the newest data of a disk. Empty: the data is lost."""
        newest = self.newest_version(uuid, target)
        return [
            storage.identity
            for storage in self.storages.values()
            if any(disk.version == newest for disk in storage.disks.every(uuid, target))
        ]

    def settle_for(self, uuid: str, host: str | None) -> None:
        """A client gave up what the instance wrote elsewhere (a revert, a rebuild): what ``host`` has, or
        for None the image, is its newest data from now on."""
        pools = self.hosts[host].pools.values() if host is not None else ()
        held = {key: disk.version for pool in pools for key, disk in pool.disks.items() if key[0] == uuid}
        self._versions |= {key: 0 for key in self._versions if key[0] == uuid} | held

    # changes of state: every one goes through here, at the instant it happens
    def set_state(self, host: str, uuid: str, state: DomainState, reason: str | None, at: float) -> None:
        domain = self.hosts[host].domains[uuid]
        before = domain.state
        domain.state, domain.reason = state, reason
        if state is DomainState.RUNNING and before is not DomainState.RUNNING:
            self._wrote(host, domain)
            self.executions.append(Execution(uuid, host, at))
        elif before is DomainState.RUNNING and state is not DomainState.RUNNING:
            self._stopped(host, uuid, at)

    def put_domain(self, host: str, domain: Domain) -> None:
        self.hosts[host].unsynced.pop(domain.spec.uuid, None)
        self.hosts[host].domains[domain.spec.uuid] = domain

    def drop_domain(self, host: str, uuid: str, at: float) -> None:
        domain = self.hosts[host].domains.pop(uuid, None)
        if domain is not None and domain.state is DomainState.RUNNING:
            self._stopped(host, uuid, at)

    def _stopped(self, host: str, uuid: str, at: float) -> None:
        for execution in self.executions:
            if (execution.uuid, execution.host, execution.until) == (uuid, host, None):
                execution.until = at

    def _wrote(self, host: str, domain: Domain) -> None:
        """A guest that begins to run finds its newest data, or has lost it; then it writes."""
        for spec in domain.spec.disks:
            if spec.config_drive:
                continue
            key = (domain.spec.uuid, spec.target)
            disk = self.hosts[host].pools[spec.pool].disks.get(key)
            newest = self._versions.get(key, 0)
            if disk is None or disk.version != newest or disk.damage:
                held = "nothing" if disk is None else f"version {disk.version}{disk.damage}"
                self.losses.append(f"{domain.spec.uuid} {spec.target}: {host} holds {held}, newest is {newest}")
            if disk is not None:
                disk.version = self._versions[key] = next(self._writes)
        for volume in domain.spec.volumes:
            self._wrote_volume(host, domain.spec.uuid, volume.source)
        if self._versions.pop((domain.spec.uuid, MEMORY), 0):
            self.losses.append(f"{domain.spec.uuid}: {host} runs it without the memory that it was suspended with")

    def _wrote_volume(self, host: str, uuid: str, source: str) -> None:
        """Its data is the volume's own, whichever instance wrote it last; two at once would destroy it."""
        for other in self.hosts.values():
            for domain in other.domains.values():
                alien = domain.spec.uuid != uuid and domain.state is DomainState.RUNNING
                if alien and source in {volume.source for volume in domain.spec.volumes}:
                    self.losses.append(
                        f"{source}: {uuid} writes to it on {host}, and {domain.spec.uuid} on {other.name}"
                    )
        key, volume = (source, ""), self.volumes.setdefault(source, SimulatedDisk(VOLUME_BYTES, "raw"))
        if volume.version != self._versions.get(key, 0) or volume.damage:
            self.losses.append(f"{source}: {uuid} finds something else on {host} than was written to it")
        volume.version = self._versions[key] = next(self._writes)

    def save_memory(self, host: str, domain: Domain, size: int) -> None:
        """The guest's memory lies beside its first disk, and goes with its disks as they are now."""
        uuid, pools = domain.spec.uuid, self.hosts[host].pools
        version = self._versions[uuid, MEMORY] = next(self._writes)
        disks = {d.target: pools[d.pool].disks[uuid, d.target].version for d in domain.spec.disks if not d.config_drive}
        disks |= {v.target: self.volume(host, v.source).version for v in domain.spec.volumes}
        saved = SimulatedDisk(size, "raw", version=version, remembers=disks)
        pools[domain.spec.home_pool].disks[uuid, MEMORY] = saved

    def use_memory(self, host: str, domain: Domain) -> None:
        """The saved memory is used up: the guest goes on from it."""
        uuid, pools = domain.spec.uuid, self.hosts[host].pools
        saved = pools[domain.spec.home_pool].disks.pop((uuid, MEMORY))
        if saved.version != self._versions.pop((uuid, MEMORY), 0) or saved.damage:
            self.losses.append(f"{uuid}: {host} went on from a memory that is not its last")
        for disk in domain.spec.disks:
            if saved.remembers.get(disk.target, 0) != pools[disk.pool].disks[uuid, disk.target].version:
                self.losses.append(f"{uuid}: {host} went on from a memory that does not go with {disk.target}")

        for volume in domain.spec.volumes:
            if saved.remembers.get(volume.target, 0) != self.volume(host, volume.source).version:
                self.losses.append(f"{uuid}: {host} went on from a memory that does not go with {volume.target}")


def _end(execution: Execution) -> float:
    return float("inf") if execution.until is None else execution.until
