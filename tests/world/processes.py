"""The processes of the world: a server and the agents, made of the product's own parts. Each may be killed at any
boundary; what it had in memory is lost, the database, the journal and the simulated hypervisor are not."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from migrator.compute import pace
from migrator.compute.fabric import Fabric
from migrator.compute.images import Fetch
from migrator.compute.journal import LineJournal, MemoryMedium
from migrator.compute.machine import machine_of, stop_guests
from migrator.compute.simulated import SimulatedHypervisor
from migrator.compute.storage_identity import PROOF_S
from migrator.compute.worker import Worker
from migrator.db.listening import Heartbeat
from migrator.errors import (
    DriverError,
    HostNotFound,
    ImageUnavailable,
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
    ImageRef,
    Poll,
    UnreadableAssignment,
)
from migrator.scheduler import agents
from migrator.scheduler.reconciler import Reconciler
from migrator.settings import ServerSettings
from tests.world.database import WorldDatabase
from tests.world.faults import Fault, Faults, Killed

POLL_S = 5.0  # how long a poll that nobody wakes waits
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
        """``true_time``: by a clock that nobody sets."""
        self.db, self.settings = db, settings
        self.reconciler = Reconciler(db, settings, wake)
        self.heartbeat = Heartbeat(true_time)

    def register(self, host: str, incarnation: int, report: HostReport, machine: str) -> None:
        agents.register(self.db, host, incarnation, report, machine, self.settings.service_down_time)

    def poll(self, host: str, poll: Poll) -> Assignments:
        resume = self.settings.resume_guests_state_on_host_boot
        agents.heartbeat(self.db, host, poll, resume=resume)
        return agents.assignments(self.db, host, self.settings).model_copy(update={"answers": poll.number})

    def facts(self, host: str, facts: Facts) -> None:
        self.reconciler.reconcile_each(agents.accept_facts(self.db, host, facts))


class JournalMedium(MemoryMedium):
    def __init__(self, kept: list[bytes], host: str, faults: Faults) -> None:
        super().__init__(kept)
        self._host, self._faults = host, faults

    def append(self, line: bytes) -> None:
        fault = self._faults.arrive(self._host, "journal")
        if fault is Fault.KILL_BEFORE:
            raise Killed(self._host)
        super().append(line)
        if fault is Fault.KILL_AFTER:
            raise Killed(self._host)


@dataclass
class Held:
    assignment: Assignment | UnreadableAssignment
    due: float
    reports: pace.Reports = field(default_factory=pace.Reports)


class CachedImages:
    """``ImageStore`` of a host whose catalogue lacks ``lost``. The content of an image is its id."""

    def __init__(self, host: str, fabric: Fabric, lost: set[str]) -> None:
        self.host, self.fabric, self.lost = host, fabric, lost

    def ensure(self, images: Sequence[ImageRef], elsewhere: Fetch | None = None) -> dict[str, Path]:
        cached = self.fabric.hosts[self.host].fetched_images
        for image in images:
            if image.id in self.lost and image.id not in cached:
                if elsewhere is None:
                    raise ImageUnavailable(f"image {image.id}: the server answered 404")
                with elsewhere(image.id) as pieces:
                    if b"".join(pieces).decode() != image.id:
                        raise ImageUnavailable(f"image {image.id} has another checksum")
            cached.add(image.id)
        return {image.id: Path("/simulated/images") / image.id for image in images}


class AgentProcess:
    """The agent's loops without their threads: what ``compute/agent.py`` does, one step at a time."""

    def __init__(self, host: str, fabric: Fabric, kept: list[bytes], faults: Faults, network: Any) -> None:
        self.host, self.clock, self.network = host, fabric.clock, network
        self.driver = SimulatedHypervisor(host, fabric)
        self.journal = LineJournal(JournalMedium(kept, host, faults))
        self.worker = Worker(self.driver, self.journal, CachedImages(host, fabric, network.lost_images), fabric.clock)
        self.held: dict[str, Held] = {}
        self.outbox: dict[str, Fact] = {}
        self.seen = ""
        self.polled = 0
        self.poll_at = self.send_at = 0.0
        self.registered, self.registered_at = False, 0.0
        self.machine = machine_of("simulated", host)
        self.boot = machine_of("boot", host, str(fabric.hosts[host].boots))

    @property
    def due(self) -> float:
        times = [self.poll_at, *(held.due for held in self.held.values())]
        return min([*times, self.send_at] if self.outbox else times)

    def step(self) -> None:
        """Everything that is due now."""
        now = self.clock()
        if self.poll_at <= now:
            self._poll()
        for held in list(self.held.values()):
            if held.due <= now:
                self._act(held)
        if self.outbox and self.send_at <= now:
            self._send()

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
            if not self.registered or self.clock() - self.registered_at >= PROOF_S:
                report = self.driver.host_report()
                self._register(report.model_copy(update={"protocol": PROTOCOL}))
                self.registered_at = self.clock()
            copies = self.worker.served(self.driver.list_copies())
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
                copies=copies,
                machine=self.machine,
            )
            answer = self.network.poll(self.host, poll)
        except HostNotFound:
            self.registered = False
        except OtherMachine as error:
            self._stand_aside(error)
        except ServerUnreachable:
            return
        else:
            self.poll_at = self.clock() + POLL_S
            self.receive(answer)

    def _stand_aside(self, error: OtherMachine) -> None:
        self.registered, self.seen, self.poll_at = False, "", self.clock() + REFUSED_S
        for operation_id in list(self.held):
            del self.held[operation_id]
            self.worker.forget(operation_id)
        if isinstance(error, NameTaken):
            with suppress(DriverError):
                stop_guests(self.driver, {})

    def _register(self, report: HostReport) -> None:
        try:
            self.network.register(self.host, self.journal.incarnation, report, self.machine)
        except IncarnationSuperseded as error:
            self.journal.raise_incarnation(error.known)
            self.network.register(self.host, self.journal.incarnation, report, self.machine)
        self.registered = True

    def _act(self, held: Held) -> None:
        assignment = held.assignment
        held.due = self.clock() + pace.SETTLED_S
        if isinstance(assignment, UnreadableAssignment):
            self._tell(held, self.worker.refuse(assignment))
            return
        fact = self.worker.act(assignment)
        self._tell(held, fact)
        held.due = self.clock() + pace.pause_s(assignment, fact, held.reports.unchanged)

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
