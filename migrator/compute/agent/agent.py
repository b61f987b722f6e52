"""The agent of one host: registers, long-polls for its assignments, has each made true, and puts facts back.

Owns the loops, their pace and their patience: it outlives every failure of server and network, and a SIGTERM ends it
without touching a transfer. Never decides what is to be done (the server does) nor how (``handlers`` do).
"""

import asyncio
import contextlib
import logging
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from migrator.compute import machine
from migrator.compute.agent import housekeeping, lease_registration, poll_interval, survey
from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.fact_queue import FactQueue
from migrator.compute.agent.host_threads import HANGS_S, HostThreads
from migrator.compute.agent.inventory import LOOK_S, Inventory
from migrator.compute.agent.survey import Surveyor
from migrator.compute.agent.worker import Worker
from migrator.compute.driver import Driver
from migrator.compute.fencing.self_fencing import SelfFencing
from migrator.compute.journal import Journal
from migrator.errors import (
    Forbidden,
    HostNotFound,
    HypervisorUnavailable,
    MigratorError,
    NameTaken,
    OtherMachine,
    ServerUnreachable,
    Unauthorized,
)
from migrator.protocol import PROTOCOL, Assignment, Assignments, Fact, HostReport, Poll, UnreadableAssignment
from migrator.settings import AgentSettings

log = logging.getLogger("migrator.agent")

_FIRST_LOOK_S = 5.0  # the first poll waits so long for the host's description
_BACKOFF_S = (0.1, 5.0)  # first and longest wait for an unreachable server
_REFUSED_S = 15.0  # a wrong credential is mended by hand
_LAST_STEPS_S = 10.0
_RECOVERY_S = 1.0  # for the journal; the host is heard meanwhile


