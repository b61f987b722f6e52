"""The agent of a real host: puts journal, libvirt driver, image cache and server together, and runs until a signal."""

import asyncio
import logging
import os
import time

from migrator import logs, service_manager
from migrator.compute import uptime
from migrator.compute.agent import server_trust
from migrator.compute.agent.agent import Agent
from migrator.compute.agent.client import ImageClient, ServerClient
from migrator.compute.agent.signals import until_signalled
from migrator.compute.agent.survey import Surveyor
from migrator.compute.agent.worker import Worker
from migrator.compute.boot import boot_id
from migrator.compute.fencing.self_fencing import of_host
from migrator.compute.image_cache import ImageCache
from migrator.compute.journal import open_journal
from migrator.compute.libvirt.driver import LibvirtDriver
from migrator.compute.storage.file_permissions import narrow_state
from migrator.settings import AgentSettings

log = logging.getLogger("migrator.agent")


def run_real_agent(settings: AgentSettings) -> int:
    """Run the agent of this host until SIGTERM or SIGINT; the process's exit code. Raises Conflict if one runs."""
    logs.configure()
    manager = service_manager.of_process()
    server_trust.check(settings)
    narrow_state(settings.state_path)
    journal = open_journal(settings.state_path / "journal")
    driver = LibvirtDriver(settings)
    guarded, fencing = of_host(settings, driver, settings.state_path / "lease")
    images = ImageClient(settings.server_url, settings.token, settings.server_ca)
    cache = ImageCache(settings.state_path / "images", images.fetch)
    worker = Worker(guarded, journal, cache, time.monotonic)
    server = ServerClient(settings.server_url, settings.host, settings.token, server_ca=settings.server_ca)
    agent = Agent(
        settings,
        guarded,
        worker,
        journal,
        server,
        fencing=fencing,
        surveyor=Surveyor(guarded, uptime=uptime.read),
        machine_file=settings.state_path / "machine",
        boot=boot_id(),
        manager=manager,
    )
    try:
        asyncio.run(until_signalled(agent, server))
    finally:
        if agent.busy:
            _end_at_once()
        images.close()
        driver.close()
        journal.close()
    return 0


def _end_at_once() -> None:
    """A step that outlasts the agent must not act beside the next one, which may come as soon as the journal is given
    up: a guest that it starts late would be one that the server knows nothing of. Killed, it has only stopped halfway,
    as every step may."""
    log.warning("a step does not end: the agent ends without it")
    logging.shutdown()
    os._exit(1)
