"""The demo's simulated hosts: one child process for all of them, told on its standard input whose power to cut and
what a guest writes.

Run as a module it is that child; ``SimulatedHosts`` is its other end. The agents in it are the real ones.
"""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from typing import IO

from migrator import logs
from migrator.compute import uptime
from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.signals import on_signal
from migrator.compute.agent.simulated_main import demo_simulation, make_agent
from migrator.compute.journal import LineJournal, MemoryMedium
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.settings import AgentSettings

TOKENS = "MIGRATOR_DEMO_TOKENS"  # JSON, host -> credential
URL = "MIGRATOR_DEMO_URL"


class SimulatedHosts:
    """``lines``: the child's standard input."""

    def __init__(self, lines: IO[bytes]) -> None:
        self._lines = lines

    def power_off(self, host: str) -> None:
        self._tell("off", host)

    def power_on(self, host: str) -> None:
        self._tell("on", host)

    def write_console(self, uuid: str, line: str) -> None:
        """The guest writes it, wherever it runs."""
        self._tell("write", f"{uuid} {line}")

    def _tell(self, verb: str, rest: str) -> None:
        self._lines.write(f"{verb} {rest}\n".encode())
        self._lines.flush()


@dataclass
class _Host:
    name: str
    simulation: SimulatedCluster
    url: str
    token: str
    journal: list[bytes] = field(default_factory=list)  # what its agent remembers without power
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    def start_agent(self) -> None:
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self._run_agent(self.stop))

    async def _run_agent(self, stop: asyncio.Event) -> None:
        settings = AgentSettings(server_url=self.url, host=self.name, simulated=True)
        server = ServerClient(self.url, self.name, self.token)
        try:
            journal = LineJournal(MemoryMedium(self.journal))
            await make_agent(settings, self.simulation, server, journal, uptime=uptime.read).run(stop)
        finally:
            await server.close()

    async def end_agent(self) -> None:
        self.stop.set()
        if self.task is not None:
            await self.task

    async def power_off(self) -> None:
        self.simulation.power_off(self.name)
        await self.end_agent()

    async def power_on(self) -> None:
        """A host that has power goes on with the agent that it has: a second one would do everything twice."""
        if self.task is None or self.task.done():
            self.simulation.power_on(self.name)
            self.start_agent()


async def _serve(url: str, tokens: dict[str, str]) -> None:
    ended = asyncio.Event()
    on_signal(ended.set)
    simulation = demo_simulation(list(tokens))
    hosts = {name: _Host(name, simulation, url, token) for name, token in tokens.items()}
    for host in hosts.values():
        host.start_agent()
    listening = asyncio.create_task(_listen(simulation, hosts))
    await ended.wait()
    listening.cancel()
    for host in hosts.values():
        await host.end_agent()


async def _listen(simulation: SimulatedCluster, hosts: dict[str, _Host]) -> None:
    """Obey each line, until there are no more: the story may end while the hosts run on."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        verb, _, name = line.decode().strip().partition(" ")
        if verb == "off":
            await hosts[name].power_off()
        elif verb == "write":
            simulation.write_console(*name.split(" ", 1))
        else:
            await hosts[name].power_on()


if __name__ == "__main__":
    logs.configure()
    asyncio.run(_serve(os.environ[URL], json.loads(os.environ[TOKENS])))
