"""Advances operations: load the snapshot, ``decide``, apply the plan in one compare-and-swap transaction, again.

It takes no input but an operation's id, so an API call, an agent's report and the periodic sweep are all the same
hint. There is no recovery path, because this is the only path. It holds nothing in memory between two calls.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from migrator.db import claims, events, instances, operations
from migrator.db.clock import now_expression
from migrator.db.engine import Connection, Database
from migrator.db.server_heartbeat import clock_expression
from migrator.errors import ConcurrentUpdate, DatabaseUnavailable
from migrator.log_limits import log_failure
from migrator.operations import OPERATIONS, Effect
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.operation_data import StoredJson
from migrator.scheduler.decision.public_errors import fault_of
from migrator.scheduler.decision.snapshot import OperationView, Plan, Snapshot
from migrator.scheduler.decision.transition import after, ends_secrecy, enters_phase, task_state
from migrator.scheduler.placement.answers import answered
from migrator.scheduler.queues import inbound, outbound
from migrator.scheduler.requests.requests import begin_queued_delete
from migrator.scheduler.requeue import RequeueSchedule
from migrator.scheduler.state import loader, operation_alarms, unreadable, unseen_guests
from migrator.scheduler.state.effects import EFFECTS
from migrator.settings import ServerSettings

log = logging.getLogger(__name__)
_AT_ONCE = 100  # operations that the sweep reads together
_MAX_STEPS = 100  # far above any table's length: a guard against a decision that never comes to rest


class Reconciler:
    """Safe to call from any thread of any number of processes, any number of times, for any operation.

    ``wake(host names)`` tells those hosts' long-polls to look again; it is a hint and may do nothing.
    """

    def __init__(self, db: Database, settings: ServerSettings, wake: Callable[[Iterable[str]], None]) -> None:
        self._db = db
        self._settings = settings
        self._wake = wake
        self._schedule = RequeueSchedule()

    def reconcile(self, operation_id: int) -> None:
        """Advance the operation as far as it goes now. Raises OperationNotFound."""
        todo = [operation_id]
        touched: set[str] = set()
        while todo:
            todo.extend(self._run(todo.pop(), touched))
        if touched:
            self._wake(touched)

    def sweep(self) -> None:
        """Look at every active operation; one that cannot be advanced keeps no other waiting. First at the guests that
        may run unseen, for operations wait for that. A database that cannot be used ends the round: raises
        DatabaseUnavailable, or leaves the rest for the next."""
        self._review_unseen()
        with self._db.read() as connection:
            ids = operations.active_ids(connection)
        for first in range(0, len(ids), _AT_ONCE):
            if not self.reconcile_each(self._moving(ids[first : first + _AT_ONCE])):
                return

    def _review_unseen(self) -> None:
        try:
            unseen_guests.review(self._db, self._settings)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # operations that wait for it go on waiting; all others have their turn
            log_failure(log, error, "sweep: alarms of unseen guests could not be looked at")

    def reconcile_due(self) -> None:
        """Look at those whose time has come, see ``Plan.requeue_after``."""
        self.reconcile_each(self._schedule.take_due())

    def reconcile_each(self, ids: Iterable[int]) -> bool:
        """``reconcile`` them all: one that cannot be read or advanced keeps no other waiting. False: the database could
        not be used for two in a row (one alone may have met a lock, or a deadlock), which each of the others would find
        out after as long a time; the next sweep looks at them."""
        failed = None
        for operation_id in ids:
            before, failed = failed, None
            try:
                self.reconcile(operation_id)
            except DatabaseUnavailable as error:
                failed = operation_id
                log_failure(log, error, "operation %s could not be advanced: the database could not be used", failed)
                if before is not None:
                    return False
            except Exception as error:  # after any error the sweep comes again, and the others have their turn
                log_failure(log, error, "operation %s could not be advanced", operation_id)
                if isinstance(error, loader.UNREADABLE):
                    unreadable.set_aside(self._db, operation_id, error)
        return True

    def _moving(self, ids: Sequence[int]) -> Sequence[int]:
        """Those that are not just waiting, as most are. What cannot be read together is looked at one by one."""
        try:
            with self._db.read() as connection:
                found = loader.snapshots(connection, operations.get_many(connection, ids), self._settings)
                planned = [(snapshot, _planned(snapshot)) for snapshot in found]
            for snapshot, plan in planned:
                if plan is not None:
                    self._schedule.put(snapshot.operation.id, plan.requeue_after)
            self._move_up([(snapshot, plan) for snapshot, plan in planned if plan is not None and _moves_up(plan)])
        except Exception as error:
            log_failure(log, error, "sweep: %d operations could not be looked at together", len(ids))
            return ids
        return [s.operation.id for s, plan in planned if plan is None or not (plan.empty or _moves_up(plan))]

    def _move_up(self, waiting: Sequence[tuple[Snapshot, Plan]]) -> None:
        """Their places, which change for all of a queue when one leaves it, are written down together."""
        if not waiting:
            return
        with self._db.write() as connection:
            for snapshot, plan in waiting:
                # another writer was faster, and nothing is written yet: the next sweep looks
                with suppress(ConcurrentUpdate):
                    apply(connection, snapshot, plan)

    def _run(self, operation_id: int, touched: set[str]) -> list[int]:
        """Step until there is nothing to do; ids of operations whose turn it is because of that."""
        turns: list[int] = []
        for _ in range(_MAX_STEPS):
            try:
                begun, more = self._step(operation_id, touched)
            except ConcurrentUpdate:
                continue  # another writer was faster: load again
            turns += begun
            if not more:
                return turns
        log.error("operation %s did not come to rest after %d steps", operation_id, _MAX_STEPS)
        return turns

    def _step(self, operation_id: int, touched: set[str]) -> tuple[Sequence[int], bool]:
        """One decision, applied: ids of operations whose turn it is because of that, and whether there may be more."""
        with self._db.read() as connection:
            snapshot = loader.snapshot(connection, operation_id, self._settings)
            snapshot, plan = self._decided(connection, snapshot)
            operation = snapshot.operation
            unreadable.take_up(self._db, operation)
            if operation.generation == 1 and operation.source is not None:
                touched.add(operation.source)  # just begun: its first host has not heard of it
            self._schedule.put(operation.id, plan.requeue_after)
            if plan.empty:
                return (), False
        with self._db.write() as connection:
            begun = apply(connection, snapshot, plan)
        if ends_secrecy(operation, plan):
            self._db.erase_later()
        if not _says_only(plan):
            touched.update(name for name in (operation.source, operation.destination, plan.destination) if name)
        return begun, plan.final_status is None

    def _decided(self, connection: Connection, snapshot: Snapshot) -> tuple[Snapshot, Plan]:
        """The plan, and all that it was made from: what a decision asks for is read, and it is made again."""
        plan = decide(snapshot)
        while plan.asks is not None:
            snapshot = answered(connection, snapshot, plan.asks, self._settings.service_down_time)
            plan = decide(snapshot)
        return snapshot, plan


def _planned(snapshot: Snapshot) -> Plan | None:
    try:
        return decide(snapshot)
    except Exception:  # the attempt to advance it says why
        return None


def _moves_up(plan: Plan) -> bool:
    return _says_only(plan) and not plan.timeline


def _says_only(plan: Plan) -> bool:
    """Whether nothing changes but what the operation waits for: no agent need hear of it."""
    return bool(plan.wait_reason) and replace(plan, wait_reason=None, timeline=(), destination=None).empty


def apply(connection: Connection, snapshot: Snapshot, plan: Plan) -> list[int]:
    """Write the plan down, whole or not at all. Raises ConcurrentUpdate. Ids of operations whose turn it now is."""
    operation = snapshot.operation
    found = after(operation, plan)
    operations.compare_and_swap(
        connection, operation.id, operation.generation, _values(connection, operation, plan, found)
    )
    if plan.effect is Effect.CLAIM_DESTINATION:
        outbound.admit(connection, snapshot, plan)
    if plan.effect is not None:
        EFFECTS[plan.effect](connection, operation, plan)
    for line in plan.timeline:
        events.add(
            connection,
            line.type,
            line.message,
            operation_id=operation.id,
            instance_uuid=operation.instance_uuid,
            phase=found.phase,
            epoch=found.epoch,
            host=line.host or plan.destination or operation.destination,
            details=line.details,
        )
        log.info("%s", line.message, extra={"operation": operation.uuid, "epoch": found.epoch, "host": line.host})
    turns = list(inbound.following(connection, snapshot, found))
    operation_alarms.note(connection, operation, found, plan)
    if plan.final_status is not None or plan.locks_instance is False:
        return turns + _free(connection, operation, plan)
    if operation.locks_instance and enters_phase(plan):
        instances.change(connection, operation.instance_uuid, {"task_state": task_state(found)})
    return turns


# The columns of an operation's row that a plan may change: the names are those of the view.
_COLUMNS = (
    *("phase", "forward", "epoch", "destination", "params", "context", "steering", "cancel_requested"),
    *("confirm_requested", "wait_reason", "error", "outcome", "active", "locks_instance", "status"),
)


def _values(connection: Connection, before: OperationView, plan: Plan, found: OperationView) -> dict[str, Any]:
    """What ``plan``, which made ``found`` of the operation, writes into its row."""
    changed = {name: getattr(found, name) for name in _COLUMNS if getattr(found, name) != getattr(before, name)}
    values = {name: value.raw if isinstance(value, StoredJson) else value for name, value in changed.items()}
    if enters_phase(plan):
        values["phase_since"] = clock_expression(connection)
    if not found.active:
        values["finished_at"] = now_expression(connection)
    return values


def _free(connection: Connection, operation: OperationView, plan: Plan) -> list[int]:
    """The operation is over, or only waits for a host to clean up: what it claimed is the instance's, which is free
    for the next one."""
    if not operation.locks_instance:
        return []  # the instance has been free since
    claims.hand_over(connection, operation.id)
    changes: dict[str, Any] = {"task_state": None}
    error = plan.error or operation.error
    if OPERATIONS[operation.kind].builds and error and error.get("status") == "error":
        changes |= {"vm_state": "error", "fault": fault_of(error)}
    instances.change(connection, operation.instance_uuid, changes)
    begun = (
        begin_queued_delete(connection, operation.instance_uuid),
        outbound.following(connection, operation),
    )
    return [key for key in begun if key is not None]
