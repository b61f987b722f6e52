"""What the service manager is told: a start, turns, an end; nothing where none asked, and nothing in another's name."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.simulated_main import make_agent
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.errors import ServerUnreachable
from migrator.protocol import Assignments, Poll
from migrator.server import main
from migrator.service_manager import ServiceManager, of_process
from migrator.settings import AgentSettings
from tests.unit.compute.agent.test_agent import Server


class Heard:
    """The manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def take(self) -> list[str]:
        found = []
        try:
            while True:
                found.append(self.socket.recv(200).decode())
        except BlockingIOError:
            return found


@pytest.fixture(params=["path", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Heard]]:
    path = str(tmp_path / "notify")
    listener = Heard(path if request.param == "path" else "\0" + path)
    yield path if request.param == "path" else "@" + path, listener
    listener.socket.close()


def test_the_first_turn_says_that_it_has_started_and_each_one_feeds_the_watchdog(heard: tuple[str, Heard]) -> None:
    address, listener = heard
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid()), "X": "1"}
    manager = of_process(environment)
    assert environment == {"X": "1"}  # no child speaks in this process's name
    assert manager.turn_s == 1.0
    manager.turn()
    manager.turn()
    manager.stopping()
    assert listener.take() == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize("watched", [{}, {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"}])
def test_a_watchdog_that_is_another_process_s_is_not_fed(heard: tuple[str, Heard], watched: dict[str, str]) -> None:
    manager = of_process({"NOTIFY_SOCKET": heard[0]} | watched)
    manager.turn()
    manager.turn()
    assert heard[1].take() == ["READY=1"]


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    of_process({"NOTIFY_SOCKET": "vsock:2:1"}).turn()
    ServiceManager().turn()
    assert caplog.text == ""
    ServiceManager(str(tmp_path / "gone")).turn()
    assert "does not hear READY=1" in caplog.text


def test_the_server_turns_only_while_it_listens_and_every_part_of_it_lives() -> None:
    turns: list[str] = []
    end = threading.Event()
    part = threading.Thread(target=end.wait)
    part.start()

    async def run() -> list[int]:
        manager = SimpleNamespace(turn=lambda: turns.append("turn"), turn_s=0.001)
        server = SimpleNamespace(listening=asyncio.Event())
        telling = asyncio.create_task(main._tell(cast(Any, manager), [part], cast(Any, server)))
        await asyncio.sleep(0)
        seen = [len(turns)]
        server.listening.set()
        while len(turns) < 3:
            await asyncio.sleep(0.001)
        end.set()
        part.join()
        await telling
        return seen

    assert asyncio.run(asyncio.wait_for(run(), 20)) == [0]


class Turns(ServiceManager):
    def __init__(self) -> None:
        super().__init__()
        self.count, self.ended = 0, False

    def turn(self) -> None:
        self.count += 1

    def stopping(self) -> None:
        self.ended = True


class HangingServer(ServerClient):
    """No poll returns before ``answers`` is set."""

    def __init__(self) -> None:
        super().__init__("http://server", "a", "secret", httpx.MockTransport(Server().answer))
        self.asked, self.answers = asyncio.Event(), asyncio.Event()

    async def poll(self, poll: Poll) -> Assignments:  # noqa: ARG002
        self.asked.set()
        await self.answers.wait()
        raise ServerUnreachable("it is away")


def test_an_agent_turns_only_while_its_polls_come_back_and_needs_no_server_for_that() -> None:
    async def run() -> None:
        simulation, manager, server, stop = SimulatedCluster(time.monotonic), Turns(), HangingServer(), asyncio.Event()
        simulation.add_host("a")
        settings = AgentSettings(server_url="http://server", host="a", simulated=True, token="secret")
        agent = make_agent(settings, simulation, server, manager=manager)
        running = asyncio.create_task(agent.run(stop))
        await server.asked.wait()
        await asyncio.sleep(0.05)
        assert manager.count == 1
        server.answers.set()
        while manager.count < 3:
            await asyncio.sleep(0.01)
        assert not manager.ended
        stop.set()
        await running
        assert manager.ended

    asyncio.run(asyncio.wait_for(run(), 30))
