"""The processes of the world: a server and the agents, made of the product's own parts. Each may be killed at any
boundary; what it had in memory is lost, the database, the journal and the simulated hypervisor are not."""

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from migrator.compute.agent import poll_interval
from migrator.compute.agent.host_threads import HANGS_S
from migrator.compute.agent.worker import Worker
from migrator.compute.fencing.lease import Lease
from migrator.compute.fencing.self_fencing import leased
from migrator.compute.journal import LineJournal
from migrator.compute.machine import machine_of, stop_guests
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.compute.storage.pool_identity import PROOF_S
from migrator.db.server_heartbeat import Heartbeat
from migrator.errors import (
    DriverError,
    HostNotFound,
    IncarnationSuperseded,
    NameTaken,
    OtherMachine,
    ServerUnreachable,
)
from migrator.protocol import (
    PROTOCOL,
    Assignment,
    Assignments,
    Fact,
    Facts,
    HostReport,
    Poll,
    UnreadableAssignment,
)
from migrator.scheduler import agents
from migrator.scheduler.reconciler import Reconciler
from migrator.settings import ServerSettings
from tests import registering
from tests.world.database import WorldDatabase
from tests.world.faults import Faults
from tests.world.host_disk import CachedImages, JournalMedium

POLL_S = 5.0  # how long a poll waits that no event wakes
RETRY_S = 0.5
REFUSED_S = 15.0  # until an agent asks again that another machine's name was refused to


class Server:
    """One server process."""

    def __init__(
        self,
        db: WorldDatabase,
        settings: ServerSettings,
        wake: Callable[[Iterable[str]], None],
        true_time: Callable[[], float],
    ) -> None:
        """``true_time``: by a clock that no operator sets."""
        self.db, self.settings = db, settings
        self.reconciler = Reconciler(db, settings, wake)
        self.heartbeat = Heartbeat(true_time)

    def register(self, host: str, incarnation: int, report: HostReport, machine: str) -> None:
        registering.register(self.db, host, incarnation, report, machine, self.settings.service_down_time)

    def poll(self, host: str, poll: Poll) -> Assignments:
        agents.heartbeat(self.db, host, poll, self.settings)
        return agents.assignments(self.db, host, self.settings).model_copy(update={"answers": poll.number})

    def facts(self, host: str, facts: Facts) -> None:
        self.reconciler.reconcile_each(agents.accept_facts(self.db, host, facts))


@dataclass
class Held:
    assignment: Assignment | UnreadableAssignment
    due: float
    reports: poll_interval.Reports = field(default_factory=poll_interval.Reports)


@dataclass
class Hanging:
    """A step that was begun and does not return before ``until``: its effect comes then."""

    assignment: Assignment
    since: float
    until: float


