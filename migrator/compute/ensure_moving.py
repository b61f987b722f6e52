"""The handlers that move files: described, offered, copied, rebuilt of an instance that does not run, and lent of one
that does. See ``ensure.py``."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from migrator.compute.driver import Driver
from migrator.compute.ensuring import DEAD, NOTHING, Memory, Tools, with_proofs
from migrator.errors import Conflict, HypervisorUnavailable, StorageError
from migrator.protocol import (
    MEMORY,
    Assignment,
    CopiedInputs,
    DiskFact,
    DisksWholeInputs,
    InstanceSpec,
    OfferedInputs,
    RebuiltInputs,
)


def described(tools: Tools, memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    """A guest that boots anew finds out for itself which CPU it has, and gets the consoles of its new host; one that
    brings its memory along cannot."""
    spec = assignment.instance
    checks = tuple(tools.driver.check_source(spec, live=False))
    if not all(check.ok for check in checks):
        return {"checks": checks}
    guest = tools.driver.describe_guest(spec)
    if all(disk.target != MEMORY for disk in guest.disks):
        guest = guest.model_copy(update={"cpu_xml": None, "listens": ()})
    return {"checks": checks, "guest": with_proofs(tools, memory, spec, guest)}


def offered(tools: Tools, _memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    """A disk that a process writes to is never offered: what is copied would be torn."""
    targets = OfferedInputs.model_validate(assignment.inputs).copy_disks
    driver, spec = tools.driver, assignment.instance
    _refuse_process(driver, spec.uuid)
    if not targets:
        return NOTHING
    driver.offer(spec, targets)
    return {"disks": _summed(driver, spec, targets, driver.checksums(spec, targets))}


def lent(tools: Tools, _memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    """Of a guest that runs only what it cannot write to is lent, and nothing else lies where it is read from."""
    targets = OfferedInputs.model_validate(assignment.inputs).copy_disks
    driver, spec = tools.driver, assignment.instance
    written = set(targets) - {disk.target for disk in spec.disks if disk.config_drive}
    if written or not targets:
        raise Conflict(f"{', '.join(sorted(written)) or 'nothing'} is no config drive: only those are lent")
    places = driver.lend(spec, targets)
    disks = _summed(driver, spec, targets, driver.checksums(spec, targets))
    return {"disks": tuple(d.model_copy(update={"path": places[d.target]}) for d in disks if d.target in places)}


def withdrawn(tools: Tools, _memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    tools.driver.withdraw(assignment.instance.uuid)
    return NOTHING


def disks_whole(tools: Tools, _memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    """Reads, and changes nothing. A disk that is missing is no error: that it is missing is the answer."""
    targets = DisksWholeInputs.model_validate(assignment.inputs).checksums
    driver, spec = tools.driver, assignment.instance
    disks = driver.disks(spec)
    if not targets or not all(disk.exists for disk in disks):
        return {"disks": tuple(disks)}
    _refuse_process(driver, spec.uuid)
    return {"disks": _summed(driver, spec, targets, driver.checksums(spec, targets))}


def copied(tools: Tools, memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    """Begin the copy, watch it, then sum what was written. A source out of reach: begun again. A full disk: not."""
    inputs = CopiedInputs.model_validate(assignment.inputs)
    driver, spec, targets = tools.driver, assignment.instance, inputs.copy_disks
    _refuse_process(driver, spec.uuid)
    if not targets:
        if spec.home:  # what it boots from is no disk, and yet needs to be here
            driver.make_target_disks(spec, inputs.guest, tools.images.ensure(spec.images))
        return {"disks": tuple(driver.disks(spec))}
    if memory.copy_epoch != assignment.epoch:
        driver.start_copy(spec, inputs, tools.images.ensure(spec.images))
        memory.copy_epoch = assignment.epoch
    job, error = driver.copy_job(spec.uuid), driver.copy_error(spec.uuid)
    if job is not None and job.active:
        return {"job": job}
    if error is not None:
        if isinstance(error, HypervisorUnavailable):
            memory.copy_epoch = None
        raise error
    found: dict[str, Any] = {"disks": _summed(driver, spec, targets, driver.checksums(spec, targets))}
    return found | ({"job": job} if job is not None else {})


def rebuilt(tools: Tools, _memory: Memory, assignment: Assignment) -> Mapping[str, Any]:
    """What lies on shared storage is the instance's data and must be found; the rest is made anew."""
    inputs = RebuiltInputs.model_validate(assignment.inputs)
    driver, spec = tools.driver, assignment.instance
    _refuse_process(driver, spec.uuid)
    missing = [disk.path for disk in driver.disks(spec) if disk.target in inputs.shared and not disk.exists]
    if missing:
        raise StorageError(
            f"disk missing on shared storage: {', '.join(missing)}",
            advice="mount the shared storage on this host, or find out who removed the file",
        )
    driver.make_disks(spec, tools.images.ensure(spec.images), inputs.admin_pass)
    return NOTHING


def _refuse_process(driver: Driver, uuid: str) -> None:
    state = driver.domain(uuid).state
    if state not in DEAD:
        raise Conflict(f"the domain is {state} here: its disks are left alone")


def _summed(
    driver: Driver, spec: InstanceSpec, targets: Sequence[str], sums: Mapping[str, str] | None
) -> tuple[DiskFact, ...]:
    """The disks, each with its checksum once that is known; then with the saved memory, if it is one of the targets:
    only its sum shows that it is there."""
    disks = list(driver.disks(spec))
    if MEMORY in targets and sums is not None:
        beside = next((str(PurePosixPath(disk.path).parent) for disk in disks if disk.pool == spec.home_pool), "")
        path = f"{beside}/{MEMORY}" if beside else MEMORY
        disks.append(DiskFact(target=MEMORY, path=path, pool=spec.home_pool, exists=True, format="raw"))
    known = sums or {}
    return tuple(disk.model_copy(update={"checksum": known.get(disk.target)}) for disk in disks)
