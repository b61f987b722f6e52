"""One synchronous step for one assignment: try to make it true, look, and say what is there.

Owns the order of observation and the rules by which a transfer's attempt counts as over. Deterministic: no threads,
no sleeping, no clock but the one it is given, so that a simulated world can drive it. Never reports success.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from migrator.compute.agent import assignment_admission
from migrator.compute.driver import Driver
from migrator.compute.handlers.context import HandlerContext, OperationState, begun
from migrator.compute.handlers.live import HANDLERS, stop_only
from migrator.compute.image_cache import ImageStore
from migrator.compute.journal import Journal, JournalFull
from migrator.errors import DiskBeingRead, HypervisorUnavailable, MigratorError, ServerUnreachable, StorageError
from migrator.protocol import (
    STEP_HANGS,
    UNKNOWN_ASSIGNMENT,
    AbsentInputs,
    Assignment,
    AttemptFact,
    AttemptState,
    DiskFact,
    DomainEntry,
    DomainFact,
    DomainState,
    Ensure,
    Fact,
    JobFact,
    Problem,
    Role,
    UnreadableAssignment,
)

SETTLE_S = 2.0  # without a job for so long, a transfer whose call we did not see return is over
_TRANSIENT = (HypervisorUnavailable, ServerUnreachable, DiskBeingRead)
_TOLD = (MigratorError, ValidationError, OSError)  # goes into the fact: the operation waits for a reason
_CLEARS = (Ensure.ABSENT, Ensure.SET_ASIDE)
_WITH_DISKS = (Ensure.PREPARED, Ensure.DISKS_PRESENT, Ensure.RUNNING, Ensure.REBUILT, *_CLEARS)
_WITH_JOB = (Ensure.OBSERVED, Ensure.MIGRATING, Ensure.NOT_MIGRATING, *_CLEARS)


class Worker:
    """Not safe for two assignments of one instance at a time; the caller takes turns."""

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        images: ImageStore,
        clock: Callable[[], float],
        settle_s: float = SETTLE_S,
    ) -> None:
        self._tools = HandlerContext(driver, journal, images, clock)
        self._settle_s = settle_s
        self._memories: dict[str, OperationState] = {}
        self._sequence = itertools.count(1)

    def act(self, assignment: Assignment) -> Fact:
        """One bounded attempt, then what is there. Everything that the hypervisor says is in the fact's ``problem``. Of
        an assignment that is older than what this host remembers nothing is done, and nothing is said of the domain."""
        memory = self._memories.setdefault(assignment.operation_id, OperationState())
        journal = self._tools.journal
        refused = assignment_admission.refusal(journal, assignment)
        if refused is not None:
            return self._fact(assignment, problem=refused, served=journal.newest(assignment.instance.uuid))
        parts: dict[str, Any] = {}
        try:
            self._note(assignment)
            parts |= HANDLERS[assignment.ensure](self._tools, memory, assignment)
        except _TOLD as error:
            parts["problem"] = self._problem(error, memory)
        try:
            parts = {**self._observe(assignment, memory), **parts}  # what only the handler knows goes over it
        except _TOLD as error:
            parts["domain"] = None
            parts.setdefault("problem", self._problem(error, memory))
        return self._fact(assignment, **parts)

    def _note(self, assignment: Assignment) -> None:
        """Raises JournalFull, after what must be stopped was stopped."""
        try:
            assignment_admission.note(self._tools.journal, assignment)
        except JournalFull:
            if assignment.ensure not in assignment_admission.WITHOUT_JOURNAL:
                stop_only(self._tools, assignment)
                raise

    def refuse(self, assignment: UnreadableAssignment) -> Fact:
        """The answer to an assignment that this agent does not understand: a problem, and nothing is touched."""
        problem = Problem(code=UNKNOWN_ASSIGNMENT, message=assignment.reason, final=False)
        return self._fact(assignment, problem=problem)

    def unreturned(self, assignment: Assignment, at_work: Assignment | None, seconds: float) -> Fact:
        """The answer while a step of the instance, ``at_work``, does not return; None: this one has not begun. Asks
        neither libvirt nor the server, and says nothing of the domain."""
        step = at_work or assignment
        whose = (
            f"this {step.kind}" if step.operation_id == assignment.operation_id else f"operation {step.operation_id}"
        )
        message = f"the step {step.ensure} of {whose} has not returned for more than {seconds:g} s"
        advice = "it fetches something large, or its storage or hypervisor hangs"
        return self._fact(assignment, problem=Problem(code=STEP_HANGS, message=f"{message}: {advice}", final=False))

    def _fact(self, assignment: Assignment | UnreadableAssignment, **parts: Any) -> Fact:
        return Fact(
            operation_id=assignment.operation_id,
            epoch=assignment.epoch,
            phase=assignment.phase,
            incarnation=self._tools.journal.incarnation,
            sequence=next(self._sequence),
            **parts,
        )

    def served(self, copies: Sequence[DomainEntry]) -> tuple[DomainEntry, ...]:
        """The copies, each with the newest operation that was served for it, where that is known for certain: the
        server compares it with its record."""
        served = self._tools.journal.served
        return tuple(copy.model_copy(update={"served": served(copy.uuid)}) for copy in copies)

    def transferring(self, uuid: str) -> bool:
        """Whether this process's migrate call for the instance is still open; asks no hypervisor."""
        return self._tools.driver.migration_running(uuid)

    def forget(self, operation_id: str) -> None:
        """The operation wants nothing of this host any more. What the journal knows of it stays."""
        self._memories.pop(operation_id, None)

    def _problem(self, error: MigratorError | ValidationError | OSError, memory: OperationState) -> Problem:
        if isinstance(error, ValidationError):
            return Problem(code="bad_request", message=f"the assignment's inputs are malformed: {error}", final=True)
        if isinstance(error, OSError):  # a disk or a mount that fails in an unexpected place
            error = StorageError(str(error))
        if isinstance(error, HypervisorUnavailable):
            # A call that was cut off says nothing about the transfer: only a settled look does.
            memory.started_epoch = None
            memory.quiet_since = None
        return Problem(code=error.code, message=error.sentence, final=not isinstance(error, _TRANSIENT))

    def _observe(self, assignment: Assignment, memory: OperationState) -> Mapping[str, Any]:
        driver, uuid = self._tools.driver, assignment.instance.uuid
        found: dict[str, Any] = {}
        # The job before the domain: "no job" followed by "running" means that it runs here. The other way round, a
        # transfer that ends in between would read as one that never moved the guest.
        in_flight = driver.migration_running(uuid)
        job = driver.job(uuid) if assignment.ensure in _WITH_JOB else None
        domain = driver.domain(uuid)
        if job is not None:
            found["job"] = job
        memory.job = job if job is not None and job.active else None
        if assignment.role is Role.SOURCE and assignment.ensure in _WITH_JOB:
            found["attempt"] = self._attempt(assignment, memory, in_flight, job, domain)
        if assignment.ensure in _WITH_DISKS:
            found["disks"] = self._disks(assignment)
        found["domain"] = domain
        return found

    def _disks(self, assignment: Assignment) -> tuple[DiskFact, ...]:
        spec = assignment.instance
        if assignment.ensure in _CLEARS:
            pools = self._emptied(AbsentInputs.model_validate(assignment.inputs))
            left: dict[str, Any] = {"disks": tuple(disk for disk in spec.disks if disk.pool in pools)}
            left |= {} if spec.state_pool in pools else {"kernel_id": None, "ramdisk_id": None}
            spec = spec.model_copy(update=left)
        return tuple(self._tools.driver.disks(spec))

    def _emptied(self, inputs: AbsentInputs) -> tuple[str, ...]:
        """The pools in which nothing may be left: where the instance lives on, it is no leftover."""
        if not inputs.preserve_storage_ids:
            return inputs.delete_pools
        storage = self._tools.driver.host_report().storage
        return tuple(
            p for p in inputs.delete_pools if p not in storage or storage[p].identity not in inputs.preserve_storage_ids
        )

    def _attempt(
        self, assignment: Assignment, memory: OperationState, in_flight: bool, job: JobFact | None, domain: DomainFact
    ) -> AttemptFact:
        if in_flight or (job is not None and job.active):
            memory.quiet_since = None
            return AttemptFact(state=AttemptState.RUNNING)
        if not self._begun(assignment, domain):
            return AttemptFact(state=AttemptState.NONE)
        error = memory.error or self._tools.driver.migration_error(assignment.instance.uuid)
        if _gone(domain) or memory.started_epoch is not None or self._settled(memory):
            return AttemptFact(state=AttemptState.ENDED, error=error)
        return AttemptFact(state=AttemptState.RUNNING)

    def _begun(self, assignment: Assignment, domain: DomainFact) -> bool:
        if assignment.ensure is Ensure.MIGRATING:
            return self._tools.journal.begun(assignment.operation_id, assignment.epoch)
        return begun(self._tools, assignment, domain)

    def _settled(self, memory: OperationState) -> bool:
        now = self._tools.clock()
        if memory.quiet_since is None:
            memory.quiet_since = now
        return now - memory.quiet_since >= self._settle_s


def _gone(domain: DomainFact) -> bool:
    """Nothing here is left that a transfer could still move."""
    migrated = domain.state is DomainState.SHUT_OFF and domain.reason == "migrated"
    return migrated or domain.state is DomainState.ABSENT
