"""Rows for the tests of the API's reading side: written straight into the tables, so that a test says what there is."""

import uuid as uuids
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, update

from migrator.db.engine import Database
from migrator.db.tables import events, facts, flavors, hosts, images, instances, operations
from migrator.protocol import HostReport, StoragePool

BEGAN = 1_790_000_000.0  # 2026-09-21T14:13:20Z
NOBODY = "00000000-0000-0000-0000-000000000000"  # a UUID that nothing has
IMAGE = "686a7f00-1f05-4966-968d-a684866b5da7"
FLAVOR: Mapping[str, Any] = {
    "id": 1,
    "flavorid": "1",
    "name": "m1.nano",
    "vcpus": 1,
    "memory_mb": 64,
    "disk_gb": 1,
    "ephemeral_gb": 0,
    "swap_mb": 0,
    "extra_specs": {},
}


def new_uuid() -> str:
    return str(uuids.uuid4())


def host(db: Database, name: str, **more: Any) -> None:
    report = HostReport(
        vcpus=8,
        memory_mb=16384,
        address=f"10.0.0.{name[-1]}",
        live_migration_uri=f"qemu+tcp://10.0.0.{name[-1]}/system",
    )
    row = {
        "uuid": str(uuids.uuid4()),
        "hypervisor_uuid": str(uuids.uuid4()),
        "name": name,
        "report": report.model_dump(mode="json"),
        "vcpus": 8,
        "memory_mb": 16384,
        "disk_gb": 100,
        "free_vcpus": 32.0,
        "free_memory_mb": 15000.0,
        "free_disk_gb": 100.0,
        "last_seen": 4_000_000_000.0,
        "listed_at": 4_000_000_000.0,
        "created_at": BEGAN,
    }
    if more.get("forced_down"):
        row["fencing"] = {"kind": "forced_down", "by": "admin", "at": BEGAN, "words": "forced down by admin"}
    with db.write() as connection:
        connection.execute(hosts.insert().values(row | more))


def pools(db: Database, host_name: str, **identities: str) -> None:
    """Give the host these storage pools, in place of the earlier ones: name -> identity."""
    made = {
        name: StoragePool(
            identity=identity, path=f"/{name}", total_gb=100, free_gb=90, proof=f"{host_name}/{uuids.uuid4()}"
        ).model_dump(mode="json")
        for name, identity in identities.items()
    }
    proofs = {name: {"token": pool["proof"], "at": 4_000_000_000.0} for name, pool in made.items()}
    with db.write() as connection:
        report = connection.execute(select(hosts.c.report).where(hosts.c.name == host_name)).scalar_one()
        connection.execute(
            update(hosts).where(hosts.c.name == host_name).values(report=report | {"storage": made}, proofs=proofs)
        )


def flavor(db: Database, **more: Any) -> None:
    row = {k: v for k, v in FLAVOR.items() if k != "id"} | {
        "rxtx_factor": 1.0,
        "access": [],
        "created_at": BEGAN,
    }
    with db.write() as connection:
        connection.execute(flavors.insert().values(row | more))


def image(db: Database, ident: str, **more: Any) -> None:
    row = {
        "id": ident,
        "name": "tiny",
        "status": "active",
        "visibility": "public",
        "disk_format": "raw",
        "container_format": "bare",
        "size": 1000,
        "virtual_size": 1000,
        "checksum": "0" * 32,
        "checksum_sha256": "0" * 64,
        "properties": {},
        "tags": [],
        "created_at": BEGAN,
        "updated_at": BEGAN,
    }
    with db.write() as connection:
        connection.execute(images.insert().values(row | more))


def instance(db: Database, name: str, **more: Any) -> str:
    uuid = str(more.pop("uuid", uuids.uuid4()))
    row = {
        "uuid": uuid,
        "name": name,
        "project_id": "admin",
        "user_id": "admin",
        "reservation_id": "r-abcdefgh",
        "flavor": dict(FLAVOR),
        "image_id": IMAGE,
        "spec": {
            "uuid": uuid,
            "name": name,
            "vcpus": 1,
            "memory_mb": 64,
            "disks": [{"target": "vda", "pool": "local", "size_gb": 1, "image_id": IMAGE}],
        },
        "host": "compute1",
        "vm_state": "active",
        "power_state": 1,
        "metadata": {"k": "v"},
        "tags": [],
        "networks": [],
        "created_at": BEGAN,
        "updated_at": BEGAN + 2,
        "launched_at": BEGAN + 2,
    }
    with db.write() as connection:
        connection.execute(instances.insert().values(row | more))
    return uuid


def migration(db: Database, instance_uuid: str, status: str = "completed", **more: Any) -> int:
    active = status not in ("completed", "failed", "error", "cancelled")
    row = {
        "uuid": str(uuids.uuid4()),
        "kind": "live-migration",
        "instance_uuid": instance_uuid,
        "active": active,
        "moves": True,
        "phase": "transfer",
        "forward": True,
        "epoch": 1,
        "generation": 3,
        "status": status,
        "source": "compute1",
        "destination": "compute2",
        "params": {},
        "context": {},
        "request_id": f"req-{uuids.uuid4()}",
        "user_id": "admin",
        "project_id": "admin",
        "phase_since": BEGAN,
        "created_at": BEGAN,
        "updated_at": BEGAN + 3,
        "finished_at": None if active else BEGAN + 3,
    }
    with db.write() as connection:
        result = connection.execute(operations.insert().values(row | more))
        key = result.inserted_primary_key
        assert key is not None
        return int(key[0])


def event(db: Database, operation_id: int, name: str, phase: str, at: float, **more: Any) -> None:
    row = {
        "operation_id": operation_id,
        "name": name,
        "phase": phase,
        "at": at,
        "message": f"{name} {phase}",
        "epoch": 1,
    }
    with db.write() as connection:
        connection.execute(events.insert().values(row | more))


def job(db: Database, operation_id: int, host_name: str, counters: Mapping[str, Any]) -> None:
    row = {
        "operation_id": operation_id,
        "host": host_name,
        "epoch": 1,
        "phase": "transfer",
        "incarnation": 1,
        "sequence": 1,
        "received_at": BEGAN,
        "body": {"job": dict(counters)},
    }
    mine = (facts.c.operation_id == operation_id) & (facts.c.host == host_name)
    with db.write() as connection:
        connection.execute(delete(facts).where(mine))
        connection.execute(facts.insert().values(row))
