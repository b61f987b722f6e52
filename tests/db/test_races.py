"""Two transactions that meet: what one has read, the other changes before the first one writes; on both databases.

On SQLite the second one waits for the first; on PostgreSQL only locked rows make it wait."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import PrivateAttr
from sqlalchemy import func, select

from migrator.db import claims, hosts, instances, operations
from migrator.db import tables as t
from migrator.db.engine import Database
from migrator.errors import ConcurrentUpdate, Conflict
from migrator.operations import Effect, Kind
from migrator.protocol import HostReport
from migrator.scheduler.decision.snapshot import Plan
from migrator.scheduler.hosts import removal
from migrator.scheduler.reconciler import Reconciler, apply
from migrator.scheduler.requests import cold_migration, evacuation, requests
from migrator.scheduler.state import loader
from migrator.settings import ServerSettings
from tests import registering
from tests.api.harness import Api, Web
from tests.bench import databases

CALLER = requests.Caller("admin", "admin", "req-test")
MEANWHILE_S = 1.0  # long enough for what is not made to wait


class Meanwhile:
    """Another process's transaction, begun at a chosen point of ours; we go on when it is over, or has to wait."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=act, daemon=True)
        self._begun = False

    def begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._thread.start()
            self._thread.join(MEANWHILE_S)

    def end(self) -> None:
        assert self._begun
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextmanager
def after(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], None]) -> Iterator[None]:
    """``act`` runs in another thread as soon as ``module.name`` has answered for the first time."""
    original, other = getattr(module, name), Meanwhile(act)
    ours = threading.get_ident()

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        answer = original(*args, **kwargs)
        if threading.get_ident() == ours:
            other.begin()
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(module, name, wrapped)
        yield
    other.end()


def applying(db: Database, operation_id: int, plan: Plan) -> Callable[[], None]:
    """A reconciler applies the plan; it loads again when another one was faster."""

    def act() -> None:
        for _ in range(5):
            try:
                with db.read() as connection:
                    snapshot = loader.snapshot(connection, operation_id, ServerSettings())
                if not snapshot.operation.active:
                    return
                with db.write() as connection:
                    apply(connection, snapshot, plan)
                return
            except ConcurrentUpdate:
                continue

    return act


def instance(db: Database) -> str:
    uuid = databases.add_instances(db, 1)[0]
    for name in ("one", "two"):
        registering.register(db, name, 1, databases.report())
    with db.write() as connection:
        connection.execute(t.instances.update().values(host="one", vm_state="active", task_state=None))
    return uuid


def deletions(db: Database, uuid: str) -> list[str | None]:
    """Sources of the instance's deletions that are under way."""
    query = select(t.operations.c.source).where(
        t.operations.c.instance_uuid == uuid, t.operations.c.kind == "delete", t.operations.c.active
    )
    with db.read() as connection:
        return list(connection.execute(query).scalars())


