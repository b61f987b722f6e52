"""A second machine with a host's name, and a second poll of one host, told apart over HTTP by a real server."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from migrator.compute.agent.agent import Agent
from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.simulated_main import NamedImages, demo_simulation
from migrator.compute.agent.worker import Worker
from migrator.compute.journal import LineJournal, MemoryMedium
from migrator.compute.machine import machine_of
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.db import credentials
from migrator.db.engine import Database
from migrator.db.tables import alarms, hosts
from migrator.protocol import PROTOCOL, DiskSpec, Poll
from migrator.settings import AgentSettings
from tests.api.harness import Web
from tests.unit.compute.storage.disk_specs import IMAGE, INSTANCE, spec
from tests.waiting import PATIENCE

URL = "http://testserver"
HOST = "host1"
HELD_S = 55.0  # the longest that a poll may be held
SPEC = spec(DiskSpec(target="vda", pool="local", size_gb=1, image_id=IMAGE))


class Machine(SimulatedHypervisor):
    """One of several that bear a host's name."""

    def __init__(self, simulation: SimulatedCluster, serial: str) -> None:
        super().__init__(HOST, simulation)
        self.serial = serial

    def machine(self) -> str:
        return machine_of(self.serial)


def agent_of(machine: Machine, client: ServerClient) -> Agent:
    settings = AgentSettings(server_url=URL, host=HOST, simulated=True, poll_wait=1.0)
    journal = LineJournal(MemoryMedium([]))
    return Agent(settings, machine, Worker(machine, journal, NamedImages(), time.monotonic), journal, client)


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE * 30
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.01)


def client(web: Web, token: str) -> ServerClient:
    app: Any = web.client.app
    return ServerClient(URL, HOST, token, transport=httpx.ASGITransport(app=app))


def known(db: Database) -> list[str]:
    with db.read() as connection:
        return list(connection.execute(select(hosts.c.name)).scalars())


def raised(db: Database) -> list[str]:
    with db.read() as connection:
        return list(connection.execute(select(alarms.c.kind).where(alarms.c.cleared_at.is_(None))).scalars())


async def _both(web: Web, token: str, own: SimulatedCluster, other: SimulatedCluster) -> None:
    first, second = Machine(own, "one"), Machine(other, "two")
    for machine in (first, second):
        machine.make_disks(SPEC, {image.id: Path(image.id) for image in SPEC.images})
        machine.define_and_start(SPEC, "an operation", 1)
    router: Any = web.client.app
    async with router.lifespan_context(router):
        running = [asyncio.create_task(agent_of(first, client(web, token)).run(asyncio.Event()))]
        await until(lambda: known(web.db) == [HOST])
        running.append(asyncio.create_task(agent_of(second, client(web, token)).run(asyncio.Event())))
        await until(lambda: other.running_on(INSTANCE) == [] and "second-machine" in raised(web.db))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def test_an_agent_whose_name_another_machine_has_stops_its_guests_and_the_other_goes_on(
    db: Database, tmp_path: Path
) -> None:
    web, token = Web(db, tmp_path), credentials.issue(db, HOST)
    own, other = demo_simulation([HOST]), demo_simulation([HOST])
    asyncio.run(_both(web, token, own, other))
    assert own.running_on(INSTANCE) == [HOST]
    assert other.hosts[HOST].domains.keys() == {INSTANCE}  # stopped, and left as it is


async def _polled_twice(web: Web, token: str) -> list[int]:
    machine = Machine(demo_simulation([HOST]), "one")
    one, two = client(web, token), client(web, token)
    one.machine = two.machine = machine.machine()
    router: Any = web.client.app
    ended: list[int] = []

    async def poll(caller: ServerClient, number: int, seen: str) -> str:
        told = {"incarnation": 1, "protocol": PROTOCOL, "copies": ()}
        answer = await caller.poll(Poll(number=number, seen=seen, wait_s=HELD_S, **told))
        ended.append(number)
        return answer.digest

    async with router.lifespan_context(router):
        await one.register(1, machine.host_report())
        seen = await poll(one, 1, "")
        first = asyncio.create_task(poll(one, 2, seen))
        await until(lambda: web.services.notifier.held == 1)
        second = asyncio.create_task(poll(two, 3, seen))
        await first
        before = list(ended)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
    return before


def test_a_hosts_second_poll_ends_its_first(db: Database, tmp_path: Path) -> None:
    web = Web(db, tmp_path, service_down_time=1e6)
    assert asyncio.run(_polled_twice(web, credentials.issue(db, HOST))) == [1, 2]
