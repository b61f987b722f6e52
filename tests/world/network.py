"""The network of a world: what an agent calls, and what may become of the call and of its answer on the way.

Owns messages that are lost, late, doubled or held up. Knows no host and no server: a ``World`` has them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from migrator.errors import MigratorError, ServerUnreachable
from migrator.protocol import Assignments, Facts, HostReport, Poll
from tests.world.faults import Fault, Faults, Killed
from tests.world.processes import AgentProcess, Server
from tests.world.speech import Speech

DELAY_S = 1.0  # a late message, so that others overtake it


class Network(ABC):
    faults: Faults
    server: Server
    agents: dict[str, AgentProcess]

    def __init__(self) -> None:
        self.away = False  # there is no server
        self.speech = Speech()
        self.listless: set[str] = set()  # hosts whose hypervisors do not tell their agents which copies there are
        self.held_calls: dict[str, tuple[float, set[str]]] = {}  # host -> by how long which calls of it are held up

    @abstractmethod
    def at(self, delay: float, act: Callable[[], Any]) -> None:
        """``act`` so many seconds from now."""

    @abstractmethod
    def guarded(self, act: Callable[[], Any]) -> Any:
        """``act`` of a process that may be killed in it."""

    @abstractmethod
    def killed(self, component: str) -> None:
        """The process is gone, and comes back."""

    def register(self, host: str, incarnation: int, report: HostReport, machine: str) -> None:
        self._call(host, "register", lambda: self.server.register(host, incarnation, report, machine))

    def poll(self, host: str, poll: Poll) -> Assignments:
        answer: Assignments = self._call(host, "poll", lambda: self.server.poll(host, poll))
        fault = self.faults.arrive("server", "poll answer", message=True)
        if fault in (Fault.KILL_BEFORE, Fault.DROP):
            if fault is Fault.KILL_BEFORE:
                self.killed("server")
            raise ServerUnreachable("the answer was lost")
        if fault is Fault.KILL_AFTER:
            self.killed("server")
        answer = self.speech.answer(answer)
        agent = self.agents[host]
        if fault is Fault.DELAY:
            self.at(DELAY_S, lambda: agent.receive(answer))  # to a dead process: no harm
            raise ServerUnreachable("the answer is late")
        if fault is Fault.DUPLICATE:
            agent.receive(answer)
        return answer

    def facts(self, host: str, facts: Facts) -> None:
        said = self.speech.facts(facts)
        self._call(host, "facts", lambda: self.server.facts(host, said))

    def _call(self, host: str, name: str, handle: Callable[[], Any]) -> Any:
        if self.away:
            raise ServerUnreachable("connection refused")
        held_s, calls = self.held_calls.get(host, (0.0, set()))
        if name in calls:  # by one of several servers; the agent tries another
            calls.discard(name)
            self.at(held_s, lambda: self._handle_late(handle))
            raise ServerUnreachable("no answer in time")
        fault = self.faults.arrive(host, name, message=True)
        if fault is Fault.KILL_BEFORE:
            raise Killed(host)
        if fault is Fault.DROP:
            raise ServerUnreachable("the request was lost")
        if fault is Fault.DELAY:
            self.at(DELAY_S, lambda: self.guarded(handle))
            raise ServerUnreachable("the request is late")
        if fault is Fault.DUPLICATE:
            self._handle(handle)
        answer = self._handle(handle)
        if fault is Fault.KILL_AFTER:
            raise Killed(host)
        return answer

    def _handle_late(self, handle: Callable[[], Any]) -> None:
        with suppress(MigratorError):
            self.guarded(handle)

    def _handle(self, handle: Callable[[], Any]) -> Any:
        try:
            return handle()
        except Killed as killed:
            if killed.component != "server":
                raise
            self.killed("server")
            raise ServerUnreachable("the server died") from None
