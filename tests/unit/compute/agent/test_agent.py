"""The agent's loops against a server that is scripted, slow, down or forgetful."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from migrator.compute.agent import pauses
from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.simulated_main import make_agent
from migrator.compute.journal import LineJournal, MemoryMedium
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.state import MIB
from migrator.protocol import (
    Assignment,
    Assignments,
    AttemptState,
    DomainState,
    Ensure,
    Fact,
    Facts,
    MigratingInputs,
    Poll,
    Role,
)
from migrator.settings import AgentSettings
from tests.unit.compute.agent.two_hosts import SPEC, assignment


class Server:
    """What the agents' transports talk to: full sets of assignments per host, and whatever is put back."""

    def __init__(self) -> None:
        self.wanted: dict[str, list[Assignment]] = {}
        self.facts: list[tuple[str, Fact, float]] = []
        self.polls: list[tuple[str, Poll]] = []
        self.registered: list[str] = []
        self.forgotten = False
        self.down = False
        self.refuse_facts = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("connection refused")
        assert request.headers["Authorization"] == "Bearer secret"
        host = request.url.path.split("/")[4]
        if request.method == "PUT":
            self.registered.append(host)
            self.forgotten = False
            return httpx.Response(204)
        if request.url.path.endswith("/facts"):
            if self.refuse_facts:
                self.refuse_facts -= 1
                return httpx.Response(503)
            facts = Facts.model_validate_json(request.content).facts
            self.facts += [(host, fact, time.monotonic()) for fact in facts]
            return httpx.Response(204)
        return await self._poll(host, Poll.model_validate_json(request.content))

    async def _poll(self, host: str, poll: Poll) -> httpx.Response:
        if self.forgotten:
            return httpx.Response(404, json={"code": "host_not_found"})
        self.polls.append((host, poll))
        deadline = time.monotonic() + min(poll.wait_s, 0.3)
        while True:
            wanted = self.wanted.get(host, [])
            body = json.dumps([w.model_dump(mode="json") for w in wanted])
            digest = hashlib.sha256(body.encode()).hexdigest()
            if digest != poll.seen or time.monotonic() >= deadline or self.down:
                answer = Assignments(digest=digest, assignments=tuple(wanted), answers=poll.number)
                return httpx.Response(200, content=answer.model_dump_json())
            await asyncio.sleep(0.005)

    def newest(self, host: str) -> Fact | None:
        return next((fact for name, fact, _ in reversed(self.facts) if name == host), None)


