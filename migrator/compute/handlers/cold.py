"""The handlers that move files: described, offered, copied, rebuilt of an instance that does not run, and lent of one
that does. See ``live.py``."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from migrator.compute.driver import Driver
from migrator.compute.handlers.context import DEAD, NOTHING, HandlerContext, OperationState, with_proofs
from migrator.compute.image_cache import Fetch, available
from migrator.errors import Conflict, HypervisorUnavailable, ImageUnavailable, StorageError
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


def guest_described(tools: HandlerContext, memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
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


def disks_exported(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """A disk that a process writes to is never offered: its copy would mix two states of it."""
    inputs = OfferedInputs.model_validate(assignment.inputs)
    driver, spec, targets = tools.driver, assignment.instance, inputs.copy_disks
    _refuse_process(driver, spec.uuid)
    if inputs.images:
        places = driver.lend(spec, (), inputs.images)
    elif not targets:
        return NOTHING
    else:
        places = {}
    disks: tuple[DiskFact, ...] = ()
    if targets:
        driver.offer(spec, targets)
        disks = _summed(driver, spec, targets, driver.checksums(spec, targets))
    return {"disks": (*disks, *_lent_images(inputs, places))}


def lent(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """Of a guest that runs only what it cannot write to is lent, and nothing else lies where it is read from."""
    inputs = OfferedInputs.model_validate(assignment.inputs)
    driver, spec, targets = tools.driver, assignment.instance, inputs.copy_disks
    written = set(targets) - {disk.target for disk in spec.disks if disk.config_drive}
    if written or not (targets or inputs.images):
        raise Conflict(f"{', '.join(sorted(written)) or 'nothing'} is no config drive: only those are lent")
    places = driver.lend(spec, targets, inputs.images)
    disks = _summed(driver, spec, targets, driver.checksums(spec, targets)) if targets else ()
    drives = [d.model_copy(update={"path": places[d.target]}) for d in disks if d.target in places]
    found = (*drives, *_lent_images(inputs, places))
    if not found:
        raise ImageUnavailable(f"{', '.join(inputs.images)} is in no catalogue, and is not here as it was, either")
    return {"disks": found}


def disks_unexported(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    tools.driver.withdraw(assignment.instance.uuid)
    return NOTHING


def disks_whole(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """Reads, and changes nothing. A disk that is missing is no error: that it is missing is the answer. One that was
    cut, or whose image is not what it was, is one."""
    targets = DisksWholeInputs.model_validate(assignment.inputs).checksums
    driver, spec = tools.driver, assignment.instance
    disks = driver.disks(spec)
    if not all(disk.exists for disk in disks):
        return {"disks": tuple(disks)}
    driver.refuse_damaged(spec)
    if not targets:
        return {"disks": tuple(disks)}
    _refuse_process(driver, spec.uuid)
    return {"disks": _summed(driver, spec, targets, driver.checksums(spec, targets))}


def disks_copied(tools: HandlerContext, memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """Begin the copy, watch it, then sum what was written. A source out of reach: begun again. A full disk: not."""
    inputs = CopiedInputs.model_validate(assignment.inputs)
    driver, spec, targets = tools.driver, assignment.instance, inputs.copy_disks
    _refuse_process(driver, spec.uuid)
    if not targets:
        images = _images(tools, spec, inputs)
        if spec.state_pool:  # what it boots from is no disk, and yet needs to be here
            driver.make_target_disks(spec, inputs.guest, images)
        return {"disks": tuple(driver.disks(spec))}
    if memory.copy_epoch != assignment.epoch:
        driver.start_copy(spec, inputs, _images(tools, spec, inputs))
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


def disks_rebuilt(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
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
    driver.make_disks(spec, available(tools.images, spec.images), inputs.admin_pass)
    return NOTHING


def _images(tools: HandlerContext, spec: InstanceSpec, inputs: CopiedInputs) -> dict[str, Path]:
    """What its disks lie over, its kernel and its ramdisk: the catalogue's, or else the source's."""

    def lent(path: str) -> Fetch:
        return lambda _image_id: tools.driver.lent_file(inputs.source_uri, path)

    return available(tools.images, spec.images, {image_id: lent(path) for image_id, path in inputs.images.items()})


def _lent_images(inputs: OfferedInputs, places: Mapping[str, str]) -> list[DiskFact]:
    """Named by their ids, where a disk is named by its target."""
    lent = [(image_id, places[image_id]) for image_id in inputs.images if image_id in places]
    return [DiskFact(target=i, path=path, pool="", exists=True, format="raw", readonly=True) for i, path in lent]


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
