"""Several servers and many callers on one database, SQLite and PostgreSQL: one wins, nothing is oversubscribed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TypeVar

from sqlalchemy import func, select

from migrator.db.tables import claims, hosts, operations
from migrator.errors import InstanceBusy
from migrator.scheduler.reconciler import Reconciler
from migrator.scheduler.requests import build, requests
from tests.world.database import WorldDatabase
from tests.world.rules import broken
from tests.world.scenarios import SCENARIOS, outcome
from tests.world.test_boundaries import ENDS
from tests.world.world import CALLER, FLAVOR, World

T = TypeVar("T")
THREADS = 8
ROOM = 3  # instances that each host of the claims' race has memory for


def at_once(calls: list[Callable[[], T]]) -> list[T]:
    barrier = Barrier(len(calls))

    def begin(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin, calls))


def test_operations_end_well_on_both_databases(database_url: str) -> None:
    world = World(database_url)
    try:
        SCENARIOS["live-block"](world)
        assert broken(world) == []
        assert outcome(world) == ENDS["live-block"]
    finally:
        world.close()


def test_two_servers_take_turns_on_one_operation(database_url: str) -> None:
    world = World(database_url)
    other = WorldDatabase(database_url, lambda: world.time, world.faults)
    try:
        world.tick()
        uuid = world.build("local")
        assert uuid is not None
        world.run()
        operation = requests.live_migrate(world.db, CALLER, uuid, host="n2", block=None)
        servers = [Reconciler(db, world.settings, world.wake) for db in (world.db, other)]

        def both_step() -> bool:
            at_once([partial(server.reconcile, operation) for server in servers])
            return world.at_rest()

        world.run(both_step)
        assert broken(world) == []
        assert outcome(world) == ENDS["live-block"]
    finally:
        other.close()
        world.close()


def test_of_racing_requests_one_wins(database_url: str) -> None:
    world = World(database_url)
    try:
        world.tick()
        uuid = world.build("shared")
        assert uuid is not None
        world.run()

        def migrate() -> str:
            try:
                requests.live_migrate(world.db, CALLER, uuid, host=None, block=None)
            except InstanceBusy:
                return "busy"
            return "won"

        answers = at_once([migrate] * THREADS)
        assert sorted(answers) == ["busy"] * (THREADS - 1) + ["won"]
        world.settle()
        assert broken(world) == []
    finally:
        world.close()


def test_concurrent_scheduling_never_oversubscribes(database_url: str) -> None:
    world = World(database_url)
    try:
        world.tick()
        with world.db.write() as connection:
            free = connection.execute(select(func.min(hosts.c.free_memory_mb))).scalar_one()
        large = {**FLAVOR, "memory_mb": int(free // ROOM), "extra_specs": {}}
        new = build.NewInstance("guest", large, None)

        def create() -> None:
            _, operation = build.create_instance(world.db, CALLER, new)
            Reconciler(world.db, world.settings, lambda _: None).reconcile(operation)

        def several() -> None:
            create()
            create()

        at_once([several] * THREADS)
        with world.db.read() as connection:
            per_host = (
                connection.execute(select(func.count()).select_from(claims).group_by(claims.c.host)).scalars().all()
            )
            refused = (
                connection.execute(select(operations.c.status).where(operations.c.active.is_(False))).scalars().all()
            )
        assert per_host == [ROOM] * 3
        assert refused == ["error"] * (THREADS * 2 - ROOM * 3)
        world.settle()
        assert broken(world) == []
    finally:
        world.close()
