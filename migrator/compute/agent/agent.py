"""The agent of one host: registers, long-polls for its assignments, has each made true, and puts facts back.

Owns the loops towards the server: the agent outlives every failure of server and network, and ends without touching a
transfer. Never decides what is to be done (the server does) nor how (``handlers`` do); ``assignment_tasks`` has one
task for each operation.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from migrator.compute import machine
from migrator.compute.agent import console_teller, housekeeping, lease_registration, survey
from migrator.compute.agent.assignment_tasks import AssignmentTasks
from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.fact_queue import FactQueue
from migrator.compute.agent.host_threads import HostThreads
from migrator.compute.agent.inventory import LOOK_S, Inventory
from migrator.compute.agent.pauses import RetryPauses, set_within
from migrator.compute.agent.survey import Surveyor
from migrator.compute.agent.worker import Worker
from migrator.compute.driver import Driver
from migrator.compute.fencing.self_fencing import SelfFencing
from migrator.compute.journal import Journal
from migrator.errors import (
    HostNotFound,
    HypervisorUnavailable,
    NameTaken,
    OtherMachine,
    ProtocolUnsupported,
)
from migrator.protocol import PROTOCOL, WORKING_MAX, Assignments, HostReport, Poll
from migrator.service_manager import ServiceManager
from migrator.settings import AgentSettings

log = logging.getLogger("migrator.agent")

_FIRST_LOOK_S = 5.0  # the first poll waits so long for the host's description
_LAST_STEPS_S = 10.0
_RECOVERY_S = 1.0  # for the journal; the host is still heard


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
        manager: ServiceManager | None = None,
    ) -> None:
        """``threads``: shared with other agents of this process, and theirs to shut down; None: its own. Without
        ``surveyor`` it tells nothing that is not about an operation. ``machine_file`` keeps the machine's identity;
        ``boot`` is its ``boot.boot_id``. ``manager``: told of each turn of the loop that asks the
        server, whether or not the server answers."""
        self._settings = settings
        self._worker, self._driver = worker, driver
        self._journal = journal
        self._server = server
        self._tags = {"host": settings.host}  # of what is logged
        self._facts = FactQueue()
        self._threads = HostThreads(f"agent-{settings.host}", threads)
        self._tasks = AssignmentTasks(worker, self._threads, self._facts, clock, settings.progress_interval, self._tags)
        self._pauses = RetryPauses(self._tags)
        self._fencing = fencing
        self._surveyor = surveyor
        self._inventory = Inventory(driver, self._threads.read, self._tags, machine_file)
        self._registered: HostReport | None = None
        self._heard = False  # this agent was registered once
        self._boot = boot
        self._manager = manager or ServiceManager()
        self._recovering: asyncio.Task[None] | None = None
        self.busy = False  # after ``run``: a step did not end in time, and goes on

    async def run(self, stop: asyncio.Event) -> None:
        log.info("agent starts", extra=self._tags | {"incarnation": self._journal.incarnation})
        if self._fencing is not None:
            await self._threads.read(partial(self._fencing.begin, _FIRST_LOOK_S))
        parts = [self._inventory.run(), self._poll_loop(), self._send_loop()]
        parts.append(housekeeping.run(self._driver, self._threads.read, self._tags))
        if self._surveyor is not None:
            teller, every_s = console_teller.ConsoleTeller(self._driver), self._settings.console_interval
            parts.append(console_teller.run(teller, self._server, self._threads.read, every_s, self._tags))
            parts.append(survey.run(self._surveyor, self._server, self._threads.read, self._tags))
        loops = [asyncio.create_task(part) for part in parts]
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, *loops], return_when=asyncio.FIRST_COMPLETED)
        self._manager.stopping()
        self._threads.stopping = True
        acting = self._tasks.running()
        for task in (stopped, *loops, *acting):
            task.cancel()
        outcomes = await asyncio.gather(*loops, *acting, return_exceptions=True)
        # A step that was begun is finished, so that the journal is not closed under it.
        self.busy = await self._threads.finish(_LAST_STEPS_S)
        if self._fencing is not None:
            await self._end_fencing(self._fencing)
        log.info("agent ends; transfers go on without it", extra=self._tags)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _end_fencing(self, fencing: SelfFencing) -> None:
        report = self._registered or self._inventory.report
        withdrawn = await lease_registration.withdraw(
            self._server, self._journal.incarnation, report, fencing.lease, self._tags
        )
        await asyncio.to_thread(partial(fencing.end, withdrawn=withdrawn))

    # the server's word
    async def _poll_loop(self) -> None:
        seen, failures, number = "", 0, 0
        await set_within(self._inventory.first, _FIRST_LOOK_S)
        while True:
            self._manager.turn()
            try:
                sent = self._now()
                self._say_which_machine()
                await self._register()
                # Without a description the host may be known from before: its assignments are wanted all the more.
                found = self._inventory.take_copies()
                copies = self._worker.served(found) if found is not None else None
                wait = min(self._settings.poll_wait, LOOK_S)
                number += 1
                told = {"incarnation": self._journal.incarnation, "boot": self._boot, "number": number}
                told["working"] = self._tasks.working()[:WORKING_MAX]
                poll = Poll(**told, protocol=PROTOCOL, seen=seen, wait_s=wait, copies=copies)
                sent = self._now()
                answer = await self._server.poll(poll)
                self._renew_lease(sent)
            except Exception as error:  # after any error the host must be heard again
                failures += 1
                if isinstance(error, ProtocolUnsupported):  # the server has heard this host, and asks nothing of it
                    self._renew_lease(sent)
                if isinstance(error, (HostNotFound, OtherMachine)):
                    self._registered = None
                if isinstance(error, OtherMachine):
                    seen = ""
                    await self._stand_aside(error)
                await self._pauses.after_failure("poll", error, failures)
                continue
            failures = 0
            if answer.digest != seen:
                seen = answer.digest
                self._tasks.apply(answer)

    def _now(self) -> float:
        return self._fencing.lease.clock() if self._fencing is not None else 0.0

    def _renew_lease(self, sent: float) -> None:
        if self._fencing is not None:
            self._fencing.lease.renew(sent)

    def _say_which_machine(self) -> None:
        if not self._inventory.machine:
            raise HypervisorUnavailable("which machine this is, its hypervisor has not told yet")
        self._server.machine = self._inventory.machine

    async def _stand_aside(self, error: OtherMachine) -> None:
        """Another machine is this host: nothing is done here under its name, and nothing runs while it is heard."""
        self._tasks.apply(Assignments(digest="", assignments=()))
        if isinstance(error, NameTaken):
            await self._threads.read(partial(machine.stop_guests, self._driver, self._tags))

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
            log.error("the host cannot be registered: %s", error, extra=self._tags)
            return
        self._registered, self._heard = report, True
        log.info("registered", extra=self._tags)

    async def _recover(self) -> None:
        if self._recovering is None or self._recovering.done():
            self._recovering = asyncio.create_task(self._threads.read(self._journal.recover))
        await asyncio.wait([self._recovering], timeout=_RECOVERY_S)

    # facts
    async def _send_loop(self) -> None:
        failures = 0
        while True:
            facts = await self._facts.take()
            try:
                await self._server.put_facts(facts)
                failures = 0
            except Exception as error:  # the facts wait; a newer one of the same operation replaces its elder
                failures += 1
                self._facts.requeue(facts)
                await self._pauses.after_failure("facts", error, failures)
