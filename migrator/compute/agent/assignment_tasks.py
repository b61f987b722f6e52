"""One task for each operation that is asked of this host: it tries the assignment, tells the fact, and rests.

Owns whose turn it is at an instance: two steps never work on one at once. Facts go into a queue; the tasks never talk
to the server, and never decide how an assignment is made true (``worker``).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from migrator.compute.agent import poll_interval
from migrator.compute.agent.fact_queue import FactQueue
from migrator.compute.agent.host_threads import HANGS_S, HostThreads
from migrator.compute.agent.pauses import set_within
from migrator.compute.agent.worker import Worker
from migrator.protocol import Assignment, Assignments, Fact, UnreadableAssignment

log = logging.getLogger("migrator.agent")


@dataclass
class AssignmentTask:
    """One operation's current assignment and the task that works on it."""

    assignment: Assignment | UnreadableAssignment
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    running: asyncio.Task[None] | None = None


class AssignmentTasks:
    """For one event loop. ``tags``: of what is logged."""

    def __init__(
        self,
        worker: Worker,
        threads: HostThreads,
        facts: FactQueue,
        clock: Callable[[], float],
        progress_interval_s: float,
        tags: Mapping[str, Any],
    ) -> None:
        self._worker, self._threads, self._facts = worker, threads, facts
        self._clock, self._progress_interval_s, self._tags = clock, progress_interval_s, tags
        self._tasks: dict[str, AssignmentTask] = {}  # by operation
        self._turns: dict[str, asyncio.Lock] = {}  # instance -> whose turn it is
        self._at_work: dict[str, Assignment] = {}  # instance -> the assignment whose step is in a thread now

    def apply(self, answer: Assignments) -> None:
        """Work on these, and on no other."""
        wanted: dict[str, Assignment | UnreadableAssignment] = {}
        wanted |= {assignment.operation_id: assignment for assignment in answer.unreadable}
        wanted |= {assignment.operation_id: assignment for assignment in answer.assignments}
        for operation_id in [known for known in self._tasks if known not in wanted]:
            dropped = self._tasks.pop(operation_id)
            if dropped.running is not None:
                dropped.running.cancel()
            self._worker.forget(operation_id)
        instances = {assignment.instance.uuid for assignment in answer.assignments}
        self._turns = {uuid: turn for uuid, turn in self._turns.items() if uuid in instances or turn.locked()}
        for operation_id, assignment in wanted.items():
            known = self._tasks.get(operation_id)
            if known is None:
                self._tasks[operation_id] = known = AssignmentTask(assignment)
                known.running = asyncio.create_task(self._hold(known))
            elif known.assignment != assignment:
                known.assignment = assignment
                known.changed.set()

    def working(self) -> tuple[str, ...]:
        """Instances that something is asked of here, or of which a step has not returned although nothing is."""
        asked = (task.assignment for task in self._tasks.values())
        return tuple(sorted(self._at_work.keys() | {a.instance.uuid for a in asked if isinstance(a, Assignment)}))

    def running(self) -> list[asyncio.Task[None]]:
        return [task.running for task in self._tasks.values() if task.running is not None]

    async def _hold(self, task: AssignmentTask) -> None:
        reports = poll_interval.Reports()
        while True:
            assignment = task.assignment
            task.changed.clear()
            fact = await self._watched(task, reports)
            if fact is None:
                await set_within(task.changed, poll_interval.SETTLED_S)
                continue
            self._tell(fact, reports)
            if isinstance(assignment, Assignment):
                await self._rest(task, assignment, poll_interval.pause_s(assignment, fact, reports.unchanged))
            else:
                await set_within(task.changed, poll_interval.SETTLED_S)

    def _tell(self, fact: Fact, reports: poll_interval.Reports) -> None:
        due = reports.due(fact, self._clock(), self._progress_interval_s)
        if due is not None:
            self._facts.put(due)

    async def _watched(self, task: AssignmentTask, reports: poll_interval.Reports) -> Fact | None:
        """One step; as long as it does not return, that is what is told of the newest assignment."""
        acting = asyncio.create_task(self._act(task.assignment))
        try:
            while not (await asyncio.wait([acting], timeout=HANGS_S))[0]:
                if isinstance(task.assignment, Assignment):
                    at_work = self._at_work.get(task.assignment.instance.uuid)
                    self._tell(self._worker.unreturned(task.assignment, at_work, HANGS_S), reports)
        except asyncio.CancelledError:
            acting.cancel()
            await asyncio.wait([acting])
            raise
        return acting.result()

    async def _rest(self, task: AssignmentTask, assignment: Assignment, seconds: float) -> None:
        """Until the assignment changes, ``seconds`` have passed, or our own migrate call has returned."""
        uuid, until = assignment.instance.uuid, self._clock() + seconds
        while self._worker.transferring(uuid) and (left := until - self._clock()) > 0:
            await set_within(task.changed, min(poll_interval.GLANCE_S, left))
            if task.changed.is_set() or not self._worker.transferring(uuid):
                return
        await set_within(task.changed, max(0.0, until - self._clock()))

    async def _act(self, assignment: Assignment | UnreadableAssignment) -> Fact | None:
        if isinstance(assignment, UnreadableAssignment):
            return self._worker.refuse(assignment)
        turn = self._turns.setdefault(assignment.instance.uuid, asyncio.Lock())
        async with turn:
            self._at_work[assignment.instance.uuid] = assignment
            try:
                fact = await self._threads.step(lambda: self._worker.act(assignment))
            except Exception:  # a defect must not end the agent: the other operations need it
                log.exception("the assignment could not be tried", extra=self._tagged(assignment))
                return None
            finally:
                del self._at_work[assignment.instance.uuid]
        if fact.problem is not None:
            log.warning("%s: %s", assignment.ensure, fact.problem.message, extra=self._tagged(assignment))
        return fact

    def _tagged(self, assignment: Assignment) -> dict[str, Any]:
        known = {"operation": assignment.operation_id, "epoch": assignment.epoch, "phase": assignment.phase}
        return {**self._tags, **known}
