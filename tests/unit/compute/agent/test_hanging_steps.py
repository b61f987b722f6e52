"""Steps that do not return, as on a storage whose server is gone: the agent goes on, and names what hangs."""

import asyncio
import threading
import time
from typing import Any

import httpx
import pytest

from migrator.compute.agent import assignment_tasks, host_threads, inventory
from migrator.compute.agent.agent import Agent
from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.host_threads import AT_ONCE, HostThreads
from migrator.compute.agent.worker import Worker
from migrator.compute.fencing.lease import Lease
from migrator.compute.fencing.self_fencing import SelfFencing
from migrator.compute.journal import LineJournal, MemoryMedium
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.protocol import Assignment, DomainFact, DomainState, Ensure, Fact, HostReport
from migrator.settings import AgentSettings
from tests.unit.compute.agent.test_agent import Server
from tests.unit.compute.agent.two_hosts import SPEC, NoImages, assignment

HANGS_S = 0.3
LEASE_S = 3.0
HUNG = AT_ONCE + 4


class HangingStorage(SimulatedHypervisor):
    """Whatever asks for one of the instances in ``hung``, or for the host's pools, waits until ``mounted``."""

    def __init__(self, host: str, simulation: SimulatedCluster) -> None:
        super().__init__(host, simulation)
        self.hung: set[str] = set()
        self.waiting: set[str] = set()
        self.mounted = threading.Event()

    def domain(self, uuid: str) -> DomainFact:
        if uuid in self.hung:
            self.waiting.add(uuid)
            self.mounted.wait(30)
        return super().domain(uuid)

    def host_report(self) -> HostReport:
        if self.hung:
            self.mounted.wait(30)
        return super().host_report()


class Host:
    """One host with an agent of its own threads, and a lease."""

    def __init__(self) -> None:
        self.server = Server()
        simulation = SimulatedCluster(time.monotonic)
        simulation.add_host("a")
        settings = AgentSettings(server_url="http://server", host="a", simulated=True, token="secret")
        self.driver = HangingStorage("a", simulation)
        self.lease = Lease(None, LEASE_S, host="a")
        journal = LineJournal(MemoryMedium([]))
        worker = Worker(self.driver, journal, NoImages(), time.monotonic)
        client = ServerClient(settings.server_url, "a", "secret", httpx.MockTransport(self.server.answer))
        fencing = SelfFencing(self.lease, self.driver, None)
        self.agent = Agent(settings, self.driver, worker, journal, client, fencing=fencing)

    def want(self, *instances: str) -> None:
        self.server.wanted["a"] = [_observed(name) for name in instances]

    def fact(self, instance: str) -> Fact | None:
        facts = (fact for _, fact, _ in reversed(self.server.facts))
        return next((fact for fact in facts if fact.operation_id == f"op-{instance}"), None)

    def problem(self, instance: str) -> str:
        fact = self.fact(instance)
        return fact.problem.code if fact is not None and fact.problem is not None else ""


def _observed(name: str) -> Assignment:
    wanted = assignment(Ensure.OBSERVED, operation_id=f"op-{name}")
    return wanted.model_copy(update={"instance": SPEC.model_copy(update={"uuid": name})})


async def until(locks_instance: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not locks_instance():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_threads, "HANGS_S", HANGS_S)
    monkeypatch.setattr(assignment_tasks, "HANGS_S", HANGS_S)
    monkeypatch.setattr(inventory, "LOOK_S", 0.1)


def test_more_steps_hang_than_run_at_once_and_the_agent_goes_on() -> None:
    async def scenario() -> None:
        host, stop = Host(), asyncio.Event()
        running = asyncio.create_task(host.agent.run(stop))
        await until(lambda: host.server.registered)
        hung = [f"hung-{number}" for number in range(HUNG)]
        host.driver.hung = set(hung)
        host.want(*hung)
        await until(lambda: host.driver.waiting == set(hung))  # all of them, although so many do not run at once
        host.want(*hung, "well")
        await until(lambda: host.fact("well") is not None, seconds=10 * HANGS_S + 5)
        told = host.fact("well")
        assert told is not None
        assert told.domain is not None
        assert told.domain.state is DomainState.ABSENT
        await until(lambda: all(host.problem(name) == "step_hangs" for name in hung))
        named = host.fact("hung-0")
        assert named is not None
        assert named.problem is not None
        assert "the step observed of this live-migration has not returned for more than 0.3 s" in named.problem.message
        assert not named.problem.final
        assert named.domain is None

        before, moment = len([poll for _, poll in host.server.polls if poll.copies is not None]), time.monotonic()
        await until(lambda: time.monotonic() > moment + LEASE_S)
        assert not host.lease.lapsed()
        assert len([poll for _, poll in host.server.polls if poll.copies is not None]) > before + 1

        host.driver.mounted.set()
        await until(lambda: all(host.problem(name) == "" for name in hung))
        stop.set()
        await running
        assert not host.agent.busy

    asyncio.run(scenario())


def test_another_operation_of_the_instance_waits_for_the_step_and_names_it() -> None:
    async def scenario() -> None:
        host, stop = Host(), asyncio.Event()
        running = asyncio.create_task(host.agent.run(stop))
        await until(lambda: host.server.registered)
        host.driver.hung = {"hung"}
        host.want("hung")
        await until(lambda: host.driver.waiting == {"hung"})
        later = _observed("hung").model_copy(update={"operation_id": "op-later"})
        host.server.wanted["a"] = [later]
        await until(lambda: host.problem("later") == "step_hangs")
        named = host.fact("later")
        assert named is not None
        assert named.problem is not None
        assert "the step observed of operation op-hung has not returned" in named.problem.message
        host.driver.mounted.set()
        await until(lambda: host.problem("later") == "")
        stop.set()
        await running

    asyncio.run(scenario())


def test_a_step_that_hangs_keeps_no_place() -> None:
    async def scenario() -> None:
        threads, returns = HostThreads("test"), threading.Event()
        hung = [asyncio.create_task(threads.step(lambda: returns.wait(20))) for _ in range(AT_ONCE)]
        began = time.monotonic()
        assert await asyncio.wait_for(threads.step(lambda: "done"), 10) == "done"
        assert time.monotonic() - began >= HANGS_S
        assert await threads.read(lambda: "seen") == "seen"
        returns.set()
        assert all(await asyncio.gather(*hung))
        assert await threads.finish(5) is False

    asyncio.run(scenario())


def test_a_poll_tells_of_a_step_that_has_not_returned_although_nothing_is_asked_any_more() -> None:
    async def scenario() -> None:
        host, stop = Host(), asyncio.Event()
        running = asyncio.create_task(host.agent.run(stop))
        await until(lambda: host.server.polls and host.server.polls[-1][1].working == ())
        host.driver.hung = {"hung"}
        host.want("hung", "well")
        await until(lambda: host.server.polls[-1][1].working == ("hung", "well"))
        await until(lambda: host.driver.waiting == {"hung"})
        host.want()
        await until(lambda: host.server.polls[-1][1].working == ("hung",))
        host.driver.mounted.set()
        await until(lambda: host.server.polls[-1][1].working == ())
        stop.set()
        await running

    asyncio.run(scenario())
