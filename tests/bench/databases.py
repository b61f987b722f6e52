"""Fresh databases at the newest revision, and rows in bulk, for the benchmarks."""

import contextlib
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from migrator.db.clock import now
from migrator.db.engine import Database
from migrator.db.tables import flavors, hosts, instances, operations
from migrator.db.upgrade import upgrade
from migrator.protocol import DiskSpec, HostReport, InstanceSpec, StoragePool
from tests import postgres

FLAVOR: dict[str, Any] = {
    "id": 1,
    "flavorid": "1",
    "name": "m1.tiny",
    "vcpus": 1,
    "memory_mb": 512,
    "disk_gb": 1,
    "ephemeral_gb": 0,
    "swap_mb": 0,
    "rxtx_factor": 1.0,
    "is_public": True,
    "disabled": False,
    "description": None,
    "extra_specs": {},
    "access": [],
    "created_at": 0.0,
    "updated_at": None,
}


@contextlib.contextmanager
def both() -> Iterator[dict[str, str]]:
    """Name -> URL of an empty database: one SQLite file, one PostgreSQL server of our own."""
    with tempfile.TemporaryDirectory() as top, postgres.running() as server:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
        urls = {
            "SQLite": f"sqlite:///{Path(top) / 'bench.db'}",
            "PostgreSQL": server.rsplit("/", 1)[0] + "/bench",
        }
        for url in urls.values():
            upgrade(url)
        yield urls


def report(shared: str = "same", memory_mb: int = 65536) -> HostReport:
    pools = {"local": StoragePool(identity=str(uuid.uuid4()), path="/l", total_gb=1000, free_gb=1000)}
    pools["shared"] = StoragePool(identity=shared, path="/s", total_gb=1000, free_gb=1000)
    return HostReport(
        vcpus=32,
        memory_mb=memory_mb,
        storage=pools,
        address="10.0.0.1",
        live_migration_uri="qemu+tcp://10.0.0.1/system",
        machine_types=("pc-i440fx-7.2",),
    )


def add_hosts(db: Database, count: int) -> None:
    with db.write() as connection:
        moment = now(connection)
        rows = []
        for number in range(count):
            rep = report(memory_mb=32768 + (number * 7919) % 65536)
            rows.append(
                {
                    "uuid": str(uuid.uuid4()),
                    "hypervisor_uuid": str(uuid.uuid4()),
                    "name": f"host{number:05d}",
                    "report": rep.model_dump(mode="json"),
                    "vcpus": rep.vcpus,
                    "memory_mb": rep.memory_mb,
                    "disk_gb": 2000,
                    "free_vcpus": 128.0,
                    "free_memory_mb": float(rep.memory_mb),
                    "free_disk_gb": 2000.0,
                    "disabled": False,
                    "forced_down": False,
                    "incarnation": 1,
                    "last_seen": moment + 3600,
                    "created_at": moment,
                }
            )
        connection.execute(hosts.insert(), rows)
        connection.exec_driver_sql("ANALYZE")  # as autovacuum does on a database that lives for a minute


def add_instances(db: Database, count: int) -> list[str]:
    with db.write() as connection:
        moment = now(connection)
        connection.execute(flavors.insert().values(**FLAVOR))
        rows = []
        for number in range(count):
            key = str(uuid.uuid4())
            spec = InstanceSpec(
                uuid=key,
                name=f"vm{number}",
                vcpus=1,
                memory_mb=512,
                disks=(DiskSpec(target="vda", pool="local", size_gb=1),),
            )
            rows.append(
                {
                    "uuid": key,
                    "name": spec.name,
                    "project_id": "admin",
                    "user_id": "admin",
                    "reservation_id": "r-bench000",
                    "flavor": FLAVOR,
                    "spec": spec.model_dump(mode="json"),
                    "host": f"host{number % 100:05d}",
                    "vm_state": "active",
                    "power_state": 1,
                    "metadata": {"role": "bench"},
                    "tags": [],
                    "networks": [],
                    "created_at": moment,
                    "updated_at": moment,
                    "launched_at": moment,
                }
            )
        connection.execute(instances.insert(), rows)
        return [str(row["uuid"]) for row in rows]


def add_migrations(db: Database, uuids: list[str], count: int) -> None:
    with db.write() as connection:
        moment = now(connection)
        connection.execute(
            operations.insert(),
            [
                {
                    "uuid": str(uuid.uuid4()),
                    "kind": "live-migration",
                    "instance_uuid": uuids[number % len(uuids)],
                    "active": False,
                    "moves": True,
                    "phase": "release",
                    "forward": True,
                    "epoch": 1,
                    "generation": 9,
                    "status": "completed",
                    "source": f"host{number % 100:05d}",
                    "destination": f"host{(number + 1) % 100:05d}",
                    "params": {},
                    "context": {},
                    "cancel_requested": False,
                    "request_id": f"req-{uuid.uuid4()}",
                    "user_id": "admin",
                    "project_id": "admin",
                    "phase_since": moment,
                    "created_at": moment + number / 1000,
                    "updated_at": moment + number / 1000,
                    "finished_at": moment + number / 1000,
                }
                for number in range(count)
            ],
        )