def test_a_deletion_asked_for_while_an_operation_ends_is_not_forgotten(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = instance(db)
    ends = applying(db, requests.stop(db, CALLER, uuid), Plan(final_status="completed"))
    with after(monkeypatch, operations, "active_of_instance", ends):
        requests.delete_instance(db, CALLER, uuid)
    assert deletions(db, uuid) == ["one"]


@pytest.mark.parametrize(("module", "name"), [(instances, "get"), (operations, "active_of_instance")])
def test_a_deletion_asked_for_while_the_instance_arrives_goes_to_its_new_host(
    db: Database, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    uuid = instance(db)
    operation_id = requests.live_migrate(db, CALLER, uuid, host="two", block=None)
    with db.write() as connection:
        connection.execute(t.operations.update().values(destination="two", phase="commit"))
    arrives = applying(db, operation_id, Plan(effect=Effect.MOVE_RECORD, final_status="completed"))
    with after(monkeypatch, module, name, arrives):
        requests.delete_instance(db, CALLER, uuid)
    assert deletions(db, uuid) == ["two"]


def whole_live_migration(db: Database, uuid: str) -> None:
    """From "one" to "two", by another server: begun and ended; or refused, where it had to wait for ours."""
    try:
        operation_id = requests.live_migrate(db, CALLER, uuid, host="two", block=None)
    except Conflict:
        return
    with db.write() as connection:
        connection.execute(t.operations.update().values(destination="two", phase="commit"))
    applying(db, operation_id, Plan(effect=Effect.MOVE_RECORD, final_status="completed"))()


_LARGE = {"id": 9, "name": "large", "flavorid": "9", "vcpus": 2, "memory_mb": 512, "disk_gb": 100, "extra_specs": {}}
_ASKED: dict[str, Callable[[Database, str], int]] = {
    "delete": lambda db, uuid: requests.delete_instance(db, CALLER, uuid),
    "stop": lambda db, uuid: requests.stop(db, CALLER, uuid),
    "reboot": lambda db, uuid: requests.reboot(db, CALLER, uuid, soft=True),
    "suspend": lambda db, uuid: requests.suspend(db, CALLER, uuid),
    "pause": lambda db, uuid: requests.pause(db, CALLER, uuid),
    "live migration": lambda db, uuid: requests.live_migrate(db, CALLER, uuid, host=None, block=None),
    "migration": lambda db, uuid: cold_migration.migrate(db, CALLER, uuid, host=None),
    "resize": lambda db, uuid: cold_migration.resize(db, CALLER, uuid, flavor=_LARGE, same_host=False),
}


@pytest.mark.parametrize("what", _ASKED)
def test_a_request_that_was_held_up_acts_where_the_instance_is_by_then(
    db: Database, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Between its look at the instance and its first row, another server moved the instance to another host."""
    uuid = instance(db)
    with after(monkeypatch, instances, "get", lambda: whole_live_migration(db, uuid)):
        try:
            operation_id = _ASKED[what](db, uuid)
        except Conflict:
            assert db.is_sqlite  # there the other one waited until the request had begun, and was then refused
            return
    with db.read() as connection:
        row, now = operations.get(connection, operation_id), instances.get(connection, uuid)
    assert row.source == now.host


def test_an_operation_that_moves_nothing_never_begins_on_a_former_host(db: Database) -> None:
    uuid = instance(db)
    with db.write() as connection:
        key = requests.begin(connection, CALLER, Kind.DELETE, uuid, "two")
        assert operations.get(connection, key).source == "one"


def test_a_move_never_begins_from_a_former_host(db: Database) -> None:
    uuid = instance(db)
    with pytest.raises(ConcurrentUpdate), db.write() as connection:
        requests.begin(connection, CALLER, Kind.MIGRATION, uuid, "two")
    with db.read() as connection:
        assert operations.active_of_instance(connection, uuid) is None


def test_a_move_that_was_confirmed_meanwhile_is_not_reverted(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for the revert hears that it came too late, or it is done: never neither."""
    uuid = instance(db)
    registering.list_no_copies(db, "one", "two")
    operation_id = cold_migration.migrate(db, CALLER, uuid, host="two")
    with db.write() as connection:
        connection.execute(t.operations.update().values(destination="two", phase="verify", phase_since=0.0))
        instances.change(connection, uuid, {"task_state": None, "vm_state": "resized"})
    window = Reconciler(db, ServerSettings(resize_confirm_window=1), lambda _hosts: None)
    refused = False
    with after(monkeypatch, operations, "active_of_instance", lambda: window.reconcile(operation_id)):
        try:
            cold_migration.revert(db, CALLER, uuid)
        except Conflict:
            refused = True
    window.reconcile(operation_id)
    with db.read() as connection:
        row = operations.get(connection, operation_id)
    assert refused is bool(row.forward), f"refused: {refused}, and it is {row.status}"


class Slow(HostReport):
    """A report during whose recording something else happens."""

    _other: Meanwhile = PrivateAttr()

    def race(self, other: Meanwhile) -> None:
        self._other = other

    def model_dump(self, **kwargs: Any) -> dict[str, Any]:
        self._other.begin()
        return super().model_dump(**kwargs)


def test_a_host_described_anew_keeps_what_is_claimed_at_that_moment(db: Database) -> None:
    uuid = instance(db)
    operation_id = requests.stop(db, CALLER, uuid)

    def claim() -> None:
        with db.write() as connection:
            assert claims.take(connection, "two", uuid, operation_id, 1, 64, 1)

    other = Meanwhile(claim)
    report = Slow.model_validate(databases.report().model_dump())
    report.race(other)
    registering.register(db, "two", 2, report)
    other.end()
    with db.read() as connection:
        row = hosts.get(connection, "two")
        used = connection.execute(select(func.sum(t.claims.c.memory_mb)).where(t.claims.c.host == "two")).scalar_one()
    free = (report.memory_mb - report.reserved_host_memory_mb) * report.ram_allocation_ratio - used
    assert (used, row.free_memory_mb) == (64, free)


def test_nothing_is_claimed_on_a_host_while_it_is_removed(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    uuid, taken = instance(db), list[bool]()
    operation_id = requests.stop(db, CALLER, uuid)

    def claim() -> None:
        with db.write() as connection:
            taken.append(claims.take(connection, "two", uuid, operation_id, 1, 64, 1))

    with after(monkeypatch, removal, "outstanding", claim):
        removal.remove(db, "two", "admin")
    assert taken == [False]


def test_a_host_is_not_forced_up_under_an_evacuation_that_begins(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the evacuation would begin without the evidence that it was granted for."""
    uuid = instance(db)
    with db.write() as connection:
        assert hosts.force_down(connection, "one", True, "admin")
        connection.execute(t.hosts.update().where(t.hosts.c.name == "one").values(last_seen=0.0))  # and is silent
        spec = instances.get(connection, uuid).spec
        instances.change(connection, uuid, {"spec": {**spec, "disks": []}})
    forced_up: list[int] = []

    def force_up() -> None:
        forced_up.append(put_up(db, "one"))

    with after(monkeypatch, evacuation, "_source", force_up):
        evacuation.evacuate(db, CALLER, uuid, ServerSettings(), evacuation.EvacuationRequest())
    assert forced_up == [400]


def put_up(db: Database, host: str) -> int:
    api = Api(Web(db, Path("unused")))
    (service,) = (s for s in api("GET", "/os-services").json["services"] if s["host"] == host)
    return int(api("PUT", f"/os-services/{service['id']}", "2.96", {"forced_down": False}).status)
