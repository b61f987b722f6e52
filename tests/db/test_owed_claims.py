"""What is left to do after the instance is free must not touch the claims of what began since; on both databases."""

from typing import Any

from migrator.db import claims, instances, operations
from migrator.db import tables as t
from migrator.db.engine import Database
from migrator.operations import Kind
from migrator.scheduler.decision.snapshot import Plan
from migrator.scheduler.reconciler import Reconciler, apply
from migrator.scheduler.requests import cold_migration, requests
from migrator.scheduler.state import loader
from migrator.scheduler.state.effects import amounts
from migrator.settings import ServerSettings
from tests import registering
from tests.bench import databases

CALLER = requests.Caller("admin", "admin", "req-test")
SETTINGS = ServerSettings()
LARGE = {**databases.FLAVOR, "id": 2, "flavorid": "2", "name": "m1.small", "memory_mb": 2048}
HUGE = {**databases.FLAVOR, "id": 3, "flavorid": "3", "name": "m1.huge", "memory_mb": 8192}


def step(db: Database, operation_id: int) -> None:
    """One step of a reconciler whose process then dies."""
    Reconciler(db, SETTINGS, lambda _hosts: None)._step(operation_id, set())


def claim(db: Database) -> Any:
    with db.read() as connection:
        return connection.execute(t.claims.select()).one()


def resize_here(db: Database, uuid: str, flavor: dict[str, Any]) -> int:
    """A resize in place, up to its claim."""
    operation_id = cold_migration.resize(db, CALLER, uuid, flavor=flavor, same_host=True)
    with db.write() as connection:
        connection.execute(t.operations.update().where(t.operations.c.id == operation_id).values(phase="claim"))
    step(db, operation_id)
    return operation_id


def test_a_second_resize_in_place_keeps_its_claim_when_the_first_one_ends_late(db: Database) -> None:
    uuid = databases.add_instances(db, 1)[0]
    registering.register(db, "one", 1, databases.report())
    registering.list_no_copies(db, "one")
    with db.write() as connection:
        instances.change(connection, uuid, {"host": "one", "vm_state": "active", "task_state": None})
        row = instances.get(connection, uuid)
        first = requests.begin(connection, CALLER, Kind.STOP, uuid, "one")
        vcpus, memory_mb, disk_gb = amounts(row.flavor, volume_backed=False)
        assert claims.take(connection, "one", uuid, first, vcpus, memory_mb, disk_gb)
        snapshot = loader.snapshot(connection, first, SETTINGS)
        apply(connection, snapshot, Plan(final_status="completed"))
    one = resize_here(db, uuid, LARGE)
    with db.write() as connection:
        connection.execute(
            t.operations.update().where(t.operations.c.id == one).values(phase="verify", confirm_requested=True)
        )
    while operation(db, one).locks_instance:
        step(db, one)
    with db.write() as connection:
        instances.change(connection, uuid, {"flavor": LARGE, "vm_state": "active"})
    resize_here(db, uuid, HUGE)
    assert claim(db).memory_mb == HUGE["memory_mb"]
    Reconciler(db, SETTINGS, lambda _hosts: None).sweep()
    assert not operation(db, one).active
    assert claim(db).memory_mb == HUGE["memory_mb"], "it is the second one's"


def operation(db: Database, operation_id: int) -> Any:
    with db.read() as connection:
        return operations.get(connection, operation_id)
