"""Advances drains: load the view, ``step``, write it down by compare-and-swap, begin and end operations, again.

A drain has no thread and no memory: the sweep of any server looks at every active one. An operation is begun by the
requests that clients use, and their transaction marks the move as under way: so none is begun twice or forgotten.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from migrator.db import drains, hosts, instances
from migrator.db.drain_rows import DrainRow
from migrator.db.engine import Connection, Database
from migrator.errors import BadRequest, ConcurrentUpdate, Conflict, InstanceBusy, NotFound
from migrator.log_limits import log_failure
from migrator.scheduler.fleet import evacuations, planning, rebalance_rules, records, silent_hosts, views
from migrator.scheduler.fleet.operations import BEGIN
from migrator.scheduler.fleet.plan.model import Budgets, FleetPlan, Way
from migrator.scheduler.fleet.plan.planner import plan
from migrator.scheduler.fleet.plan.step import MoveChange, MoveView, Step, admits, pause, step
from migrator.scheduler.fleet.plan.vocabulary import (
    DRAIN,
    EVACUATION,
    OVER,
    REBALANCE,
    RESTORE,
    DrainRequest,
    DrainState,
    MoveState,
)
from migrator.scheduler.fleet.restore import begin_restore, ways_back
from migrator.scheduler.reconciler import Reconciler
from migrator.scheduler.requests import cold_migration, requests
from migrator.scheduler.requests.requests import Caller
from migrator.scheduler.state import host_views
from migrator.settings import ServerSettings

log = logging.getLogger(__name__)
_MAX_STEPS = 50  # of one look at a drain
_UNPLANNED = frozenset({MoveState.WAITING, MoveState.STUCK})


class _Overtaken(Exception):
    """Another server advanced the drain, or its budgets are used up, since the move was chosen."""


class DrainRunner:
    """Safe to call from any thread of any number of processes, any number of times, for any drain."""

    def __init__(self, db: Database, settings: ServerSettings, reconciler: Reconciler) -> None:
        self._db, self._settings, self._reconciler = db, settings, reconciler

    def sweep(self) -> None:
        """Look at every active drain; one that cannot be advanced keeps no other waiting."""
        with self._db.read() as connection:
            ids = drains.active_ids(connection)
        for ident in ids:
            try:
                self.advance(ident)
            except Exception as error:  # after any error the sweep comes again
                log_failure(log, error, "drain %s could not be advanced", ident)

    def advance(self, ident: int) -> None:
        """As far as it goes now."""
        for _ in range(_MAX_STEPS):
            with self._db.read() as connection:
                loaded = views.load(connection, ident, self._settings)
            if not loaded.drain.active:
                return
            try:
                if not self._apply(loaded, step(loaded.view)):
                    return
            except ConcurrentUpdate:
                return  # another server advances it

    def _apply(self, loaded: views.Loaded, todo: Step) -> bool:
        """Whether to look again at once."""
        drain = loaded.drain
        for move in todo.confirm:
            self._ask(drain, move, self._confirm)
        for move in todo.cancel:
            self._ask(drain, move, self._cancel)
        if todo.replan:
            self._replan(loaded)
            return True
        if todo.changes or todo.state is not None:
            with self._db.write() as connection:
                self._write(connection, loaded, todo)
            return True
        return self._begin_all(loaded, todo.begin)

    def _write(self, connection: Connection, loaded: views.Loaded, todo: Step) -> None:
        drain = loaded.drain
        if todo.state is DrainState.CANCELLED:
            hosts.lock(connection, [drain.host])  # before the drain's row, as where one begins
        values: dict[str, Any] = {}
        if todo.state is not None:
            values = {"state": todo.state.value, "note": todo.note}
        if todo.state in OVER:
            values |= {"active": False, "finished_at": drains.NOW}
        drains.change(connection, drain.id, drain.generation, values)
        for change in todo.changes:
            records.note(connection, drain, change)
        if todo.state is not None:
            drains.say(connection, drain.id, todo.state.value, todo.note or todo.state.value)
        if todo.state is DrainState.CANCELLED:
            give_back(connection, drain)
            if drain.undo:
                begin_restore(connection, [drain], _caller(drain))

    def _ask(self, drain: DrainRow, move: MoveView, request: Callable[[Caller, MoveView], Any]) -> None:
        """Of an operation under way; one that is past that goes on, and is looked at again."""
        if move.operation is None:
            return
        with suppress(Conflict, NotFound):
            request(_caller(drain), move)
        self._reconciler.reconcile(move.operation.id)

    def _confirm(self, caller: Caller, move: MoveView) -> None:
        """Of this move, and never of one that an operator has begun since."""
        if move.operation is not None:
            cold_migration.confirm(self._db, caller, move.uuid, operation_id=move.operation.id)

    def _cancel(self, caller: Caller, move: MoveView) -> None:
        if move.operation is not None:
            requests.cancel(self._db, caller, move.operation.id)

    def _replan(self, loaded: views.Loaded) -> None:
        drain = loaded.drain
        with self._db.read() as connection:
            found = planned(connection, loaded, self._settings)
        known = {move.uuid for move in loaded.view.moves}
        with self._db.write() as connection:
            values = {"planned_at": drains.NOW, "total_s": found.total_s, "longest_s": found.longest_s}
            drains.change(connection, drain.id, drain.generation, values)
            for position, move in enumerate(found.moves):
                records.write_planned(connection, drain, move, position, new=move.guest.uuid not in known)
            message = records.told(found)
            if message != drains.last_said(connection, drain.id, "planned"):
                drains.say(connection, drain.id, "planned", message)

    def _begin_all(self, loaded: views.Loaded, moves: Sequence[MoveView]) -> bool:
        """Whether one could not be begun, and was noted."""
        generation, refused, hidden = loaded.drain.generation, False, self._unreadable(moves)
        for move in moves:
            if move.destination in hidden:  # it has a plan for another host, and no attempt is lost
                refused = True
                self._elsewhere(loaded.drain, generation, move, hidden[move.destination])
                generation += 1
                continue
            try:
                self._begin(loaded.drain, generation, move, loaded.view.budgets)
                generation += 1
            except InstanceBusy:
                continue  # another request was faster: it is looked at again
            except _Overtaken:
                return False
            except (BadRequest, Conflict, NotFound) as error:
                refused = True
                self._refused(loaded, generation, move, error.sentence)
                generation += 1
        return refused

    def _unreadable(self, moves: Sequence[MoveView]) -> Mapping[str | None, str]:
        """Of the moves' destinations, those whose description cannot be read, and why."""
        with self._db.read() as connection:
            rows = hosts.by_names(connection, {move.destination for move in moves if move.destination is not None})
        return {row.name: why for row in rows if (why := host_views.report_of(row)[1])}

    def _elsewhere(self, drain: DrainRow, generation: int, move: MoveView, why: str) -> None:
        message = f"{move.name}: not to {move.destination}, for {why}"
        with self._db.write() as connection:
            drains.change(connection, drain.id, generation, {})
            records.note(connection, drain, MoveChange(move.uuid, MoveState.WAITING, "refused", message))

    def _begin(self, drain: DrainRow, generation: int, move: MoveView, budgets: Budgets) -> None:
        request = DrainRequest.parse(drain.request)

        def mark(connection: Connection, operation_id: int) -> None:
            drains.lock_active(connection)
            try:
                drains.change(connection, drain.id, generation, {})
            except ConcurrentUpdate as error:
                raise _Overtaken from error
            if not admits(move, views.others(connection, 0), budgets):
                raise _Overtaken
            if request.by_policy and silent_hosts.hindrance(connection, drain.host, self._settings):
                raise _Overtaken
            if drain.kind == REBALANCE and rebalance_rules.rest(connection, self._settings):
                raise _Overtaken
            values = {"state": MoveState.MOVING.value, "operation_id": operation_id, "attempts": move.attempts + 1}
            drains.change_move(connection, drain.id, move.uuid, values)
            drains.say(connection, drain.id, "begun", f"{move.name}: {move.way}{_to(move.destination)}", move.uuid)

        assert move.way is not None
        if drain.kind == REBALANCE:
            with self._db.read() as connection:
                rebalance_rules.check(connection, drain.id, move, self._settings)
        caller = replace(_caller(drain), on_begin=mark)
        operation_id = BEGIN[move.way](self._db, caller, move, request, self._settings)
        try:
            self._reconciler.reconcile(operation_id)
        except Exception as error:  # it is begun: the sweep goes on with it
            log_failure(log, error, "operation %s of drain %s could not be advanced", operation_id, drain.id)

    def _refused(self, loaded: views.Loaded, generation: int, move: MoveView, message: str) -> None:
        drain, attempts = loaded.drain, move.attempts + 1
        last = MoveState.LEFT if Way.LEAVE in DrainRequest.parse(drain.request).strategies else MoveState.FAILED
        state = MoveState.WAITING if attempts < loaded.view.attempts else last
        pause_s = pause(attempts, loaded.view.backoff_s)
        told = MoveChange(move.uuid, state, "refused", f"{move.name}: {message}", message, attempts, pause_s)
        with self._db.write() as connection:
            drains.change(connection, drain.id, generation, {})
            records.note(connection, drain, told)