class AgentProcess:
    """The agent's loops without their threads: what ``compute/agent/agent.py`` does, one step at a time."""

    def __init__(
        self, host: str, simulation: SimulatedCluster, kept: list[bytes], faults: Faults, network: Any
    ) -> None:
        self.host, self.clock, self.network = host, simulation.clock, network
        self.boot = machine_of("boot", host, str(simulation.hosts[host].boots))
        self.lease = Lease(network.lease_file(host), network.lease_s, simulation.clock, self.boot, host)
        driver = SimulatedHypervisor(host, simulation)
        self.driver = leased(driver, self.lease) if network.lease_s else driver
        self.journal = LineJournal(JournalMedium(kept, host, faults, network.full_disks))
        images = CachedImages(host, simulation, network.lost_images, network.full_disks)
        self.worker = Worker(self.driver, self.journal, images, simulation.clock)
        self.held: dict[str, Held] = {}
        self.hanging: dict[str, Hanging] = {}  # by instance: no other step of it begins until then
        self.outbox: dict[str, Fact] = {}
        self.seen = ""
        self.polled = 0
        self.poll_at = self.send_at = 0.0
        self.registered, self.registered_at = False, 0.0
        self.impaired = ""  # as the server was told
        self.machine = machine_of("simulated", host)

    @property
    def due(self) -> float:
        times = [self.poll_at, *(held.due for held in self.held.values()), *(h.until for h in self.hanging.values())]
        return min([*times, self.send_at] if self.outbox else times)

    def step(self) -> None:
        """Everything that is due now."""
        now = self.clock()
        self._fence()
        for uuid in [uuid for uuid, hanging in self.hanging.items() if hanging.until <= now]:
            self._return(self.hanging.pop(uuid))
        if self.poll_at <= now:
            self._poll()
        for held in list(self.held.values()):
            if held.due <= now:
                self._act(held)
        if self.outbox and self.send_at <= now:
            self._send()

    def _fence(self) -> None:
        """What ``self_fencing.py`` does in a thread of its own."""
        if not self.lease.lapsed():
            return
        with suppress(DriverError):
            for copy in self.driver.list_copies(live=True):
                self.driver.destroy(copy.uuid)
            self.lease.stopped()

    def receive(self, answer: Assignments) -> None:
        if answer.answers != self.polled or answer.digest == self.seen:
            return
        self.seen = answer.digest
        wanted: dict[str, Assignment | UnreadableAssignment] = {}
        wanted |= {a.operation_id: a for a in answer.unreadable}
        wanted |= {a.operation_id: a for a in answer.assignments}
        for operation_id in [known for known in self.held if known not in wanted]:
            del self.held[operation_id]
            self.worker.forget(operation_id)
        for operation_id, assignment in wanted.items():
            known = self.held.get(operation_id)
            if known is None:
                self.held[operation_id] = Held(assignment, self.clock())
            elif known.assignment != assignment:
                known.assignment, known.due = assignment, self.clock()

    def _poll(self) -> None:
        self.poll_at = self.clock() + RETRY_S
        try:
            self._register_when_due()
            copies = None if self.host in self.network.listless else self.worker.served(self.driver.list_copies())
        except DriverError:
            copies = None
        except ServerUnreachable:
            return
        except OtherMachine as error:
            self._stand_aside(error)
            return
        try:
            self.polled += 1
            poll = Poll(
                incarnation=self.journal.incarnation,
                boot=self.boot,
                number=self.polled,
                seen=self.seen,
                working=self._working(),
                copies=copies,
                machine=self.machine,
            )
            sent = self.clock()
            answer = self.network.poll(self.host, poll)
            self.lease.renew(sent)
        except HostNotFound:
            self.registered = False
        except OtherMachine as error:
            self._stand_aside(error)
        except ServerUnreachable:
            return
        else:
            self.poll_at = self.clock() + POLL_S
            self.receive(answer)

    def _working(self) -> tuple[str, ...]:
        asked = (held.assignment for held in self.held.values())
        return tuple(sorted(self.hanging.keys() | {a.instance.uuid for a in asked if isinstance(a, Assignment)}))

    def _register_when_due(self) -> None:
        if self.journal.impaired:
            self.journal.recover()
        due = self.clock() - self.registered_at >= PROOF_S or self.journal.impaired != self.impaired
        if due or not self.registered:
            told = {"protocol": PROTOCOL, "impaired": self.journal.impaired, "lost": self.journal.lost}
            told["start"] = self.journal.start
            self._register(self.driver.host_report().model_copy(update=told))
            self.registered_at, self.impaired = self.clock(), self.journal.impaired

    def _stand_aside(self, error: OtherMachine) -> None:
        self.registered, self.seen, self.poll_at = False, "", self.clock() + REFUSED_S
        for operation_id in list(self.held):
            del self.held[operation_id]
            self.worker.forget(operation_id)
        if isinstance(error, NameTaken):
            with suppress(DriverError):
                stop_guests(self.driver, {})

    def _register(self, report: HostReport) -> None:
        self.lease.promise()
        report = report.model_copy(update={"self_fencing_lease_s": self.lease.wanted_s})
        try:
            self.network.register(self.host, self.journal.incarnation, report, self.machine)
        except IncarnationSuperseded as error:
            self.journal.raise_incarnation(error.known)
            report = report.model_copy(update={"lost": self.journal.lost})
            self.network.register(self.host, self.journal.incarnation, report, self.machine)
        self.lease.promised(self.lease.wanted_s)
        self.registered = True

    def _act(self, held: Held) -> None:
        assignment = held.assignment
        held.due = self.clock() + poll_interval.SETTLED_S
        if isinstance(assignment, UnreadableAssignment):
            self._tell(held, self.worker.refuse(assignment))
            return
        uuid, hangs_s = assignment.instance.uuid, self.network.hangs_s.pop(self.host, 0.0)
        if hangs_s and uuid not in self.hanging:
            self.hanging[uuid] = Hanging(assignment, self.clock(), self.clock() + hangs_s)
        if (hanging := self.hanging.get(uuid)) is not None:
            if self.clock() - hanging.since >= HANGS_S:
                self._tell(held, self.worker.unreturned(assignment, hanging.assignment, HANGS_S))
            return
        fact = self.worker.act(assignment)
        self._tell(held, fact)
        held.due = self.clock() + poll_interval.pause_s(assignment, fact, held.reports.unchanged)

    def _return(self, hanging: Hanging) -> None:
        fact = self.worker.act(hanging.assignment)
        held = self.held.get(hanging.assignment.operation_id)
        if held is not None:
            held.due = self.clock()
            if held.assignment == hanging.assignment:
                self._tell(held, fact)

    def _tell(self, held: Held, fact: Fact) -> None:
        due = held.reports.due(fact, self.clock(), self.network.counters_s or math.inf)
        if due is not None:
            self.outbox[due.operation_id] = due

    def _send(self) -> None:
        facts, self.outbox = self.outbox, {}
        try:
            self.network.facts(self.host, Facts(facts=tuple(facts.values()), machine=self.machine))
        except OtherMachine as error:
            self._stand_aside(error)
        except ServerUnreachable:
            self.outbox = facts | self.outbox
            self.send_at = self.clock() + RETRY_S
