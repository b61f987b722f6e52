"""The simulated hypervisor: ``compute/driver.py``'s protocol in front of one host of a ``SimulatedCluster``.

One object is one agent's connection: it knows the transfers that it began itself and nothing else. Throwing it away
and making another is an agent's restart; all that outlives that is in the cluster. Every call first asks the cluster's
fault hook, then lets the world catch up with the clock.
"""

from collections.abc import Mapping, Sequence

from migrator.compute import compatibility
from migrator.compute.machine import machine_of
from migrator.compute.simulated import live_migration
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.connection import PROCESS, call
from migrator.compute.simulated.domains import SimulatedLife
from migrator.compute.simulated.state import MEASURING_S, MIB, Domain, Transfer
from migrator.compute.simulated.survey import VERSION, SimulatedSurvey
from migrator.compute.storage.kept_disks import kept_gb
from migrator.compute.storage.pool_identity import PROOF_S
from migrator.errors import DriverError
from migrator.protocol import (
    FAILED,
    MEMORY,
    PAUSE_REASON_USER,
    CheckResult,
    DiskFact,
    DomainEntry,
    DomainFact,
    DomainState,
    GuestDescription,
    HostReport,
    InstanceSpec,
    JobFact,
    Measurement,
    MigratingInputs,
    StoragePool,
)


def _paused_by_hand(domain: Domain) -> bool:
    return domain.state is DomainState.PAUSED and domain.reason == PAUSE_REASON_USER


