"""The handlers that start, stop, suspend and resume a guest. See ``live.py`` for what a handler is."""

from collections.abc import Callable, Mapping
from typing import Any

from migrator.compute.handlers.context import DEAD, NOTHING, HandlerContext, OperationState, refuse_missing_disks
from migrator.errors import Conflict, DomainNotFound
from migrator.protocol import (
    MAY_GO_ON,
    PAUSE_REASON_USER,
    Assignment,
    DisksPresentInputs,
    DomainFact,
    DomainState,
    PoweredInputs,
    ShutOffInputs,
    TargetPowerState,
)

ASK_AGAIN_S = 3.0  # a guest that is still booting misses the request to shut down


def disks_present(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    spec, inputs = assignment.instance, DisksPresentInputs.model_validate(assignment.inputs)
    tools.driver.make_disks(spec, tools.images.ensure(spec.images), inputs.admin_pass)
    return NOTHING


def running(tools: HandlerContext, memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    driver, spec = tools.driver, assignment.instance
    state = driver.domain(spec.uuid).state
    if state is DomainState.RUNNING:
        driver.delete_saved_memory(spec.uuid)  # of an earlier life: an operator started it without us
        return NOTHING
    if state is DomainState.SAVED:
        raise Conflict("the instance is suspended: resume it", advice="resume it, or its saved memory would be lost")
    if state not in DEAD:
        raise Conflict(f"the domain is {state}; it is not started over")
    if assignment.kind == "build" and assignment.forward:
        disks_present(tools, memory, assignment)
    refuse_missing_disks(driver, spec)
    driver.define_and_start(spec, assignment.operation_id, assignment.epoch, seal=assignment.seal)
    return NOTHING


def shut_off(tools: HandlerContext, memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """Ask, ask again, and after ``timeout_s`` cut the power. The wait starts anew when the agent does."""
    inputs = ShutOffInputs.model_validate(assignment.inputs)
    uuid = assignment.instance.uuid
    state = tools.driver.domain(uuid).state
    if state is DomainState.ABSENT:
        raise DomainNotFound(f"this host has no domain {uuid}")
    if state in DEAD or state is DomainState.INCOMING:
        return NOTHING
    return _stop(tools, memory, uuid, state, inputs)


def not_running(tools: HandlerContext, memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """Whatever has a process here ends: asked first if it can hear. There may be no domain at all."""
    inputs = ShutOffInputs.model_validate(assignment.inputs)
    driver, uuid = tools.driver, assignment.instance.uuid
    state = driver.domain(uuid).state
    if state is DomainState.RUNNING:
        return _stop(tools, memory, uuid, state, inputs)
    if state not in (DomainState.ABSENT, DomainState.SHUT_OFF, DomainState.SAVED):
        driver.destroy(uuid)  # paused it does not hear, and crashed it may still have a process
    driver.stop_copy(uuid)
    return NOTHING


def _stop(
    tools: HandlerContext, memory: OperationState, uuid: str, state: DomainState, inputs: ShutOffInputs
) -> Mapping[str, Any]:
    try:
        if state is DomainState.RUNNING:
            # Of an earlier life: beside a guest that stopped it would pass for its own.
            tools.driver.delete_saved_memory(uuid)
    finally:  # a guest can be stopped although its disk fails
        note = _ask_or_cut(tools, memory, uuid, inputs)
    return {"note": note}


def _ask_or_cut(tools: HandlerContext, memory: OperationState, uuid: str, inputs: ShutOffInputs) -> str:
    driver, now = tools.driver, tools.clock()
    if memory.stop_since is None:
        memory.stop_since = now
    if not inputs.soft:
        driver.destroy(uuid)
        return "cut the guest's power"
    if now - memory.stop_since >= inputs.timeout_s:
        driver.destroy(uuid)
        return f"the guest did not stop within {inputs.timeout_s} s: cut its power"
    if memory.asked_at is None or now - memory.asked_at >= ASK_AGAIN_S:
        driver.shut_down(uuid)
        memory.asked_at = now
    return "asked the guest to shut down"


def suspended(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    driver, spec = tools.driver, assignment.instance
    state = driver.domain(spec.uuid).state
    if state is DomainState.RUNNING:
        refuse_missing_disks(driver, spec)
        driver.save_memory(spec)
    elif state is DomainState.SAVED:
        driver.save_memory(spec)  # perhaps for an agent that was killed before it was safe on the disk
    elif state is DomainState.PAUSED:
        return {"note": "the domain is paused: its memory is being saved, or a user paused it"}
    elif assignment.forward:
        raise Conflict(f"the domain is {state}; only a running guest is suspended")
    return NOTHING


def by_hand(domain: DomainFact) -> bool:
    """Whether a user paused it, and it is no half of a move."""
    return domain.state is DomainState.PAUSED and domain.reason == PAUSE_REASON_USER


def paused(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    driver, uuid = tools.driver, assignment.instance.uuid
    if assignment.forward:
        state = driver.domain(uuid).state
        if state not in (DomainState.RUNNING, DomainState.PAUSED):
            raise Conflict(f"the domain is {state}; only a running guest is paused")
        driver.pause(uuid)
    return NOTHING


def unpaused(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """Never starts a guest that has stopped: its memory is gone, and a client that wants it to boot asks for that."""
    driver, uuid = tools.driver, assignment.instance.uuid
    domain = driver.domain(uuid)
    if domain.state is DomainState.RUNNING or not assignment.forward:
        return NOTHING
    if domain.state is not DomainState.PAUSED or domain.reason not in MAY_GO_ON:
        raise Conflict(f"the domain is {domain.state} ({domain.reason}): it is left alone")
    refuse_missing_disks(driver, assignment.instance)
    driver.unpause(uuid)
    return NOTHING


def power_state_applied(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """Put the instance down as it is wanted. A domain that has a process is never started over or stopped here."""
    inputs = PoweredInputs.model_validate(assignment.inputs)
    driver, spec = tools.driver, assignment.instance
    state = driver.domain(spec.uuid).state
    if state is DomainState.RUNNING and inputs.power is TargetPowerState.RUNNING:
        driver.delete_saved_memory(spec.uuid)  # it ran on from it, or without it: old memory must never be resumed
        return NOTHING
    if state not in DEAD:
        raise Conflict(f"the domain is {state}, and should become {inputs.power}: it is left alone")
    if state is DomainState.CRASHED:
        driver.destroy(spec.uuid)  # it may still have a process, and executes nothing
    refuse_missing_disks(driver, spec)
    return _POWERING[inputs.power](tools, assignment, inputs.machine)


def _run(tools: HandlerContext, assignment: Assignment, machine: str) -> Mapping[str, Any]:
    """On from the saved memory where there is one, else from the disks."""
    driver, spec = tools.driver, assignment.instance
    operation, epoch = assignment.operation_id, assignment.epoch
    driver.define(spec, operation, epoch, machine, assignment.seal)
    if driver.domain(spec.uuid).state is DomainState.SAVED:
        tools.journal.begin(operation, epoch)
        driver.restore_memory(spec, operation, epoch, assignment.seal)
        return {"note": "went on from the saved memory"}
    driver.grow_disks(spec)
    driver.define_and_start(spec, operation, epoch, machine, assignment.seal)
    if tools.journal.begun(operation, epoch):
        return {"note": "the saved memory was used up and the guest did not run: started from its disks"}
    return NOTHING


def _lie(tools: HandlerContext, assignment: Assignment, machine: str) -> Mapping[str, Any]:
    driver, spec = tools.driver, assignment.instance
    driver.grow_disks(spec)
    driver.define(spec, assignment.operation_id, assignment.epoch, machine, assignment.seal)
    return NOTHING


def _stay_saved(tools: HandlerContext, assignment: Assignment, machine: str) -> Mapping[str, Any]:
    """The disks stay as the saved memory knows them."""
    stamp = assignment.operation_id, assignment.epoch
    tools.driver.define(assignment.instance, *stamp, machine, assignment.seal)
    return NOTHING


_POWERING: Mapping[TargetPowerState, Callable[[HandlerContext, Assignment, str], Mapping[str, Any]]] = {
    TargetPowerState.RUNNING: _run,
    TargetPowerState.SHUT_OFF: _lie,
    TargetPowerState.SAVED: _stay_saved,
}
