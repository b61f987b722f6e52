"""What a plan does to an operation: one function, for the reconciler, the queues and the model.

Pure. Never decides anything, and never says what else a plan does: its effect, its lines of the timeline, the instance.
"""

from dataclasses import replace

from migrator.operations import OPERATIONS
from migrator.scheduler.decision.operation_data import Params
from migrator.scheduler.decision.snapshot import OperationView, Plan

PASSWORD = "admin_pass"  # of an operation's params; kept no longer than a phase needs it


def after(operation: OperationView, plan: Plan) -> OperationView:
    """The operation, once ``plan`` is applied to it."""
    return replace(
        operation,
        phase=plan.phase or operation.phase,
        forward=_or(plan.forward, operation.forward),
        epoch=operation.epoch + plan.bump_epoch,
        generation=operation.generation + 1,
        destination=plan.destination or (None if plan.clear_destination else operation.destination),
        params=_params(operation, plan),
        context=operation.context.updated(plan.context),
        steering=operation.steering.updated(plan.steering),
        cancel_requested=_or(plan.cancel, operation.cancel_requested),
        confirm_requested=_or(plan.confirm, operation.confirm_requested),
        wait_reason=_waiting(operation, plan),
        error=operation.error if plan.error is None else dict(plan.error) or None,
        outcome=operation.outcome if plan.outcome is None else dict(plan.outcome),
        active=operation.active and plan.final_status is None,
        locks_instance=_or(plan.locks_instance, operation.locks_instance),
        status=_status(operation, plan),
        phase_age_s=0.0 if enters_phase(plan) else operation.phase_age_s,
    )


def enters_phase(plan: Plan) -> bool:
    """Whether a phase begins by it, be it the same one in another direction."""
    return plan.phase is not None or plan.forward is not None


def ends_secrecy(operation: OperationView, plan: Plan) -> bool:
    """Whether the operation has a password that no phase needs any more."""
    return (plan.final_status is not None or plan.locks_instance is False) and operation.params.admin_pass is not None


def task_state(operation: OperationView) -> str | None:
    """The instance's, while the operation is as it is."""
    table = OPERATIONS[operation.kind]
    if not operation.forward and table.reverting is not None:
        return table.reverting
    return table.phase(operation.phase).task(soft=operation.params.soft)


def _or(wanted: bool | None, otherwise: bool) -> bool:
    return otherwise if wanted is None else wanted


def _params(operation: OperationView, plan: Plan) -> Params:
    if not ends_secrecy(operation, plan):
        return operation.params
    return Params.parse({name: value for name, value in operation.params.raw.items() if name != PASSWORD})


def _waiting(operation: OperationView, plan: Plan) -> str | None:
    if plan.final_status is not None:
        return None
    return operation.wait_reason if plan.wait_reason is None else plan.wait_reason or None


def _status(operation: OperationView, plan: Plan) -> str:
    """os-migrations' word for it."""
    table = OPERATIONS[operation.kind]
    if plan.final_status is not None:
        return plan.final_status
    if plan.locks_instance is False and not operation.forward:
        return str((operation.error or {}).get("status", "error"))
    if plan.forward is False and table.reverting is not None:
        return "reverting"
    if enters_phase(plan) and _or(plan.forward, operation.forward):
        return table.phase(plan.phase or operation.phase).migration_status or "running"
    return operation.status