def planned(connection: Connection, loaded: views.Loaded, settings: ServerSettings) -> FleetPlan:
    """The plan for what has not begun, and for what came to the host since."""
    drain, states = loaded.drain, {move.uuid: move.state for move in loaded.view.moves}
    rows = {**loaded.rows, **{row.uuid: row for row in loaded.here}}
    open_ = [row for uuid, row in rows.items() if states.get(uuid, MoveState.WAITING) in _UNPLANNED]
    left_s = drain.deadline_at - loaded.moment if drain.deadline_at is not None else None
    if drain.kind == EVACUATION:
        asked = evacuations.load(connection, open_, loaded.request, settings, drain_id=drain.id, deadline_s=left_s)
        return plan(asked)
    if drain.kind == REBALANCE:
        return rebalance_rules.kept(loaded.view.moves, loaded.view.usable)
    ways = {row.uuid: loaded.request.strategies for row in open_}
    if drain.kind == RESTORE:
        ways = {move.uuid: ways_back(move, loaded.request.strategies) for move in loaded.view.moves}
    wanted = [planning.InstanceWays(row, ways[row.uuid]) for row in open_]
    return plan(planning.load(connection, wanted, loaded.request, settings, drain_id=drain.id, deadline_s=left_s))


def plan_of_host(
    connection: Connection, host: str, request: DrainRequest, deadline_s: float | None, settings: ServerSettings
) -> FleetPlan:
    """As a drain or an evacuation of the host would begin with it."""
    rows = instances.on_host(connection, host)
    if Way.EVACUATE in request.strategies:
        return plan(evacuations.load(connection, rows, request, settings, deadline_s=deadline_s))
    wanted = [planning.InstanceWays(row, request.strategies) for row in rows]
    return plan(planning.load(connection, wanted, request, settings, deadline_s=deadline_s))


def give_back(connection: Connection, drain: DrainRow) -> None:
    """The host takes instances in again, if it was this drain that ended that, and no operator said else since."""
    row = next(iter(hosts.by_names(connection, [drain.host])), None)
    if row is not None and drain.kind == DRAIN and row.disabled and row.disabled_reason == reason_of(drain):
        hosts.change(connection, drain.host, dict(drain.before))


def reason_of(drain: DrainRow) -> str:
    """What operators read as the reason why the host takes nothing in."""
    why = drain.request.get("reason") or f"asked by {drain.user_id}"
    return f"drain {drain.uuid}: {why}"[:255]


def _caller(drain: DrainRow) -> Caller:
    return Caller(drain.user_id, drain.project_id, drain.request_id)


def _to(destination: str | None) -> str:
    return f" to {destination}" if destination is not None else ""
