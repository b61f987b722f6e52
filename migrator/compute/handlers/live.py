"""One handler an ``Ensure``: a single bounded attempt to make it true, to be called again and again.

A handler changes what has to change and answers with the parts of the fact that only it knows (checks, the guest's
description, checksums, a note). The rest is observed by ``worker.py``. Handlers never sleep, never start a thread, and
never judge success.

Owns the table of them, live migration's, and ``absent``; ``cold.py`` and ``power.py`` have the others.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from migrator.compute.driver import Driver
from migrator.compute.handlers import cold
from migrator.compute.handlers.context import DEAD, NOTHING, Handler, HandlerContext, OperationState, begun, with_proofs
from migrator.compute.handlers.kept_disks import kept_dropped, kept_restored, kept_unrestored
from migrator.compute.handlers.power import (
    by_hand,
    disks_present,
    not_running,
    paused,
    power_state_applied,
    running,
    shut_off,
    suspended,
    unpaused,
)
from migrator.compute.image_cache import available
from migrator.compute.migration_parameters import steering
from migrator.errors import Conflict, DriverError, HypervisorUnavailable
from migrator.protocol import (
    AbsentInputs,
    Assignment,
    CompatibleInputs,
    DomainFact,
    DomainState,
    Ensure,
    MeasuredInputs,
    Measurement,
    MigratingInputs,
    PreparedInputs,
    Role,
)
from migrator.untrusted import peer_address

# Paused for these reasons, a domain that its operation stamped and that has no job is what a transfer left behind:
# a receiving end that never ran, or a sending end whose guest lives elsewhere.
_LEFT_BEHIND = ("migration", "starting-up")
_LIVE = "live-migration"  # the kind of operation whose destination is given a domain by its source's libvirt
_MEASURING_S = 5.0  # what should take one second has failed by then
_WELL_COUNTED_MIB, _MOST_TIMES = 384, 3


def observed(_tools: HandlerContext, _memory: OperationState, _assignment: Assignment) -> Mapping[str, Any]:
    return NOTHING


def source_checked(tools: HandlerContext, memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    checks = tuple(tools.driver.check_source(assignment.instance))
    if not all(check.ok for check in checks):
        return {"checks": checks}
    guest = tools.driver.describe_guest(assignment.instance)
    return {"checks": checks, "guest": with_proofs(tools, memory, assignment.instance, guest)}


def compatible(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """A pool with the source's marker is the source's only if what that one wrote is found in it: a copied disk, or the
    replica of another site, has the marker too."""
    inputs = CompatibleInputs.model_validate(assignment.inputs)
    driver, spec, guest = tools.driver, assignment.instance, inputs.guest
    mine = {pool: identity for pool, identity in guest.storage.items() if pool in spec.pools}
    proven, unproven = driver.compare_storage(mine, guest.proofs)
    if inputs.trust_marker:
        proven, unproven = proven | unproven, frozenset()
    storage = {pool: identity for pool, identity in guest.storage.items() if pool not in unproven}
    judged = guest.model_copy(update={"storage": storage})
    checks = driver.check_destination(spec, judged, inputs.block, over_commit=inputs.over_commit)
    return {"checks": tuple(checks), "proven": tuple(sorted(proven)), "unproven": tuple(sorted(unproven))}


def dirty_rate_measured(tools: HandlerContext, memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """Nothing is chosen by guessing: where the guest cannot be measured, that is the answer, and the move goes on."""
    inputs = MeasuredInputs.model_validate(assignment.inputs)
    if memory.measurement is None:
        try:
            peer_address.checked_host(inputs.destination_address)
            memory.measurement = _measurement(tools, memory, assignment.instance.uuid, inputs.destination_address)
        except HypervisorUnavailable:
            memory.measuring_since = None
            raise
        except DriverError as error:
            memory.measurement = Measurement(message=error.message)
        except ValueError as error:
            memory.measurement = Measurement(message=str(error))
    return {"measurement": memory.measurement} if memory.measurement is not None else NOTHING


def _measurement(
    tools: HandlerContext, memory: OperationState, uuid: str, destination_address: str
) -> Measurement | None:
    if memory.measuring_since is None:
        tools.driver.start_measuring(uuid)
        memory.measuring_since = tools.clock()
    found = tools.driver.measurement(uuid, destination_address)
    if found is None:
        late = tools.clock() - memory.measuring_since > _MEASURING_S
        return Measurement(message=f"not counted within {_MEASURING_S:g} s") if late else None
    memory.counts.append(found.dirty_mib_s or 0)
    if found.dirty_mib_s is not None and len(memory.counts) < _times(found):
        memory.measuring_since = None  # once more
        return None
    if found.dirty_mib_s is None:
        return found
    times = len(memory.counts)
    mean = {
        "dirty_mib_s": round(sum(memory.counts) / times),
        "sample_resolution_mib_s": found.sample_resolution_mib_s / times,
    }
    return found.model_copy(update=mean)


def _times(found: Measurement) -> int:
    """How often to count. The hypervisor looks at a sample of the memory, and of little memory the sample is small."""
    return min(_MOST_TIMES, math.ceil(_WELL_COUNTED_MIB / max(1, found.memory_mib or _WELL_COUNTED_MIB)))


def target_prepared(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    inputs = PreparedInputs.model_validate(assignment.inputs)
    spec = assignment.instance
    tools.driver.make_target_disks(spec, inputs.guest, available(tools.images, spec.images))
    return NOTHING


def migrating(tools: HandlerContext, memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """Begin the one transfer of this operation and epoch. The journal is written first and the domain stamped next,
    so that no agent starts it a second time after a crash in between."""
    operation, epoch = assignment.operation_id, assignment.epoch
    driver, uuid = tools.driver, assignment.instance.uuid
    inputs = MigratingInputs.model_validate(assignment.inputs)
    if tools.journal.begun(operation, epoch):
        return _steered(driver, memory, uuid, inputs)
    domain = driver.domain(uuid)
    if (domain.stamp_operation, domain.stamp_epoch) == (operation, epoch):
        tools.journal.begin(operation, epoch)
        return NOTHING
    if domain.state is not DomainState.RUNNING and not (inputs.paused and by_hand(domain)):
        raise Conflict(f"the domain is {domain.state}; only a guest that runs, or that was paused before, moves live")
    job = driver.job(uuid)
    if driver.migration_running(uuid) or (job is not None and job.active):
        raise Conflict("another job is active on the domain")
    tools.journal.begin(operation, epoch)
    memory.quiet_since = memory.started_epoch = memory.error = memory.job = None
    memory.steered = replace(steering(inputs, None), force=False)
    try:
        driver.stamp(uuid, operation, epoch, assignment.seal)
        driver.start_migration(assignment.instance, operation, epoch, inputs, assignment.seal)
    except DriverError as error:
        memory.error = error.message
        raise
    memory.started_epoch = epoch
    return NOTHING


def _steered(driver: Driver, memory: OperationState, uuid: str, inputs: MigratingInputs) -> Mapping[str, Any]:
    """Set what should be set differently by now, and again once memory is sent what was set before that. A refusal is
    no reason to give the transfer up: it is told, and tried again at the next look."""
    wanted, before = steering(inputs, memory.job), memory.steered
    sending = memory.job is not None and memory.job.memory_processed_bytes > 0
    lost = memory.steered_early and sending
    if memory.job is None or (wanted == before and not lost):
        return NOTHING
    other = before is None or lost or replace(wanted, force=before.force) != before
    try:
        if other:
            driver.steer(uuid, wanted.max_downtime_ms, wanted.bandwidth_mib_s)
        if wanted.force and (before is None or not before.force):
            driver.force_completion(uuid, post_copy=inputs.post_copy)
    except HypervisorUnavailable:
        raise
    except DriverError as error:
        return {"note": f"the transfer could not be steered: {error.message}"}
    memory.steered, memory.steered_early = wanted, not sending and (other or memory.steered_early)
    return NOTHING


def not_migrating(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    driver, uuid = tools.driver, assignment.instance.uuid
    job = driver.job(uuid)
    active = driver.migration_running(uuid) or (job is not None and job.active)
    # A job that this operation never began is not this operation's to end.
    if active and begun(tools, assignment, driver.domain(uuid)):
        driver.abort_job(uuid)
    return NOTHING


def absent(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """Domain first, files last, and files only once no domain is left that could be using them."""
    inputs = AbsentInputs.model_validate(assignment.inputs)
    left = _without_domain(tools, assignment, inputs)
    if left is None:
        tools.driver.remove_files(assignment.instance, inputs.delete_pools, inputs.preserve_storage_ids)
    return left or NOTHING


def set_aside(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """As ``absent``, but the files are put out of the way: an operator may still want them."""
    inputs = AbsentInputs.model_validate(assignment.inputs)
    driver, spec, operation = tools.driver, assignment.instance, assignment.operation_id
    left = _without_domain(tools, assignment, inputs)
    if left is not None:
        return left
    driver.set_aside(spec, operation, inputs.delete_pools, inputs.preserve_storage_ids)
    return {"kept": tuple(one for one in driver.kept_disks(spec.uuid) if one.operation == operation)}


def _without_domain(tools: HandlerContext, assignment: Assignment, inputs: AbsentInputs) -> Mapping[str, Any] | None:
    """None once there is no domain here, nor a copy or transfer under way; else why there is one still."""
    driver, spec = tools.driver, assignment.instance
    if inputs.destroy_running and driver.domain(spec.uuid).state not in DEAD:
        driver.destroy(spec.uuid)  # before all that a broken disk or mount can hinder: it may run elsewhere
    if not driver.stop_copy(spec.uuid):
        return {"domain": None, "note": "a copy is still being ended"}  # its half-made files would be overlooked
    driver.withdraw(spec.uuid)
    if not inputs.destroy_running and _transfer_active(driver, spec.uuid):
        return {"note": "a transfer is still active: left alone"}
    domain = driver.domain(spec.uuid)
    moved_here = assignment.kind == _LIVE and assignment.role is Role.DESTINATION
    if moved_here and domain.arrived(assignment.operation_id) and not inputs.arrived:
        raise Conflict(
            f"the guest has arrived here by this migration (its domain is kept, and {domain.state} now): what it has "
            "here is newer than what it left behind, and is left alone"
        )
    if domain.state not in DEAD:
        if not inputs.destroy_running and not _left_behind(assignment, domain, paused=inputs.paused):
            return {"note": f"the domain is {domain.state}: left alone"}
        driver.destroy(spec.uuid)
    elif domain.state is DomainState.CRASHED:
        driver.destroy(spec.uuid)  # it may still have a process
    driver.undefine(spec.uuid)
    return None if driver.domain(spec.uuid).state is DomainState.ABSENT else NOTHING


def _transfer_active(driver: Driver, uuid: str) -> bool:
    job = driver.job(uuid)
    return driver.migration_running(uuid) or (job is not None and job.active)


def _left_behind(assignment: Assignment, domain: DomainFact, *, paused: bool) -> bool:
    """A domain that this operation's transfer left, and that executes nothing."""
    if domain.stamp_operation != assignment.operation_id:
        return False
    if domain.state is DomainState.INCOMING:
        return assignment.role is Role.DESTINATION
    return domain.state is DomainState.PAUSED and (domain.reason in _LEFT_BEHIND or (paused and by_hand(domain)))


