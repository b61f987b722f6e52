"""What the handlers of this package share: their tools, what they remember, and which domains have no process.

Owns no handler, and changes nothing on a host.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from migrator.compute.driver import Driver
from migrator.compute.image_cache import ImageStore
from migrator.compute.journal import Journal
from migrator.compute.migration_parameters import Steering
from migrator.errors import StorageError
from migrator.protocol import Assignment, DomainFact, DomainState, GuestDescription, InstanceSpec, JobFact, Measurement

DEAD = (DomainState.ABSENT, DomainState.SHUT_OFF, DomainState.CRASHED, DomainState.SAVED)


@dataclass
class HandlerContext:
    """What every handler works with. ``clock`` is monotonic, in seconds."""

    driver: Driver
    journal: Journal
    images: ImageStore
    clock: Callable[[], float]


@dataclass
class OperationState:
    """What one incarnation remembers of one operation. Losing it costs time, never safety: a restarted agent waits
    the settle time again, a guest asked to shut down gets its whole time again, and a copy is looked through again."""

    started_epoch: int | None = None  # this process made the transfer call, and has not lost the hypervisor since
    quiet_since: float | None = None  # no job seen from then on
    error: str | None = None  # why the transfer could not be started
    job: JobFact | None = None  # the active one, as it was last seen
    measuring_since: float | None = None
    counts: list[int] = field(default_factory=list)  # of what is being measured, MiB/s
    measurement: Measurement | None = None
    steered: Steering | None = None  # what this process last set on it
    steered_early: bool = False  # before the first byte of memory: libvirt sets what the transfer began with after that
    stop_since: float | None = None
    proofs: Mapping[str, str] | None = None  # what was written into the instance's pools for this operation
    asked_at: float | None = None
    copy_epoch: int | None = None  # this process began the copy, and it has not failed since


Handler = Callable[[HandlerContext, OperationState, Assignment], Mapping[str, Any]]
NOTHING: Mapping[str, Any] = {}


def begun(tools: HandlerContext, assignment: Assignment, domain: DomainFact) -> bool:
    """Whether this operation ever began a transfer here: the journal knows, and the domain does if the journal is
    lost."""
    return (
        tools.journal.last_begun(assignment.operation_id) is not None
        or domain.stamp_operation == assignment.operation_id
    )


def refuse_missing_disks(driver: Driver, spec: InstanceSpec) -> None:
    """Raises StorageError. Made anew a missing disk would be empty: that is a loss, and never ours to hide."""
    missing = [disk.path for disk in driver.disks(spec) if not disk.exists]
    if missing:
        raise StorageError(f"disk missing: {', '.join(missing)}", advice="bring the file back, then start again")


def with_proofs(
    tools: HandlerContext, memory: OperationState, spec: InstanceSpec, guest: GuestDescription
) -> GuestDescription:
    """With something new in each pool of the instance, for the destination to find."""
    if memory.proofs is None:
        memory.proofs = tools.driver.prove(spec.pools)
    return guest.model_copy(update={"proofs": dict(memory.proofs)})
