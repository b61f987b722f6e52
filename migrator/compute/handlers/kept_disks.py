"""The handlers about disks that are kept aside: put back, put back again, dropped. See ``live.py``."""

from collections.abc import Mapping
from typing import Any

from migrator.compute.handlers.context import DEAD, NOTHING, HandlerContext, OperationState
from migrator.errors import Conflict, StorageError
from migrator.protocol import Assignment, KeptInputs


def kept_restored(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    """What lies in their place is kept in their stead: nothing is lost by it, and it can be undone the same way."""
    kept, operation = KeptInputs.model_validate(assignment.inputs).kept, assignment.operation_id
    driver, spec = tools.driver, assignment.instance
    _refuse_process(tools, assignment)
    if not {kept, operation} & {one.operation for one in driver.kept_disks(spec.uuid)}:
        raise StorageError(
            f"nothing is kept here of instance {spec.uuid} by operation {kept}", advice="see `migrator kept-disks`"
        )
    driver.restore_kept(spec, kept, operation)
    driver.grow_disks(spec)
    return NOTHING


def kept_unrestored(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    kept = KeptInputs.model_validate(assignment.inputs).kept
    if assignment.operation_id not in {one.operation for one in tools.driver.kept_disks(assignment.instance.uuid)}:
        return NOTHING  # nothing was put back, and who runs from the disks that are there runs from his own
    _refuse_process(tools, assignment)
    tools.driver.unrestore_kept(assignment.instance, kept, assignment.operation_id)
    return NOTHING


def kept_dropped(tools: HandlerContext, _memory: OperationState, assignment: Assignment) -> Mapping[str, Any]:
    tools.driver.drop_kept(assignment.instance.uuid, KeptInputs.model_validate(assignment.inputs).kept)
    return NOTHING


def _refuse_process(tools: HandlerContext, assignment: Assignment) -> None:
    state = tools.driver.domain(assignment.instance.uuid).state
    if state not in DEAD:
        raise Conflict(f"the domain is {state} here: its disks are left alone", advice="stop the instance")