def stop_only(tools: HandlerContext, assignment: Assignment) -> None:
    """What of the assignment needs no journal and no free byte: a guest that must not run here is stopped."""
    if assignment.ensure in (Ensure.ABSENT, Ensure.SET_ASIDE):
        inputs = AbsentInputs.model_validate(assignment.inputs)
        if inputs.destroy_running and tools.driver.domain(assignment.instance.uuid).state not in DEAD:
            tools.driver.destroy(assignment.instance.uuid)


HANDLERS: Mapping[Ensure, Handler] = {
    Ensure.OBSERVED: observed,
    Ensure.MOVABLE: source_checked,
    Ensure.COMPATIBLE: compatible,
    Ensure.MEASURED: dirty_rate_measured,
    Ensure.PREPARED: target_prepared,
    Ensure.MIGRATING: migrating,
    Ensure.NOT_MIGRATING: not_migrating,
    Ensure.DISKS_PRESENT: disks_present,
    Ensure.RUNNING: running,
    Ensure.SHUT_OFF: shut_off,
    Ensure.ABSENT: absent,
    Ensure.SET_ASIDE: set_aside,
    Ensure.KEPT_RESTORED: kept_restored,
    Ensure.KEPT_UNRESTORED: kept_unrestored,
    Ensure.KEPT_DROPPED: kept_dropped,
    Ensure.DESCRIBED: cold.guest_described,
    Ensure.OFFERED: cold.disks_exported,
    Ensure.LENT: cold.lent,
    Ensure.DISKS_WHOLE: cold.disks_whole,
    Ensure.WITHDRAWN: cold.disks_unexported,
    Ensure.COPIED: cold.disks_copied,
    Ensure.REBUILT: cold.disks_rebuilt,
    Ensure.POWERED: power_state_applied,
    Ensure.NOT_RUNNING: not_running,
    Ensure.SUSPENDED: suspended,
    Ensure.PAUSED: paused,
    Ensure.UNPAUSED: unpaused,
}