@dataclass
class Holder:
    """One operation's current assignment and the task that works on it."""

    assignment: Assignment | UnreadableAssignment
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Agent:
    """``run`` until ``stop`` is set. One object is one incarnation."""

    def __init__(
        self,
        settings: AgentSettings,
        driver: Driver,
        worker: Worker,
        journal: Journal,
        server: ServerClient,
        threads: ThreadPoolExecutor | None = None,
        clock: Callable[[], float] = time.monotonic,
        fencing: SelfFencing | None = None,
        surveyor: Surveyor | None = None,
        machine_file: Path | None = None,
        boot: str = "",
    ) -> None:
        """``threads``: shared with other agents of this process, and theirs to shut down; None: its own. Without
        ``surveyor`` it tells nothing that is not about an operation. ``machine_file`` keeps the machine's identity;
        ``boot`` is its ``boot.boot_id``."""
        self._settings = settings
        self._worker, self._driver = worker, driver
        self._journal = journal
        self._server = server
        self._clock = clock
        self._holders: dict[str, Holder] = {}
        self._turns: dict[str, asyncio.Lock] = {}  # instance -> whose turn it is
        self._outbox = FactQueue()
        self._at_work: dict[str, Assignment] = {}  # instance -> the assignment whose step is in a thread now
        self._threads = HostThreads(f"agent-{settings.host}", threads)
        self._fencing = fencing
        self._surveyor = surveyor
        self._inventory = Inventory(driver, self._threads.look, self._tags(), machine_file)
        self._registered: HostReport | None = None
        self._failed_by: dict[str, type[Exception]] = {}  # loop -> how it failed last
        self._heard = False  # this agent was registered once
        self._boot = boot
        self._recovering: asyncio.Task[None] | None = None
        self.busy = False  # after ``run``: a step did not end in time, and goes on

    async def run(self, stop: asyncio.Event) -> None:
        log.info("agent starts", extra=self._tags(incarnation=self._journal.incarnation))
        if self._fencing is not None:
            await self._threads.look(partial(self._fencing.begin, _FIRST_LOOK_S))
        parts = [self._inventory.keep(), self._poll_loop(), self._send_loop()]
        parts.append(housekeeping.keep(self._driver, self._threads.look, self._tags()))
        if self._surveyor is not None:
            parts.append(survey.keep(self._surveyor, self._server, self._threads.look, self._tags()))
        loops = [asyncio.create_task(part) for part in parts]
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, *loops], return_when=asyncio.FIRST_COMPLETED)
        self._threads.stopping = True
        holding = [holder.task for holder in self._holders.values() if holder.task is not None]
        for task in (stopped, *loops, *holding):
            task.cancel()
        outcomes = await asyncio.gather(*loops, *holding, return_exceptions=True)
        # A step that was begun is finished, so that the journal is not closed under it.
        self.busy = await self._threads.finish(_LAST_STEPS_S)
        if self._fencing is not None:
            await self._end_fencing(self._fencing)
        log.info("agent ends; transfers go on without it", extra=self._tags())
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _end_fencing(self, fencing: SelfFencing) -> None:
        report = self._registered or self._inventory.report
        withdrawn = await lease_registration.withdraw(
            self._server, self._journal.incarnation, report, fencing.lease, self._tags()
        )
        await asyncio.to_thread(partial(fencing.end, withdrawn=withdrawn))

    # the server's word
    async def _poll_loop(self) -> None:
        seen, failures, number = "", 0, 0
        await _set_within(self._inventory.first, _FIRST_LOOK_S)
        while True:
            try:
                self._say_which_machine()
                await self._register()
                # Without a description the host may be known from before: its assignments are wanted all the more.
                found = self._inventory.take_copies()
                copies = self._worker.served(found) if found is not None else None
                wait = min(self._settings.poll_wait, LOOK_S)
                number += 1
                told = {"incarnation": self._journal.incarnation, "boot": self._boot, "number": number}
                poll = Poll(**told, seen=seen, wait_s=wait, copies=copies)
                sent = self._fencing.lease.clock() if self._fencing is not None else 0.0
                answer = await self._server.poll(poll)
                if self._fencing is not None:
                    self._fencing.lease.renew(sent)
            except Exception as error:  # whatever it is, the host must be heard again
                failures += 1
                if isinstance(error, (HostNotFound, OtherMachine)):
                    self._registered = None
                if isinstance(error, OtherMachine):
                    seen = ""
                    await self._stand_aside(error)
                await self._patience("poll", error, failures)
                continue
            failures = 0
            if answer.digest != seen:
                seen = answer.digest
                self._apply(answer)

    def _say_which_machine(self) -> None:
        if not self._inventory.machine:
            raise HypervisorUnavailable("which machine this is, its hypervisor has not told yet")
        self._server.machine = self._inventory.machine

    async def _stand_aside(self, error: OtherMachine) -> None:
        """Another machine is this host: nothing is done here under its name, and nothing runs while it is heard."""
        self._apply(Assignments(digest="", assignments=()))
        if isinstance(error, NameTaken):
            await self._threads.look(partial(machine.stop_guests, self._driver, self._tags()))

    async def _register(self) -> None:
        """At the start, whenever the description changed, and when the server does not know the host. A host that
        cannot be described is heard all the same: what must be stopped here is stopped."""
        if self._journal.impaired:
            await self._recover()
        found = self._inventory.report
        if found is None:
            return
        journal = self._journal
        told = {"impaired": journal.impaired, "lost": journal.lost, "protocol": PROTOCOL, "start": journal.start}
        report = found.model_copy(update=told)
        if report == self._registered:
            return
        lease = self._fencing.lease if self._fencing is not None else None
        try:
            await lease_registration.register(self._server, journal, report, lease, first=not self._heard)
        except OSError as error:
            log.error("the host cannot be registered: %s", error, extra=self._tags())
            return
        self._registered, self._heard = report, True
        log.info("registered", extra=self._tags())

    async def _recover(self) -> None:
        if self._recovering is None or self._recovering.done():
            self._recovering = asyncio.create_task(self._threads.look(self._journal.recover))
        await asyncio.wait([self._recovering], timeout=_RECOVERY_S)

    def _apply(self, answer: Assignments) -> None:
        wanted: dict[str, Assignment | UnreadableAssignment] = {}
        wanted |= {assignment.operation_id: assignment for assignment in answer.unreadable}
        wanted |= {assignment.operation_id: assignment for assignment in answer.assignments}
        for operation_id in [known for known in self._holders if known not in wanted]:
            holder = self._holders.pop(operation_id)
            if holder.task is not None:
                holder.task.cancel()
            self._worker.forget(operation_id)
        instances = {assignment.instance.uuid for assignment in answer.assignments}
        self._turns = {uuid: turn for uuid, turn in self._turns.items() if uuid in instances or turn.locked()}
        for operation_id, assignment in wanted.items():
            known = self._holders.get(operation_id)
            if known is None:
                self._holders[operation_id] = known = Holder(assignment)
                known.task = asyncio.create_task(self._hold(known))
            elif known.assignment != assignment:
                known.assignment = assignment
                known.changed.set()

    # one operation
    async def _hold(self, holder: Holder) -> None:
        reports = poll_interval.Reports()
        while True:
            assignment = holder.assignment
            holder.changed.clear()
            fact = await self._watched(holder, reports)
            if fact is None:
                await _set_within(holder.changed, poll_interval.SETTLED_S)
                continue
            self._tell(fact, reports)
            if isinstance(assignment, Assignment):
                await self._rest(holder, assignment, poll_interval.pause_s(assignment, fact, reports.unchanged))
            else:
                await _set_within(holder.changed, poll_interval.SETTLED_S)

    def _tell(self, fact: Fact, reports: poll_interval.Reports) -> None:
        due = reports.due(fact, self._clock(), self._settings.progress_interval)
        if due is not None:
            self._outbox.put(due)

    async def _watched(self, holder: Holder, reports: poll_interval.Reports) -> Fact | None:
        """One step; as long as it does not return, that is what is told of the newest assignment."""
        acting = asyncio.create_task(self._act(holder.assignment))
        try:
            while not (await asyncio.wait([acting], timeout=HANGS_S))[0]:
                if isinstance(holder.assignment, Assignment):
                    at_work = self._at_work.get(holder.assignment.instance.uuid)
                    self._tell(self._worker.unreturned(holder.assignment, at_work, HANGS_S), reports)
        except asyncio.CancelledError:
            acting.cancel()
            await asyncio.wait([acting])
            raise
        return acting.result()

    async def _rest(self, holder: Holder, assignment: Assignment, seconds: float) -> None:
        """Until the assignment changes, ``seconds`` have passed, or our own migrate call has returned."""
        uuid, until = assignment.instance.uuid, self._clock() + seconds
        while self._worker.transferring(uuid) and (left := until - self._clock()) > 0:
            await _set_within(holder.changed, min(poll_interval.GLANCE_S, left))
            if holder.changed.is_set() or not self._worker.transferring(uuid):
                return
        await _set_within(holder.changed, max(0.0, until - self._clock()))

    async def _act(self, assignment: Assignment | UnreadableAssignment) -> Fact | None:
        if isinstance(assignment, UnreadableAssignment):
            return self._worker.refuse(assignment)
        turn = self._turns.setdefault(assignment.instance.uuid, asyncio.Lock())
        async with turn:
            self._at_work[assignment.instance.uuid] = assignment
            try:
                fact = await self._threads.step(lambda: self._worker.act(assignment))
            except Exception:  # a defect must not end the agent: the other operations need it
                log.exception("the assignment could not be tried", extra=self._tags(assignment))
                return None
            finally:
                del self._at_work[assignment.instance.uuid]
        if fact.problem is not None:
            log.warning("%s: %s", assignment.ensure, fact.problem.message, extra=self._tags(assignment))
        return fact

    # facts
    async def _send_loop(self) -> None:
        failures = 0
        while True:
            facts = await self._outbox.take()
            try:
                await self._server.put_facts(facts)
                failures = 0
            except Exception as error:  # the facts wait; a newer one of the same operation replaces its elder
                failures += 1
                self._outbox.put_back(facts)
                await self._patience("facts", error, failures)

    # parts
    async def _patience(self, what: str, error: Exception, failures: int) -> None:
        first, longest = _BACKOFF_S
        # Thousands of agents lose their server at the same moment: none comes back with another.
        wait = min(longest, first * 2 ** min(failures - 1, 10)) * random.uniform(0.5, 1.5)
        if isinstance(error, ServerUnreachable):
            wait = max(wait, error.retry_after_s * random.uniform(1.0, 1.5))
        if isinstance(error, (Unauthorized, Forbidden, OtherMachine)):
            wait = _REFUSED_S
        # A defect's traceback is wanted.
        words, defect = (error.sentence, None) if isinstance(error, MigratorError) else (str(error), error)
        other = self._failed_by.get(what) is not type(error)  # such as a server that is back, and refuses
        self._failed_by[what] = type(error)
        level = logging.WARNING if other or failures in (1, 10) or failures % 100 == 0 else logging.DEBUG
        log.log(level, "%s failed, again in %.1f s: %s", what, wait, words, exc_info=defect, extra=self._tags())
        await asyncio.sleep(wait)

    def _tags(self, assignment: Assignment | None = None, **more: Any) -> dict[str, Any]:
        tags: dict[str, Any] = {"host": self._settings.host, **more}
        if assignment is not None:
            tags |= {"operation": assignment.operation_id, "epoch": assignment.epoch, "phase": assignment.phase}
        return tags


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def until_signalled(agent: Agent, server: ServerClient) -> None:
    stop = asyncio.Event()
    on_signal(stop.set)
    try:
        await agent.run(stop)
    finally:
        await server.close()


def on_signal(act: Callable[[], Any]) -> None:
    """Call ``act`` in the running loop on SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act)
