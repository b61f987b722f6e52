"""Agents on simulated hosts, over real HTTP and with the real clock: all hosts share one cluster in one process.

For the demo where there is no libvirt, and for clusters of thousands. The agents are the real ones; only the
hypervisor behind them is simulated, and what would lie on a disk lies in memory.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from migrator import logs, service_manager
from migrator.compute.agent import server_trust
from migrator.compute.agent.agent import Agent
from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.signals import on_signal
from migrator.compute.agent.survey import Surveyor
from migrator.compute.agent.worker import Worker
from migrator.compute.fencing.self_fencing import of_host
from migrator.compute.image_cache import Fetch
from migrator.compute.journal import Journal, LineJournal, MemoryMedium, open_journal
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.compute.simulated.state import MIB
from migrator.compute.storage.file_permissions import narrow_state
from migrator.protocol import ImageRef, Uptime
from migrator.service_manager import ServiceManager
from migrator.settings import AgentSettings

_CONSOLES_A_SECOND = 100.0  # hosts of one process whose consoles are looked at
_THREADS = 16  # for all hosts together: a simulated call returns at once


class NamedImages:
    """``ImageStore`` that fetches nothing: simulated disks have no bytes."""

    def ensure(self, images: Sequence[ImageRef], elsewhere: Fetch | None = None) -> dict[str, Path]:  # noqa: ARG002
        return {image.id: Path("/simulated/images") / image.id for image in images}


def make_agent(
    settings: AgentSettings,
    simulation: SimulatedCluster,
    server: ServerClient,
    journal: Journal | None = None,
    threads: ThreadPoolExecutor | None = None,
    lease: Path | None = None,
    manager: ServiceManager | None = None,
    uptime: Callable[[], Uptime | None] = lambda: None,
) -> Agent:
    """A real agent over the simulated host ``settings.host`` of ``cluster``. ``lease``: its self-fencing lease's file;
    None keeps it in memory."""
    kept = journal if journal is not None else LineJournal(MemoryMedium([]))
    driver, fencing = of_host(settings, SimulatedHypervisor(settings.host, simulation), lease)
    worker = Worker(driver, kept, NamedImages(), time.monotonic)
    surveyor = Surveyor(driver, uptime=uptime)
    return Agent(settings, driver, worker, kept, server, threads, fencing=fencing, surveyor=surveyor, manager=manager)


async def serve_simulated(
    server_url: str,
    tokens: Mapping[str, str],
    hosts: Sequence[str],
    stop: asyncio.Event,
    simulation: SimulatedCluster | None = None,
) -> None:
    """Run an agent for each of ``hosts`` until ``stop``. ``tokens``: host -> its credential."""
    world = simulation if simulation is not None else demo_simulation(hosts)
    clients = {host: ServerClient(server_url, host, tokens[host]) for host in hosts}
    every_s = max(2.0, len(hosts) / _CONSOLES_A_SECOND)
    shared = AgentSettings(server_url=server_url, simulated=True, console_interval=every_s)
    settings = {host: shared.model_copy(update={"host": host}) for host in hosts}
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="simulated")
    agents = [make_agent(settings[host], world, clients[host], threads=threads) for host in hosts]
    try:
        await asyncio.gather(*(agent.run(stop) for agent in agents))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for client in clients.values():
            await client.close()


def demo_simulation(hosts: Sequence[str]) -> SimulatedCluster:
    """Hosts with a local pool each and one shared pool, at a bandwidth that makes a transfer last a moment."""
    simulation = SimulatedCluster(time.monotonic)
    for host in hosts:
        simulation.add_host(host, bandwidth_bytes_per_s=400 * MIB)
    return simulation


def run_simulated_agents(server_url: str, tokens: Mapping[str, str], hosts: Sequence[str]) -> int:
    """All simulated hosts in this process until SIGTERM or SIGINT; the process's exit code."""

    async def main() -> None:
        stop = asyncio.Event()
        on_signal(stop.set)
        await serve_simulated(server_url, tokens, hosts, stop)

    logs.configure()
    asyncio.run(main())
    return 0


def run_one(settings: AgentSettings) -> int:
    """One simulated host, alone in its cluster; its journal lies where a real one's does."""

    async def main() -> None:
        stop = asyncio.Event()
        on_signal(stop.set)
        server = ServerClient(settings.server_url, settings.host, settings.token, server_ca=settings.server_ca)
        try:
            lease = settings.state_path / "lease"
            host = make_agent(settings, demo_simulation([settings.host]), server, journal, lease=lease, manager=manager)
            await host.run(stop)
        finally:
            await server.close()

    manager = service_manager.of_process()
    server_trust.check(settings)
    narrow_state(settings.state_path)
    journal = open_journal(settings.state_path / "journal")
    try:
        asyncio.run(main())
    finally:
        journal.close()
    return 0
