"""What an agent looks at when nothing is moved: what is asked again and when, and how old it says that it is."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, cast

import pytest

from migrator.compute.agent import survey as surveying
from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.survey import Surveyor, pause_s
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.errors import DriverError, ServerUnreachable
from migrator.protocol import CheckResult, DiskSpec, GuestCpu, HostCpu, InstanceSpec, Peer, Questions, Survey, guest_cpu

SPEC = InstanceSpec(uuid="i", name="i", vcpus=1, memory_mb=64, disks=(DiskSpec(target="vda", pool="local", size_gb=1),))
WESTMERE = GuestCpu(xml="<cpu><model>Westmere</model></cpu>", machine="pc-i440fx-7.2")
EPYC = GuestCpu(xml="<cpu><model>EPYC</model></cpu>", machine="pc-i440fx-7.2")


def key(cpu: GuestCpu) -> str:
    return guest_cpu.key(cpu.arch, cpu.machine, cpu.xml)


class Counting(SimulatedHypervisor):
    """Counts what it is asked."""

    def __init__(self, name: str, simulation: SimulatedCluster) -> None:
        super().__init__(name, simulation)
        self.asked: list[str] = []

    def live_guests(self) -> Any:
        self.asked.append("guests")
        return super().live_guests()

    def check_cpu(self, cpu: GuestCpu) -> CheckResult:
        self.asked.append(f"cpu {key(cpu)}")
        if cpu.arch != "x86_64":
            raise DriverError("this architecture is not ours")
        return super().check_cpu(cpu)

    def host_cpu(self) -> HostCpu:
        self.asked.append("host")
        return super().host_cpu()

    def reach(self, uri: str) -> str | None:
        self.asked.append(uri)
        return super().reach(uri)

    def taken(self) -> list[str]:
        asked, self.asked = self.asked, []
        return asked


class World:
    def __init__(self, *names: str) -> None:
        self.now = 1000.0
        self.simulation = SimulatedCluster(lambda: self.now)
        for name in names:
            self.simulation.add_host(name)
        self.driver = Counting("n0", self.simulation)
        self.surveyor = Surveyor(self.driver, clock=lambda: self.now)
        self.peers = tuple(Peer(name=name, uri=f"simulated://{name}") for name in names if name != "n0")

    def look(self, *cpus: GuestCpu, peers: tuple[Peer, ...] | None = None) -> Survey:
        peers = self.peers if peers is None else peers
        questions = Questions(now=5, next_survey_s=5, peers=peers, cpus={key(cpu): cpu for cpu in cpus})
        return self.surveyor.survey(questions, 0.25, 0.01)

    def boot(self) -> None:
        self.driver.make_disks(SPEC, {})
        self.driver.define_and_start(SPEC, "o", 1)


@pytest.fixture
def world() -> World:
    return World("n0", "n1", "n2")


def test_a_survey_tells_of_guests_and_their_cpus(world: World) -> None:
    assert world.look().guests == {}
    world.boot()
    domain = world.simulation.hosts["n0"].domains["i"]
    domain.devices, domain.listens = ("hostdev (pci)",), ("10.0.0.1",)
    found = world.look()
    sight = found.guests["i"]
    assert (sight.cpu, sight.machine, sight.devices, sight.listens) == (
        key(WESTMERE),
        "pc-i440fx-7.2",
        ("hostdev (pci)",),
        ("10.0.0.1",),
    )
    assert found.cpus == {key(WESTMERE): WESTMERE}
    assert (found.memory_allocated_mb, found.clock_offset_s, found.clock_error_s) == (64, 0.25, 0.01)
    assert (found.cpu.models, found.cpu.virt_type) == (("Westmere",), "simulated")


def test_guests_are_looked_at_again_when_they_change_or_after_a_while(world: World) -> None:
    world.look()
    world.boot()
    assert "guests" in (world.look() and world.driver.taken())
    world.now += 14
    assert world.look().guests["i"].age_s == 14
    assert "guests" not in world.driver.taken()
    world.now += 1
    assert world.look().guests["i"].age_s == 0
    world.driver.destroy("i")
    assert world.look().guests == {}


def test_cpus_are_compared_once_a_minute_and_forgotten_with_the_question(world: World) -> None:
    found = world.look(WESTMERE, EPYC)
    assert {name: run.ok for name, run in found.runs.items()} == {key(WESTMERE): True, key(EPYC): False}
    assert found.runs[key(EPYC)].message == "this host's CPU is Westmere"
    world.driver.taken()
    world.now += 59
    assert world.look(WESTMERE, EPYC).runs[key(WESTMERE)].age_s == 59
    assert not [asked for asked in world.driver.taken() if asked.startswith(("cpu", "host"))]
    world.now += 1
    assert world.look(WESTMERE).runs.keys() == {key(WESTMERE)}
    assert [asked for asked in world.driver.taken() if asked.startswith(("cpu", "host"))] == [
        "host",
        f"cpu {key(WESTMERE)}",
    ]


def test_a_cpu_that_cannot_be_compared_has_no_answer(world: World) -> None:
    foreign = EPYC.model_copy(update={"arch": "aarch64"})
    assert world.look(foreign, WESTMERE).runs.keys() == {key(WESTMERE)}


def test_a_peer_that_failed_is_tried_at_once_the_others_after_a_while(world: World) -> None:
    world.simulation.cut("n0", "n2")
    found = world.look().peers
    assert found["n1"].ok
    assert (found["n2"].ok, found["n2"].message, found["n2"].uri) == (False, "No route to host", "simulated://n2")
    world.driver.taken()
    world.simulation.heal("n0", "n2")
    world.now += 5
    found = world.look().peers
    assert world.driver.taken() == ["simulated://n2"]
    assert (found["n1"].age_s, found["n2"].age_s, found["n2"].ok) == (5, 0, True)
    world.simulation.kill_daemon("n1")
    world.now += 25
    assert world.look().peers["n1"].message == "Connection refused"


def test_the_next_look_is_sooner_while_a_peer_cannot_be_reached(world: World) -> None:
    assert pause_s(world.look(), 5) == 5
    world.simulation.kill_daemon("n2")
    world.now += 30
    assert pause_s(world.look(), 5) == 2


def test_what_is_not_asked_for_any_more_is_forgotten(world: World) -> None:
    world.look()
    elsewhere = Peer(name="n1", uri="simulated://other")
    assert world.look(peers=(elsewhere,)).peers["n1"].message == "unable to connect to server at 'simulated://other'"
    assert world.look(peers=()).peers == {}


def test_in_a_large_cluster_peers_take_turns() -> None:
    world = World(*(f"n{number}" for number in range(51)))
    tried = [len(world.look().peers)]
    for _ in range(4):
        world.now += 5
        tried.append(len(world.look().peers))
    assert tried == [20, 40, 50, 50, 50]
    world.driver.taken()
    world.now += 20  # the first twenty are due, and ten of the next: no more than two a second
    world.look()
    assert [uri for uri in world.driver.taken() if uri.startswith("simulated")][:20] == [
        f"simulated://n{number}" for number in range(1, 21)
    ]


def test_a_round_ends_in_time_although_every_peer_is_slow(world: World) -> None:
    def slow(uri: str) -> str | None:
        del uri
        world.now += 3
        return "no answer"

    world.driver.reach = slow  # type: ignore[method-assign]
    assert world.look().peers.keys() == {"n1"}
    assert world.look().peers.keys() == {"n1", "n2"}


def test_a_hypervisor_that_is_down_leaves_the_last_survey_to_age(world: World) -> None:
    world.simulation.kill_daemon("n0")
    with pytest.raises(DriverError):
        world.look()


class Server:
    """Down at first; then it asks, and keeps what it is told. Its clock is 100 s before the agent's."""

    def __init__(self, world: World, told: asyncio.Event) -> None:
        self._world, self._sent = world, told
        self.machine = "a-machine"
        self.answered = asyncio.Event()
        self.answered.set()
        self.survey_within_s = 0.0
        self.asked = 0
        self.surveys: list[Survey] = []

    async def questions(self) -> Questions:
        self.asked += 1
        if self.asked == 1:
            raise ServerUnreachable("not yet")
        self._world.now += 0.4  # on the way there and back
        return Questions(now=900.2, next_survey_s=60, peers=self._world.peers)

    async def put_survey(self, survey: Survey) -> None:
        self.surveys.append(survey)
        self._sent.set()


