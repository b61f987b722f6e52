"""The protocol between the agent and a hypervisor, and nothing else.

Two drivers implement it: ``libvirt_driver`` (real) and ``simulated`` (first class, for thousands of hosts and for
faults). One contract suite (``tests/contract``) runs against both. Every method is safe to call again, raises only
``errors.DriverError`` and its children, and blocks no longer than its docstring says.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from migrator.protocol import (
    CheckResult,
    Copy,
    DiskFact,
    DomainFact,
    GuestDescription,
    HostReport,
    InstanceSpec,
    JobFact,
    MigratingInputs,
)


class Driver(Protocol):
    def host_report(self) -> HostReport:
        """Describe the host: capacity, versions, CPU, machine types, storage pools with identities."""
        ...

    def list_copies(self) -> Sequence[Copy]:
        """Every domain on the host that migrator made (its metadata says so), running or not."""
        ...

    def domain(self, uuid: str) -> DomainFact:
        """The domain as it is now; ``ABSENT`` when there is none. Raises HypervisorUnavailable."""
        ...

    def stamp(self, uuid: str, operation_id: str, epoch: int) -> None:
        """Write operation and epoch into the domain's metadata (live and persistent). Raises DomainNotFound."""
        ...

    # disks
    def disks(self, spec: InstanceSpec) -> Sequence[DiskFact]:
        """One fact per disk of the spec, existing or not, at the path this host keeps it."""
        ...

    def make_disks(self, spec: InstanceSpec, images: dict[str, Path]) -> None:
        """Make every missing disk of the spec from its image (a copy-on-write overlay, or a copy for raw) or empty,
        and keep kernel and ramdisk beside them. ``images`` maps image id to a local file. Existing disks are left
        alone. A disk appears under its name only when complete. Raises StorageError."""
        ...

    def make_target_disks(self, spec: InstanceSpec, guest: GuestDescription, images: dict[str, Path]) -> None:
        """Before a block migration: an empty disk of the source's virtual size (with the same backing image) for each
        disk whose pool this host does not share with the source; touch nothing that exists. Also places kernel and
        ramdisk where the domain expects them."""
        ...

    def remove_files(self, spec: InstanceSpec, pools: Sequence[str]) -> None:
        """Delete the instance's directory in the pools named, and nothing else. No error where there is none."""
        ...

    # life
    def define_and_start(self, spec: InstanceSpec, operation_id: str, epoch: int) -> None:
        """Make the domain exist with this spec, stamped, and run; no-op for a running one."""
        ...

    def shut_down(self, uuid: str) -> None:
        """Ask the guest (ACPI) to stop; returns at once. No-op unless running."""
        ...

    def destroy(self, uuid: str) -> None:
        """Cut the domain's power. No-op unless it has a process."""
        ...

    def undefine(self, uuid: str) -> None:
        """Forget a domain that is not running. No-op for none."""
        ...

    # moving
    def describe_guest(self, spec: InstanceSpec) -> GuestDescription:
        """Source: the running guest's real CPU, machine type, memory and disks. Raises DomainNotFound."""
        ...

    def check_source(self, spec: InstanceSpec) -> Sequence[CheckResult]:
        """Source: what forbids this guest to move (not running, pass-through devices, a job already active)."""
        ...

    def check_destination(
        self, spec: InstanceSpec, guest: GuestDescription, block: bool | None
    ) -> Sequence[CheckResult]:
        """Destination: cpu, memory, disk, machine_type, storage, domain (none of that UUID may run here). All of
        them, not the first that fails."""
        ...

    def start_migration(self, spec: InstanceSpec, operation_id: str, epoch: int, inputs: MigratingInputs) -> None:
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

    def abort_job(self, uuid: str) -> None:
        """Abort the active migration job; no-op for none. After post-copy began libvirt refuses: DriverError."""
        ...

    def close(self) -> None:
        """Drop connections; running transfers go on without us."""
        ...