class SimulatedHypervisor(SimulatedSurvey, SimulatedLife):
    def __init__(self, name: str, simulation: SimulatedCluster) -> None:
        super().__init__(name, simulation)
        self._begun: dict[str, Transfer] = {}  # instance -> the last transfer begun on this connection

    def machine(self) -> str:
        return machine_of("simulated", self.name)

    @call
    def host_report(self) -> HostReport:
        host = self.host
        return HostReport(
            hypervisor_type="simulated",
            hypervisor_version=VERSION,
            cpu_model=host.cpu_model,
            cpu_vendor="Intel",
            cpu_topology={"sockets": 1, "cores": host.vcpus, "threads": 1},
            machine_types=host.machine_types,
            vcpus=host.vcpus,
            memory_mb=host.memory_mb,
            foreign_memory_mb=host.foreign_memory_mb,
            kept_disks_gb=kept_gb(self._kept_disks()),
            storage={name: self._pool_report(name) for name in host.pools},
            default_pool="local",
            address=self.name,
            live_migration_uri=f"simulated://{self.name}",
            networks=host.networks,
            bridges=host.bridges,
            simulated=True,
        )

    def _pool_report(self, name: str) -> StoragePool:
        pool = self.host.pools[name]
        return pool.pool(f"/simulated/{self.name}/{name}", pool.prove(self.name, self.simulation.clock(), PROOF_S))

    @call
    def prove(self, pools: Sequence[str]) -> Mapping[str, str]:
        return {name: self._storage(name).prove(self.name, self.simulation.clock()) for name in pools}

    @call
    def compare_storage(
        self, storage: Mapping[str, str], proofs: Mapping[str, str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        own = self.host.pools
        same = {name for name, identity in storage.items() if name in own and own[name].identity == identity}
        found = frozenset(name for name in same if proofs.get(name, "") in own[name].proofs)
        return found, frozenset(same - found)

    @call
    def list_copies(self, *, live: bool = False) -> Sequence[DomainEntry]:
        copies = [
            DomainEntry(
                uuid=uuid,
                state=self._state(d),
                stamp_operation=d.operation_id,
                stamp_epoch=d.epoch,
                seal=d.seal,
                failed=self._state(d) is DomainState.SHUT_OFF and d.reason in FAILED,
            )
            for uuid, d in self.host.domains.items()
        ]
        return [copy for copy in copies if not live or copy.state not in (DomainState.SHUT_OFF, DomainState.SAVED)]

    @call
    def domain(self, uuid: str) -> DomainFact:
        domain = self.host.domains.get(uuid)
        if domain is None:
            return DomainFact(state=DomainState.ABSENT)
        return DomainFact(
            state=self._state(domain),
            reason=domain.reason,
            stamp_operation=domain.operation_id,
            stamp_epoch=domain.epoch,
            persistent=domain.persistent,
        )

    @call
    def stamp(self, uuid: str, operation_id: str, epoch: int, seal: str = "") -> None:
        domain = self._domain(uuid)
        domain.operation_id, domain.epoch, domain.seal = operation_id, epoch, seal

    # moving
    @call
    def describe_guest(self, spec: InstanceSpec) -> GuestDescription:
        domain, saved = self._domain(spec.uuid), self.host.memory_of(spec)
        disks = self._disk_facts(spec)
        if saved is not None:
            path, pool = self._path(spec.uuid, spec.home_pool, MEMORY), spec.home_pool
            size, used = saved.virtual_bytes, saved.allocated_bytes
            disks.append(
                DiskFact(
                    target=MEMORY,
                    path=path,
                    pool=pool,
                    exists=True,
                    format="raw",
                    virtual_bytes=size,
                    allocated_bytes=used,
                )
            )
        return self._described(domain).model_copy(
            update={
                "memory_mb": spec.memory_mb,
                "vcpus": spec.vcpus,
                "disks": tuple(disks),
                "storage": self._identities(),
            }
        )

    @call
    def check_source(self, spec: InstanceSpec, *, live: bool = True) -> Sequence[CheckResult]:
        domain = self.host.domains.get(spec.uuid)
        state = self._state(domain) if domain is not None else DomainState.ABSENT
        transfer = self.simulation.transfers.get(spec.uuid)
        active = transfer is not None and transfer.source == self.name
        devices = domain.devices if domain is not None else ()
        reason = domain.reason if domain is not None else None
        return compatibility.source(state, reason=reason, job_active=active, passed_through=devices, live=live)

    @call
    def check_destination(
        self, spec: InstanceSpec, guest: GuestDescription, block: bool | None, *, over_commit: bool = False
    ) -> Sequence[CheckResult]:
        host, own = self.host, self._identities()
        present = host.domains.get(spec.uuid)
        live = [d for uuid, d in host.domains.items() if d.state in PROCESS and uuid != spec.uuid]
        fits = guest.cpu_xml is None or host.cpu_model in guest.cpu_xml
        free = {name: pool.free_bytes for name, pool in host.pools.items()}
        return [
            compatibility.domain(present.state if present is not None else DomainState.ABSENT),
            compatibility.memory(
                spec.memory_mb,
                total_mb=host.memory_mb,
                reserved_mb=512,
                used_mb=host.foreign_memory_mb + sum(d.spec.memory_mb for d in live),
                ratio=1.0,
            ),
            compatibility.cpu(fits, f"this host's CPU is {host.cpu_model}"),
            compatibility.machine_type(guest.machine, host.machine_types),
            compatibility.version(guest.hypervisor_version, VERSION),
            compatibility.console(guest.listens, host.addresses),
            compatibility.network(spec, host.networks, host.bridges),
            compatibility.storage(spec, guest, own, block),
            compatibility.volumes(spec, self._sizes([volume.source for volume in spec.volumes])),
            compatibility.disk(spec, guest, own, free_bytes=free, ratio=1.0, over_commit=over_commit),
            compatibility.leftover(spec, guest, own, self._disk_facts(spec)),
        ]

    @call
    def start_measuring(self, uuid: str) -> None:
        if self._domain(uuid).state is not DomainState.RUNNING:
            raise DriverError("Requested operation is not valid: domain is not running")
        self.simulation.measuring.setdefault(uuid, self.simulation.clock() + MEASURING_S)

    @call
    def measurement(self, uuid: str, destination_address: str) -> Measurement | None:
        domain, behaviour = self._domain(uuid), self.simulation.behaviour(uuid)
        if self.simulation.clock() < self.simulation.measuring.get(uuid, 0.0):
            return None
        self.simulation.measuring.pop(uuid, None)
        other = self.simulation.hosts[destination_address].bandwidth_bytes_per_s
        return Measurement(
            dirty_mib_s=round(min(behaviour.dirty_bytes_per_s * MEASURING_S, behaviour.working_bytes) / MIB),
            memory_mib=domain.spec.memory_mb,
            link_mib_s=round(min(self.host.bandwidth_bytes_per_s, other) / MIB),
        )

    @call
    def start_migration(
        self, spec: InstanceSpec, operation_id: str, epoch: int, inputs: MigratingInputs, seal: str = ""
    ) -> None:
        domain = self._domain(spec.uuid)
        if domain.state is not DomainState.RUNNING and not _paused_by_hand(domain):
            raise DriverError("Requested operation is not valid: domain is not running")
        if spec.uuid in self.simulation.transfers:
            raise DriverError("another migration job is already running for domain")
        destination = inputs.uri.removeprefix("simulated://")
        if destination not in self.simulation.hosts or destination == self.name:
            raise DriverError(f"unable to connect to server at {inputs.uri!r}")
        domain.operation_id, domain.epoch, domain.seal = operation_id, epoch, seal
        now = self.simulation.clock()
        self._begun[spec.uuid] = live_migration.begin(self.simulation, self.name, spec, inputs, destination, now)

    def migration_running(self, uuid: str) -> bool:
        with self.simulation.lock:
            self.simulation.advance()
            transfer = self._begun.get(uuid)
            return transfer is not None and not transfer.over

    def migration_error(self, uuid: str) -> str | None:
        with self.simulation.lock:
            transfer = self._begun.get(uuid)
            return transfer.error if transfer is not None else None

    @call
    def job(self, uuid: str) -> JobFact | None:
        now, active = self.simulation.clock(), self.simulation.transfers.get(uuid)
        if active is not None and active.source == self.name:
            return live_migration.job_fact(self.simulation, active, now)
        domain = self.host.domains.get(uuid)
        if domain is not None and domain.completed is not None:
            return domain.completed
        begun = self._begun.get(uuid)
        return live_migration.job_fact(self.simulation, begun, now) if begun is not None else None

    @call
    def steer(self, uuid: str, max_downtime_ms: int | None, bandwidth_mib_s: int) -> None:
        if uuid not in self.host.domains:
            return
        live_migration.steer(self.simulation, self._transfer(uuid), max_downtime_ms, bandwidth_mib_s)

    @call
    def force_completion(self, uuid: str, *, post_copy: bool) -> None:
        if self._domain(uuid).state is DomainState.RUNNING:
            live_migration.complete(self.simulation, self._transfer(uuid), post_copy=post_copy)

    def _transfer(self, uuid: str) -> Transfer:
        transfer = self.simulation.transfers.get(uuid)
        if transfer is None or transfer.source != self.name:
            raise DriverError("Requested operation is not valid: domain is not being migrated")
        return transfer

    @call
    def abort_job(self, uuid: str) -> None:
        transfer = self.simulation.transfers.get(uuid)
        if transfer is not None and transfer.source == self.name:
            if transfer.stage == "postcopy":
                raise DriverError("Requested operation is not valid: cannot abort migration in post-copy mode")
            now = self.simulation.clock()
            live_migration.fail(self.simulation, transfer, "operation aborted: migration out job: canceled", now)

    def close(self) -> None:
        """Transfers are the cluster's and go on; a copy is this process's, and ends."""
        self.simulation.end_copies(self.name)