def test_an_agent_asks_until_the_server_answers_and_tells_how_far_its_clock_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "_AGAIN_S", (0.0, 0.0))
    world.surveyor.wall = lambda: world.now

    async def in_thread(act: Callable[[], Survey]) -> Survey:
        return act()

    async def until_told() -> Server:
        told = asyncio.Event()
        server = Server(world, told)
        task = asyncio.create_task(surveying.run(world.surveyor, cast(ServerClient, server), in_thread, {}))
        await asyncio.wait_for(told.wait(), 5)
        task.cancel()
        return server

    server = asyncio.run(until_told())
    (survey,) = server.surveys
    assert server.asked == 2
    assert survey.clock_offset_s == pytest.approx(100.0)
    assert survey.clock_error_s == pytest.approx(0.202)
    assert survey.peers.keys() == {"n1", "n2"}


def test_nothing_is_asked_or_told_before_the_server_has_heard_the_agent(world: World) -> None:
    """A survey of before was refused, or was the alarm that another machine wants this host's name; and of thousands of
    agents that start together, each kept the server from registering the others with a question that led to nothing."""

    async def in_thread(act: Callable[[], Survey]) -> Survey:
        return act()

    async def until_told() -> Server:
        told = asyncio.Event()
        server = Server(world, told)
        server.asked = 1  # it answers at once
        server.answered.clear()
        task = asyncio.create_task(surveying.run(world.surveyor, cast(ServerClient, server), in_thread, {}))
        for _ in range(10):
            await asyncio.sleep(0)  # it goes as far as it can
        assert server.asked == 1
        server.answered.set()
        await asyncio.wait_for(told.wait(), 5)
        task.cancel()
        return server

    assert len(asyncio.run(until_told()).surveys) == 1


def test_the_first_survey_waits_for_a_moment_of_its_own_as_long_as_the_server_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 2,000 agents that started together, each asked its first questions while others were not heard yet."""
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    async def in_thread(act: Callable[[], Survey]) -> Survey:
        return act()

    async def not_yet() -> int:
        server = Server(world, asyncio.Event())
        server.survey_within_s = 3600.0
        task = asyncio.create_task(surveying.run(world.surveyor, cast(ServerClient, server), in_thread, {}))
        for _ in range(20):
            await asyncio.sleep(0)  # it goes as far as it can
        task.cancel()
        return server.asked

    monkeypatch.setattr(random, "uniform", uniform)
    assert asyncio.run(not_yet()) == 0
    assert drawn == [(0.0, 3600.0)]
