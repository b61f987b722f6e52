"""Two server processes share one PostgreSQL; one of them is killed in the middle of several moves, and nothing is lost.

The agents' hosts are simulated, in one process; half of the agents speak to each server.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.simulated_main import make_agent
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.state import MIB
from migrator.db import credentials
from migrator.db.engine import Database
from migrator.db.upgrade import upgrade
from migrator.protocol import DomainState
from migrator.settings import AgentSettings
from tests.ports import free_port
from tests.waiting import PATIENCE, wait_for

HOSTS = ("n1", "n2", "n3", "n4")
INSTANCES = 4
MEMORY_MB = 512
BANDWIDTH = 80 * MIB  # a transfer lasts for some seconds: time to kill a server in its middle


class ServerProcess:
    """One ``migrator server`` on a port of its own, which it keeps when it is started again."""

    def __init__(self, database: str, directory: Path, name: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = directory / f"{name}.log"
        self._environment = os.environ | {
            "MIGRATOR_DATABASE": database,
            "MIGRATOR_LISTEN": f"127.0.0.1:{self.port}",
            "MIGRATOR_IMAGE_DIR": str(directory / "images"),
            "MIGRATOR_SWEEP_INTERVAL": "0.5",
        }
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE * 30, trust_env=False)
        self.http.headers["OpenStack-API-Version"] = "compute 2.96"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = [sys.executable, "-m", "migrator.cli.main", "server"]
        with self._log.open("ab") as sink:
            self._process = subprocess.Popen(argv, env=self._environment, stdout=sink, stderr=sink)
        until("the server to answer", self._answers)

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(15)
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/healthz").status_code == 200
        return False


class Agents(threading.Thread):
    """Every host's agent in one thread's loop, each with the server that is its own."""

    def __init__(self, servers: dict[str, str], tokens: dict[str, str]) -> None:
        super().__init__(name="agents", daemon=True)
        self.simulation = SimulatedCluster(time.monotonic)
        for host in servers:
            self.simulation.add_host(host, bandwidth_bytes_per_s=BANDWIDTH)
        self._servers, self._tokens = servers, tokens
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()

    def run(self) -> None:
        self._loop.run_until_complete(self._run())

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self.join(20)

    async def _run(self) -> None:
        clients = {host: ServerClient(url, host, self._tokens[host]) for host, url in self._servers.items()}
        agents = []
        for host, client in clients.items():
            settings = AgentSettings(server_url=self._servers[host], host=host, simulated=True)
            agents.append(make_agent(settings, self.simulation, client))
        await asyncio.gather(*(agent.run(self._ending) for agent in agents))
        for client in clients.values():
            await client.close()


class Cluster:
    def __init__(self, servers: tuple[ServerProcess, ServerProcess], agents: Agents) -> None:
        self.one, self.other = servers
        self.agents = agents

    def get(self, path: str) -> Any:
        """By the server that lives."""
        answer = self.one.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def boot(self, name: str) -> str:
        image = self.get("/image/v2/images")["images"][0]["id"]
        body = {"name": name, "flavorRef": "1", "imageRef": image, "networks": "none"}
        made = self.one.http.post("/v2.1/servers", json={"server": body})
        assert made.status_code == 202, made.text
        return str(made.json()["server"]["id"])

    def show(self, uuid: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.get(f"/v2.1/servers/{uuid}")["server"]
        return shown

    def active(self, uuid: str) -> bool:
        shown = self.show(uuid)
        assert shown["status"] != "ERROR", shown.get("fault")
        return bool(shown["status"] == "ACTIVE" and shown["OS-EXT-STS:task_state"] is None)

    def migrate(self, server: ServerProcess, uuid: str) -> httpx.Response:
        body = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
        return server.http.post(f"/v2.1/servers/{uuid}/action", json=body)

    def used(self) -> dict[str, int]:
        """MiB that claims hold, and what is reserved, by host."""
        found = self.one.http.get("/v2.1/os-hypervisors/detail", headers={"OpenStack-API-Version": "compute 2.53"})
        return {h["hypervisor_hostname"]: h["memory_mb_used"] for h in found.json()["hypervisors"]}

    def migrations(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.get("/v2.1/os-migrations")["migrations"]
        return listed


@pytest.fixture
def cluster(postgres_server: str, tmp_path: Path) -> Iterator[Cluster]:
    name = f"two_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    database = postgres_server.rsplit("/", 1)[0] + f"/{name}"
    upgrade(database)
    servers = (ServerProcess(database, tmp_path, "one"), ServerProcess(database, tmp_path, "other"))
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.kill, signal.SIGTERM)
            server.start()
        db = Database(database)
        tokens = {host: credentials.issue(db, host) for host in HOSTS}
        db.close()
        agents = Agents({host: servers[number % 2].url for number, host in enumerate(HOSTS)}, tokens)
        agents.start()
        stack.callback(agents.end)
        made = Cluster(servers, agents)
        _fill(made)
        yield made


def _fill(cluster: Cluster) -> None:
    flavor = {"name": "m1.nano", "id": "1", "vcpus": 1, "ram": MEMORY_MB, "disk": 1}
    assert cluster.one.http.post("/v2.1/flavors", json={"flavor": flavor}).status_code == 200
    wanted = {"name": "tiny", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    image = cluster.one.http.post("/image/v2/images", json=wanted).json()["id"]
    kind = {"Content-Type": "application/octet-stream"}
    stored = cluster.one.http.put(f"/image/v2/images/{image}/file", content=b"\0" * 4096, headers=kind)
    assert stored.status_code == 204, stored.text
    until("four hosts up", lambda: _up(cluster) == sorted(HOSTS))


def _up(cluster: Cluster) -> list[str]:
    return sorted(s["host"] for s in cluster.get("/v2.1/os-services")["services"] if s["state"] == "up")


def until(what: str, look: Callable[[], Any], seconds: float = 40) -> Any:
    return wait_for(look, seconds, what)


def test_a_server_killed_in_the_middle_of_moves_loses_nothing(cluster: Cluster) -> None:
    uuids = [cluster.boot(f"vm{number}") for number in range(INSTANCES)]
    until("all active", lambda: all(cluster.active(uuid) for uuid in uuids))
    before = cluster.used()
    sources = {uuid: cluster.show(uuid)["OS-EXT-SRV-ATTR:host"] for uuid in uuids}
    for number, uuid in enumerate(uuids):
        answer = cluster.migrate((cluster.one, cluster.other)[number % 2], uuid)
        assert answer.status_code == 202, answer.text
    until("a transfer by a host of the server to be killed", lambda: _moves_from(cluster, HOSTS[1::2]))
    cluster.other.kill()
    time.sleep(1.0)
    unfinished = [m for m in cluster.migrations() if m["status"] not in ("completed", "error", "failed")]
    assert unfinished, "the kill came after the end; it proves nothing"
    cluster.other.start()
    until("every move over", lambda: all(m["status"] == "completed" for m in cluster.migrations()), 60)
    until("all active", lambda: all(cluster.active(uuid) for uuid in uuids))
    _balances(cluster, uuids, before)
    for uuid in uuids:
        assert cluster.show(uuid)["OS-EXT-SRV-ATTR:host"] != sources[uuid]


def _moves_from(cluster: Cluster, hosts: tuple[str, ...]) -> bool:
    return any(m["status"] == "running" and m["source_compute"] in hosts for m in cluster.migrations())


def _balances(cluster: Cluster, uuids: list[str], before: dict[str, int]) -> None:
    """Record equals reality, each runs once and nowhere twice, and the claims are those of the record."""
    simulation = cluster.agents.simulation
    placed = {uuid: cluster.show(uuid)["OS-EXT-SRV-ATTR:host"] for uuid in uuids}
    for uuid, host in placed.items():
        assert simulation.running_on(uuid) == [host]
    assert simulation.overlaps() == []
    assert simulation.losses == []
    copies = [(h, uuid) for h, there in simulation.hosts.items() for uuid, d in there.domains.items() if _present(d)]
    assert sorted(copies) == sorted((host, uuid) for uuid, host in placed.items())
    used = cluster.used()
    reserved = (sum(before.values()) - INSTANCES * MEMORY_MB) // len(HOSTS)
    assert used == {host: reserved + MEMORY_MB * list(placed.values()).count(host) for host in HOSTS}


def _present(domain: Any) -> bool:
    return bool(domain.state is not DomainState.ABSENT)


def test_of_moves_racing_through_both_servers_one_wins(cluster: Cluster) -> None:
    uuid = cluster.boot("vm")
    until("active", lambda: cluster.active(uuid))
    before = cluster.used()
    for moved in range(1, 3):
        barrier = threading.Barrier(2)

        def ask(server: ServerProcess, barrier: threading.Barrier = barrier) -> httpx.Response:
            barrier.wait()
            return cluster.migrate(server, uuid)

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(ask, (cluster.one, cluster.other)))
        assert sorted(a.status_code for a in answers) == [202, 409], [a.text for a in answers]
        refused = next(a for a in answers if a.status_code == 409)
        assert "conflictingRequest" in refused.json()
        until("moved", lambda: cluster.active(uuid), 60)
        assert [m["status"] for m in cluster.migrations()] == ["completed"] * moved
    assert sum(cluster.used().values()) == sum(before.values())
    assert cluster.agents.simulation.running_on(uuid) == [cluster.show(uuid)["OS-EXT-SRV-ATTR:host"]]
