"""One handler an ``Ensure``: a single bounded attempt to make it true, to be called again and again.

A handler changes what has to change and answers with the parts of the fact that only it knows (checks, the guest's
description, a note). What is there afterwards is observed by ``worker.py``. Handlers never sleep, never start a
thread, and never judge success.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from migrator.compute.driver import Driver
from migrator.compute.images import ImageStore
from migrator.compute.journal import Journal
from migrator.errors import Conflict, DomainNotFound, DriverError, StorageError
from migrator.protocol import (
    AbsentInputs,
    Assignment,
    CompatibleInputs,
    DomainFact,
    DomainState,
    Ensure,
    MigratingInputs,
    PreparedInputs,
    Role,
    ShutOffInputs,
)

ASK_AGAIN_S = 3.0  # a guest that is still booting misses the request to shut down

DEAD = (DomainState.ABSENT, DomainState.SHUT_OFF, DomainState.CRASHED)
# Paused for these reasons, a domain that its operation stamped and that has no job is what a transfer left behind:
# a receiving end that never ran, or a sending end whose guest lives elsewhere.
_LEFT_BEHIND = ("migration", "starting-up")


@dataclass
class Tools:
    """What every handler works with. ``clock`` is monotonic, in seconds."""

    driver: Driver
    journal: Journal
    images: ImageStore
    clock: Callable[[], float]


@dataclass
class Memory:
    """What one incarnation remembers of one operation. Losing it costs time, never safety: a restarted agent waits
    the settle time again, and a guest asked to shut down gets its whole time again."""

    generation: int = 0
    started_epoch: int | None = None  # this process made the transfer call, and has not lost the hypervisor since
    quiet_since: float | None = None  # no job seen from then on
    error: str | None = None  # why the transfer could not be started
    stop_since: float | None = None
    asked_at: float | None = None


Handler = Callable[[Tools, Memory, Assignment], Mapping[str, Any]]
NOTHING: Mapping[str, Any] = {}


def begun(tools: Tools, assignment: Assignment, domain: DomainFact) -> bool:
    """Whether this operation ever began a transfer here: the journal knows, and the domain does if the journal is
    lost."""
    return (
        tools.journal.last_begun(assignment.operation_id) is not None
        or domain.stamp_operation == assignment.operation_id
    )


def observed(_tools: Tools, _memory: Memory, _assignment: Assignment) -> Mapping[str, Any]:
    return NOTHING


def movable(tools: Tools, _memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    checks = tuple(tools.driver.check_source(assignment.instance))
    if not all(check.ok for check in checks):
        return {"checks": checks}
    return {"checks": checks, "guest": tools.driver.describe_guest(assignment.instance)}


def compatible(tools: Tools, _memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    inputs = CompatibleInputs.model_validate(assignment.inputs)
    return {"checks": tuple(tools.driver.check_destination(assignment.instance, inputs.guest, inputs.block))}


def prepared(tools: Tools, _memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    inputs = PreparedInputs.model_validate(assignment.inputs)
    spec = assignment.instance
    tools.driver.make_target_disks(spec, inputs.guest, tools.images.ensure(spec.images))
    return NOTHING


def migrating(tools: Tools, memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    """Begin the one transfer of this operation and epoch. The journal is written first and the domain stamped next,
    so that whatever crashes in between, nobody starts it a second time."""
    operation, epoch = assignment.operation_id, assignment.epoch
    driver, uuid = tools.driver, assignment.instance.uuid
    if tools.journal.begun(operation, epoch):
        return NOTHING
    inputs = MigratingInputs.model_validate(assignment.inputs)
    domain = driver.domain(uuid)
    if (domain.stamp_operation, domain.stamp_epoch) == (operation, epoch):
        tools.journal.begin(operation, epoch)
        return NOTHING
    if domain.state is not DomainState.RUNNING:
        raise Conflict(f"the domain is {domain.state}; only a running guest moves live")
    job = driver.job(uuid)
    if driver.migration_running(uuid) or (job is not None and job.active):
        raise Conflict("another job is active on the domain")
    tools.journal.begin(operation, epoch)
    memory.quiet_since = memory.started_epoch = memory.error = None
    try:
        driver.stamp(uuid, operation, epoch)
        driver.start_migration(assignment.instance, operation, epoch, inputs)
    except DriverError as error:
        memory.error = error.message
        raise
    memory.started_epoch = epoch
    return NOTHING


def not_migrating(tools: Tools, _memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    driver, uuid = tools.driver, assignment.instance.uuid
    job = driver.job(uuid)
    active = driver.migration_running(uuid) or (job is not None and job.active)
    # A job that this operation never began is somebody else's to end.
    if active and begun(tools, assignment, driver.domain(uuid)):
        driver.abort_job(uuid)
    return NOTHING


def disks_present(tools: Tools, _memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    spec = assignment.instance
    tools.driver.make_disks(spec, tools.images.ensure(spec.images))
    return NOTHING


def running(tools: Tools, memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    driver, spec = tools.driver, assignment.instance
    state = driver.domain(spec.uuid).state
    if state is DomainState.RUNNING:
        return NOTHING
    if state not in DEAD:
        raise Conflict(f"the domain is {state}; it is not started over")
    if assignment.kind == "build" and assignment.forward:
        disks_present(tools, memory, assignment)
    missing = [disk.path for disk in driver.disks(spec) if not disk.exists]
    if missing:
        # Made anew it would be empty: that is a loss, and never ours to hide.
        raise StorageError(f"disk missing: {', '.join(missing)}", advice="bring the file back, then start again")
    driver.define_and_start(spec, assignment.operation_id, assignment.epoch)
    return NOTHING


def shut_off(tools: Tools, memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    """Ask, ask again, and after ``timeout_s`` cut the power. The wait starts anew when the agent does."""
    inputs = ShutOffInputs.model_validate(assignment.inputs)
    driver, uuid, now = tools.driver, assignment.instance.uuid, tools.clock()
    state = driver.domain(uuid).state
    if state is DomainState.ABSENT:
        raise DomainNotFound(f"this host has no domain {uuid}")
    if state in DEAD or state is DomainState.INCOMING:
        return NOTHING
    if memory.stop_since is None:
        memory.stop_since = now
    if not inputs.soft:
        driver.destroy(uuid)
        return {"note": "cut the guest's power"}
    if now - memory.stop_since >= inputs.timeout_s:
        driver.destroy(uuid)
        return {"note": f"the guest did not stop within {inputs.timeout_s} s: cut its power"}
    if memory.asked_at is None or now - memory.asked_at >= ASK_AGAIN_S:
        driver.shut_down(uuid)
        memory.asked_at = now
    return {"note": "asked the guest to shut down"}


def absent(tools: Tools, _memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    """Domain first, files last, and files only once no domain is left that could be using them."""
    inputs = AbsentInputs.model_validate(assignment.inputs)
    driver, spec = tools.driver, assignment.instance
    if not inputs.kill and _transfer_active(driver, spec.uuid):
        return {"note": "a transfer is still active: left alone"}
    domain = driver.domain(spec.uuid)
    if domain.state not in DEAD:
        if not inputs.kill and not _left_behind(assignment, domain):
            return {"note": f"the domain is {domain.state}: left alone"}
        driver.destroy(spec.uuid)
    elif domain.state is DomainState.CRASHED:
        driver.destroy(spec.uuid)  # it may still have a process
    driver.undefine(spec.uuid)
    if driver.domain(spec.uuid).state is DomainState.ABSENT:
        driver.remove_files(spec, inputs.delete_pools)
    return NOTHING


def _transfer_active(driver: Driver, uuid: str) -> bool:
    job = driver.job(uuid)
    return driver.migration_running(uuid) or (job is not None and job.active)


def _left_behind(assignment: Assignment, domain: DomainFact) -> bool:
    """A domain that this operation's transfer left, and that executes nothing."""
    if domain.stamp_operation != assignment.operation_id:
        return False
    if domain.state is DomainState.INCOMING:
        return assignment.role is Role.DESTINATION
    return domain.state is DomainState.PAUSED and domain.reason in _LEFT_BEHIND


HANDLERS: Mapping[Ensure, Handler] = {
    Ensure.OBSERVED: observed,
    Ensure.MOVABLE: movable,
    Ensure.COMPATIBLE: compatible,
    Ensure.PREPARED: prepared,
    Ensure.MIGRATING: migrating,
    Ensure.NOT_MIGRATING: not_migrating,
    Ensure.DISKS_PRESENT: disks_present,
    Ensure.RUNNING: running,
    Ensure.SHUT_OFF: shut_off,
    Ensure.ABSENT: absent,
}