class Cluster:
    def __init__(self) -> None:
        self.server = Server()
        self.simulation = SimulatedCluster(time.monotonic)
        self.journals: dict[str, list[bytes]] = {}
        self.stops: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        for host in ("a", "b"):
            self.simulation.add_host(host, bandwidth_bytes_per_s=400 * MIB)

    def start(self, host: str) -> None:
        settings = AgentSettings(server_url="http://server", host=host, simulated=True, token="secret")
        client = ServerClient(settings.server_url, host, "secret", httpx.MockTransport(self.server.answer))
        journal = LineJournal(MemoryMedium(self.journals.setdefault(host, [])))
        self.stops[host] = asyncio.Event()
        self.tasks[host] = asyncio.create_task(
            make_agent(settings, self.simulation, client, journal).run(self.stops[host])
        )

    async def stop(self, host: str) -> None:
        self.stops[host].set()
        await asyncio.wait_for(self.tasks.pop(host), 5)

    async def until(self, locks_instance: Callable[[], bool], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not locks_instance():
            for task in self.tasks.values():
                assert not task.done(), task
            assert time.monotonic() < deadline, self.server.facts[-3:]
            await asyncio.sleep(0.005)

    async def boot(self) -> None:
        self.server.wanted["a"] = [
            assignment(Ensure.RUNNING, kind="build", operation_id="op-build", role=Role.DESTINATION)
        ]
        self.start("a")
        await self.until(lambda: state(self.server.newest("a")) is DomainState.RUNNING)
        self.server.wanted["a"] = []


def state(fact: Fact | None) -> DomainState | None:
    return fact.domain.state if fact is not None and fact.domain is not None else None


def transfer() -> Assignment:
    inputs = MigratingInputs(destination_host="b", destination_address="b", uri="simulated://b", copy_disks=("vda",))
    return assignment(Ensure.MIGRATING, inputs).model_copy(update={"phase": "transfer"})


def run(scenario: Callable[[Cluster], Any]) -> None:
    async def whole() -> None:
        cluster = Cluster()
        await scenario(cluster)
        for host in list(cluster.tasks):
            await cluster.stop(host)

    asyncio.run(whole())


def test_a_guest_is_booted_and_moved_and_its_arrival_is_seen_at_once() -> None:
    async def scenario(cluster: Cluster) -> None:
        server, simulation = cluster.server, cluster.simulation
        await cluster.boot()
        simulation.storages["local-b"].disks[SPEC.uuid, "vda"] = simulation.storages["local-a"].disks[SPEC.uuid, "vda"]
        cluster.start("b")
        watch = assignment(Ensure.OBSERVED, role=Role.DESTINATION).model_copy(update={"phase": "transfer"})
        server.wanted |= {"a": [transfer()], "b": [watch]}
        await cluster.until(lambda: state(server.newest("b")) is DomainState.RUNNING)
        await cluster.until(lambda: state(server.newest("a")) is DomainState.ABSENT)
        arrived = next(e.since for e in simulation.executions if e.host == "b")
        told = next(at for host, fact, at in server.facts if host == "b" and state(fact) is DomainState.RUNNING)
        assert told - arrived < 0.3
        fact = server.newest("b")
        assert fact is not None
        assert fact.job is not None
        assert fact.job.downtime_ms
        assert any(fact.attempt and fact.attempt.state is AttemptState.RUNNING for _, fact, _ in server.facts)

    run(scenario)


def test_a_server_that_comes_late_goes_away_and_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "_BACKOFF_S", (0.01, 0.05))

    async def scenario(cluster: Cluster) -> None:
        server = cluster.server
        server.down = True
        cluster.start("a")
        await asyncio.sleep(0.1)
        server.down = False
        await cluster.until(lambda: server.registered == ["a"])
        server.forgotten = True
        await cluster.until(lambda: server.registered == ["a", "a"])
        server.refuse_facts = 3
        server.wanted["a"] = [assignment(Ensure.OBSERVED)]
        await cluster.until(lambda: state(server.newest("a")) is DomainState.ABSENT)
        server.down = True
        await asyncio.sleep(0.1)
        server.wanted["a"] = [assignment(Ensure.OBSERVED, generation=2, epoch=2)]
        server.down = False
        await cluster.until(lambda: (fact := server.newest("a")) is not None and fact.epoch == 2)

    run(scenario)


def test_a_dead_hypervisor_does_not_silence_the_agent() -> None:
    async def scenario(cluster: Cluster) -> None:
        server = cluster.server
        cluster.simulation.kill_daemon("a")
        server.wanted["a"] = [assignment(Ensure.OBSERVED)]
        cluster.start("a")
        await cluster.until(lambda: server.newest("a") is not None)
        fact = server.newest("a")
        assert fact is not None
        assert fact.domain is None
        assert fact.problem is not None
        assert fact.problem.code == "hypervisor_unavailable"

    run(scenario)


def test_a_stopped_agent_leaves_its_transfer_alone_and_the_next_one_attaches() -> None:
    async def scenario(cluster: Cluster) -> None:
        server, simulation = cluster.server, cluster.simulation
        await cluster.boot()
        simulation.storages["local-b"].disks[SPEC.uuid, "vda"] = simulation.storages["local-a"].disks[SPEC.uuid, "vda"]
        server.wanted["a"] = [transfer()]
        await cluster.until(lambda: SPEC.uuid in simulation.transfers)
        await cluster.stop("a")
        assert SPEC.uuid in simulation.transfers
        cluster.start("a")
        await cluster.until(lambda: state(server.newest("a")) is DomainState.ABSENT)
        assert simulation.running_on(SPEC.uuid) == ["b"]
        assert simulation.overlaps() == []

    run(scenario)


def test_copies_are_reported_with_a_poll() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.start("a")
        await cluster.until(lambda: any(poll.copies == () for _, poll in cluster.server.polls))

    run(scenario)


def test_an_unchanged_fact_is_not_sent_again() -> None:
    async def scenario(cluster: Cluster) -> None:
        server = cluster.server
        server.wanted["a"] = [assignment(Ensure.OBSERVED)]
        cluster.start("a")
        await cluster.until(lambda: len(server.facts) == 1)
        await asyncio.sleep(1.0)
        assert len(server.facts) == 1

    run(scenario)
