"""How long it takes to say whether a fleet survives the loss of any one host: all reading and planning; SQLite."""

import random
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from migrator.db.engine import Database
from migrator.db.tables import aggregate_hosts, aggregates, hosts, instances, server_groups
from migrator.db.upgrade import upgrade
from migrator.scheduler.fleet import losses
from migrator.settings import ServerSettings
from tests.bench import databases

_CASES = ((200, 1_000), (1_000, 10_000))
_SPARE = (4.0, 0.5, 0.1)  # memory that a host has free, on the average, as a multiple of what an instance has
_SIZES_MB = (1024, 2048, 4096, 8192, 16384)
_ZONES = 3


def run() -> list[str]:
    lines = ["| hosts | instances | free / an instance's | hosts at risk | wall | processor time |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for hosts_, instances_ in _CASES:
        for spare in _SPARE:
            with tempfile.TemporaryDirectory() as top:
                url = f"sqlite:///{Path(top) / 'bench.db'}"
                upgrade(url)
                db = Database(url)
                _fill(db, hosts_, instances_, spare)
                settings = ServerSettings(database=url, shared_storage_proof_max_age=0)
                begin, used = time.perf_counter(), time.process_time()
                found = losses.capacity(db, 1, settings, discard=False)
                took = f"{time.perf_counter() - begin:.1f} s | {time.process_time() - used:.1f} s"
                db.close()
            lines.append(f"| {hosts_} | {instances_} | {spare:g} | {len(found.losses)} | {took} |")
    return lines


def _fill(db: Database, hosts_: int, instances_: int, spare: float) -> None:
    """A third of the instances is in groups of about six that are kept apart; three quarters are bound to a zone."""
    draw = random.Random(1)
    databases.add_hosts(db, hosts_)
    each = [_instance(number, hosts_, instances_, draw) for number in range(instances_)]
    mean = sum(_SIZES_MB) / len(_SIZES_MB)
    with db.write() as connection:
        for number in range(hosts_):
            name = f"host{number:05d}"
            free: dict[str, Any] = {"free_vcpus": 500.0, "free_disk_gb": 100_000.0}
            free["free_memory_mb"] = mean * spare * draw.uniform(0, 2)
            connection.execute(hosts.update().where(hosts.c.name == name).values(free))
        zones = [
            {"uuid": f"z{n}", "name": f"z{n}", "metadata": {"availability_zone": f"z{n}"}, "created_at": 0.0}
            for n in range(_ZONES)
        ]
        connection.execute(aggregates.insert(), zones)
        members = [{"aggregate_id": n % _ZONES + 1, "host": f"host{n:05d}"} for n in range(hosts_)]
        connection.execute(aggregate_hosts.insert(), members)
        groups = sorted({row["server_group"] for row in each if row["server_group"] is not None})
        shared = {"project_id": "admin", "user_id": "admin", "policy": "anti-affinity", "rules": {}, "created_at": 0.0}
        connection.execute(server_groups.insert(), [{"uuid": name, "name": name, **shared} for name in groups])
        connection.execute(instances.insert(), each)


def _instance(number: int, hosts_: int, instances_: int, draw: random.Random) -> dict[str, Any]:
    key, at = str(uuid.UUID(int=draw.getrandbits(128))), draw.randrange(hosts_)
    flavor = {**databases.FLAVOR, "memory_mb": draw.choice(_SIZES_MB)}
    disk = {"target": "vda", "pool": "shared", "size_gb": 1, "image_id": None}
    return {
        "uuid": key,
        "name": f"vm{number}",
        "project_id": "admin",
        "user_id": "admin",
        "reservation_id": "r-bench000",
        "flavor": flavor,
        "spec": {"uuid": key, "name": f"vm{number}", "vcpus": 1, "memory_mb": 1, "disks": [disk]},
        "host": f"host{at:05d}",
        "availability_zone": f"z{at % _ZONES}" if draw.random() < 0.75 else None,
        "server_group": f"g{draw.randrange(instances_ // 20)}" if draw.random() < 0.3 else None,
        "vm_state": "active",
        "power_state": 1,
        "metadata": {},
        "tags": [],
        "networks": [],
        "created_at": 0.0,
        "updated_at": 0.0,
        "launched_at": 0.0,
    }
