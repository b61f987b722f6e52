"""From the request to evacuate a dead host's instances, all sent by one client, until every one of them runs again."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from sqlalchemy import func, select, update

from migrator.compute.agent.signals import on_signal
from migrator.compute.agent.simulated_main import serve_simulated
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.db.clock import now
from migrator.db.credentials import issue
from migrator.db.engine import Database
from migrator.db.tables import claims, hosts, instances, listening
from migrator.protocol import DiskSpec, InstanceSpec
from tests.bench import databases, server

COUNTS = tuple(int(one) for one in os.environ.get("BENCH_EVACUATE", "100,1000").split(","))
HOSTS = 10
SENDERS = 8
LOST = "host00000"  # as ``databases.add_hosts`` names the first
LOOK_S = 0.1
LIMIT_S = 900.0


def run() -> list[str]:
    lines = [
        "| database | instances | requests answered | all running | instances/s | server's CPU | agents' CPU |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for count in COUNTS:
        with databases.both() as urls:
            for name, url in urls.items():
                answered, running, *used = _evacuated(url, count)
                print(f"{name} {count}: {running:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
                figures = (
                    f"{answered:.1f} s | {running:.1f} s | {count / running:.0f} | {used[0]:.1f} s | {used[1]:.1f} s"
                )
                lines.append(f"| {name} | {count} | {figures} |")
    about = f"{HOSTS} simulated hosts take them in, their agents in one process beside the server and the client"
    return [*lines, "", f"{about}; {SENDERS} requests at a time. Load {os.getloadavg()[0]:.1f} at the end."]


def _evacuated(url: str, count: int) -> tuple[float, float, float, float]:
    """Seconds until every request was answered, and until all run; processor time of the server and of the agents."""
    db = Database(url)
    uuids = _lost(db, count)
    names = [f"sim{number}" for number in range(HOSTS)]
    tokens = [issue(db, name) for name in names]
    try:
        with tempfile.TemporaryDirectory() as top, server.running(url, Path(top)) as (base, pid):
            argv = [sys.executable, "-m", "tests.bench.evacuate", base, *names]
            agents = subprocess.Popen(
                argv, env=os.environ | {"BENCH_TOKENS": ",".join(tokens)}, stderr=subprocess.DEVNULL
            )
            try:
                _until(lambda: _registered(db) == HOSTS + 1, "the hosts to register")
                before = server.cpu_s(pid), server.cpu_s(agents.pid)
                begin = time.perf_counter()
                _ask(base, uuids)
                answered = time.perf_counter() - begin
                _until(lambda: _arrived(db) == count, "every instance to run")
                running = time.perf_counter() - begin
                return answered, running, server.cpu_s(pid) - before[0], server.cpu_s(agents.pid) - before[1]
            finally:
                agents.terminate()
                agents.wait(30)
    finally:
        db.close()


def _lost(db: Database, count: int) -> list[str]:
    """A host that is forced down, and the instances that it ran, with their claims. The servers have been listening for
    an hour: after a break they would give it 15 s to be heard, however it was declared dead."""
    databases.add_hosts(db, 1)
    uuids = databases.add_instances(db, count)
    with db.write() as connection:
        moment = now(connection)
        connection.execute(listening.insert().values(id=1, since=moment - 3600, alive_at=moment))
        connection.execute(update(hosts).values(forced_down=True, last_seen=moment - 3600))
        for number, uuid in enumerate(uuids):
            spec = InstanceSpec(
                uuid=uuid,
                name=f"vm{number}",
                vcpus=1,
                memory_mb=databases.FLAVOR["memory_mb"],
                disks=(DiskSpec(target="vdb", pool="local", size_gb=1),),  # made anew where it arrives
            )
            row = {"host": LOST, "spec": spec.model_dump(mode="json")}
            connection.execute(update(instances).where(instances.c.uuid == uuid).values(**row))
        held = {"host": LOST, "vcpus": 1, "memory_mb": 512, "disk_gb": 1, "created_at": moment}
        connection.execute(claims.insert(), [held | {"instance_uuid": uuid} for uuid in uuids])
    return uuids


def _ask(base: str, uuids: list[str]) -> None:
    headers = {"OpenStack-API-Version": "compute 2.79"}
    with (
        httpx.Client(base_url=f"{base}/v2.1", headers=headers, trust_env=False, timeout=120) as http,
        ThreadPoolExecutor(SENDERS) as pool,
    ):
        for answer in pool.map(lambda uuid: http.post(f"/servers/{uuid}/action", json={"evacuate": {}}), uuids):
            if answer.status_code != 200:
                raise RuntimeError(f"{answer.status_code}: {answer.text}")


def _registered(db: Database) -> int:
    with db.read() as connection:
        return connection.execute(select(func.count()).select_from(hosts)).scalar_one()


def _arrived(db: Database) -> int:
    with db.read() as connection:
        there = instances.c.host != LOST, instances.c.vm_state == "active"
        return connection.execute(select(func.count()).select_from(instances).where(*there)).scalar_one()


def _until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {LIMIT_S:.0f} s in vain for {what}")
        time.sleep(LOOK_S)


def _serve(base: str, names: list[str]) -> None:
    """The agents' process: hosts with room for all of them."""
    simulation = SimulatedCluster(time.monotonic)
    for name in names:
        simulation.add_host(name, vcpus=64, memory_mb=131072)

    async def main() -> None:
        stop = asyncio.Event()
        on_signal(stop.set)
        tokens = dict(zip(names, os.environ["BENCH_TOKENS"].split(","), strict=True))
        await serve_simulated(base, tokens, names, stop, simulation)

    asyncio.run(main())


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])
