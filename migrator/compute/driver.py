"""The protocol between the agent and a hypervisor, and nothing else.

Its half for instances' files is in ``storage_driver.py``. Two drivers implement it: ``libvirt/driver.py`` (real) and
``simulated/driver.py`` (first class, for thousands of hosts and for faults). One contract suite (``tests/contract``)
runs against both. Every method is safe to call again, raises only ``errors.DriverError`` and its children, and blocks
no longer than its docstring says.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from migrator.compute.storage_driver import StorageDriver
from migrator.compute.use_counters import HostCounters
from migrator.protocol import (
    CheckResult,
    DomainEntry,
    DomainFact,
    GuestCpu,
    GuestDescription,
    HostCpu,
    HostReport,
    InstanceSpec,
    JobFact,
    Measurement,
    MigratingInputs,
)


class Driver(StorageDriver, Protocol):
    def machine(self) -> str:
        """A UUID that no other machine has, not even one whose disk was copied from this one's. Raises
        HypervisorUnavailable."""
        ...

    def host_report(self) -> HostReport:
        """Describe the host: capacity, versions, CPU, machine types, storage pools with identities."""
        ...

    def list_copies(self, *, live: bool = False) -> Sequence[DomainEntry]:
        """Every domain on the host that migrator made (its metadata says so), running or not. None of them starts
        when the host does: an operator's autostart flag is overruled. ``live``: those that have a process, asking
        neither the storage nor the guests' emulators, any of which may hang."""
        ...

    def domain(self, uuid: str) -> DomainFact:
        """The domain as it is now; ``ABSENT`` when there is none. One that arrives by a live migration becomes
        persistent when all of it is there, with the stamp that it bore at its source. Raises HypervisorUnavailable."""
        ...

    def stamp(self, uuid: str, operation_id: str, epoch: int, seal: str = "") -> None:
        """Write operation, epoch and the server's seal (``Assignment.seal``) into the domain's metadata (live and
        persistent). Raises DomainNotFound."""
        ...

    # life
    def define(self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "", seal: str = "") -> None:
        """Make the domain exist with this spec, stamped; no-op for one that has a process. ``machine``: the machine
        type that the guest has seen; "" keeps that of a domain defined before, else leaves it to the host. Raises
        DriverError for a domain with disks that are not the spec's: they are not taken from it."""
        ...

    def define_and_start(
        self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "", seal: str = ""
    ) -> None:
        """``define``, and run, from the disks alone; no-op for a running one. A saved memory is left where it is, so
        the caller has made sure that there is none."""
        ...

    def save_memory(self, spec: InstanceSpec) -> None:
        """Save the running guest's memory beside its first disk, and shut it off. Returns when it is safe on the disk,
        and no-op for one that is saved, but for that."""
        ...

    def restore_memory(self, spec: InstanceSpec, operation_id: str, epoch: int, seal: str = "") -> None:
        """Run the defined domain on from its saved memory, which is used up before the guest runs: no crash can make
        it run twice from the same memory. Raises DriverError, with the memory kept, when libvirt refuses."""
        ...

    def pause(self, uuid: str) -> None:
        """Stop the running guest's CPUs, and leave it where it is. No-op for one that was paused. Raises
        DomainNotFound, and DriverError for one that does not run, or is being moved."""
        ...

    def unpause(self, uuid: str) -> None:
        """Let a guest go on whose CPUs a user, or an error of its disk, has stopped. No-op for one that runs. Raises
        DomainNotFound, and DriverError for one that is paused for any other reason, for it may be half of a move."""
        ...

    def shut_down(self, uuid: str) -> None:
        """Ask the guest (ACPI) to stop; returns at once. No-op unless running."""
        ...

    def destroy(self, uuid: str) -> None:
        """Cut the domain's power. No-op unless it has a process."""
        ...

    def undefine(self, uuid: str) -> None:
        """Forget a domain that is not running, also for a host that loses its power right after: so it is for none."""
        ...

    # moving
    def describe_guest(self, spec: InstanceSpec) -> GuestDescription:
        """Source: the guest's CPU (a running one's as it really is), machine type, memory and disks, with MEMORY among
        them when it is saved. Raises DomainNotFound."""
        ...

    def live_guests(self) -> Mapping[str, GuestDescription]:
        """Every live guest of ours, by instance, as its domain says; its disks and storage are left out. Asks neither
        the storage nor the guests' emulators."""
        ...

    def memory_allocated_mb(self) -> int:
        """MiB that live domains, migrator's or not, may use at most."""
        ...

    def use(self) -> HostCounters:
        """What the host's processors and memory are really used for, and by which live domain. Within 6 s, also beside
        an emulator that hangs."""
        ...

    def host_cpu(self) -> HostCpu:
        """What the hypervisor can give a guest: the host's own CPU, and the named models that it can run."""
        ...

    def check_cpu(self, cpu: GuestCpu) -> CheckResult:
        """Whether this host can run a guest that sees this CPU, in the hypervisor's words."""
        ...

    def reach(self, uri: str) -> str | None:
        """Why this host's hypervisor cannot be connected with the one at ``uri``; None: it can. Within 6 s."""
        ...

    def addresses(self) -> tuple[str, ...]:
        """Every IP address of this host, loopback left out."""
        ...

    def check_source(self, spec: InstanceSpec, *, live: bool = True) -> Sequence[CheckResult]:
        """Source: what forbids this guest to move (pass-through devices, a job already active; disks, or a memory kept
        by the hypervisor, that migrator does not know of; not running, when it should move live; no domain, or one that
        is paused, when it should not)."""
        ...

    def check_destination(
        self, spec: InstanceSpec, guest: GuestDescription, block: bool | None, *, over_commit: bool = False
    ) -> Sequence[CheckResult]:
        """Destination: cpu, memory, disk, machine_type, hypervisor_version, console, network, storage, volumes,
        leftover, domain (none of that UUID may run here). All of them, not the first that fails. ``block``,
        ``over_commit``: see ``CompatibleInputs``."""
        ...

    def start_measuring(self, uuid: str) -> None:
        """Source: begin to count how much memory the guest writes to within a second; returns at once. No-op while that
        goes on. Raises DriverError, also where the hypervisor cannot."""
        ...

    def measurement(self, uuid: str, destination_address: str) -> Measurement | None:
        """What was counted since ``start_measuring``, and what the network towards that address is made for. None while
        it is being counted."""
        ...

    def start_migration(
        self, spec: InstanceSpec, operation_id: str, epoch: int, inputs: MigratingInputs, seal: str = ""
    ) -> None:
        """Source: begin the one transfer and return at once. libvirt's peer-to-peer mode owns it from then on, on a
        connection of its own; ``migration_error`` tells the end. The caller journals before calling this and never
        calls it twice for one operation and epoch."""
        ...

    def migration_running(self, uuid: str) -> bool:
        """Whether this process still has a transfer call in flight for the domain."""
        ...

    def migration_error(self, uuid: str) -> str | None:
        """libvirt's words if the last transfer begun by this process failed; None if it succeeded or none ended."""
        ...

    def job(self, uuid: str) -> JobFact | None:
        """Statistics of the active migration job, else of the last one that this process began (``active`` false, with
        libvirt's measured downtime), else None. Control connection, never the one that carries the transfer."""
        ...

    def steer(self, uuid: str, max_downtime_ms: int | None, bandwidth_mib_s: int) -> None:
        """Set the pause that the guest may be given (None leaves it alone) and the bandwidth of memory (0: no limit;
        disks keep what they began with) in the active migration job. No-op for a guest that has left. Raises
        DriverError."""
        ...

    def force_completion(self, uuid: str, *, post_copy: bool) -> None:
        """Make the active migration job end although the guest writes faster than it can be sent: by post-copy, which
        the job must have been begun with, else by pausing the guest, which runs on wherever the transfer leaves it.
        No-op for a guest that does not run here any more. Raises DriverError."""
        ...

    def abort_job(self, uuid: str) -> None:
        """Abort the active migration job; no-op for none. After post-copy began libvirt refuses: DriverError."""
        ...

    def close(self) -> None:
        """Drop connections; running transfers go on without us."""
        ...
