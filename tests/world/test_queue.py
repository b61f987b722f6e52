"""max_concurrent_live_migrations: in order, visibly, whatever happens to those in front."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.compute.simulated.state import MIB, Behaviour
from migrator.db.tables import operations
from migrator.errors import ConcurrentUpdate
from migrator.operations import Effect
from migrator.scheduler.decision.snapshot import Plan
from migrator.scheduler.reconciler import Reconciler, apply
from migrator.scheduler.requests import requests
from migrator.scheduler.state import loader
from tests.world.database import WorldDatabase
from tests.world.rules import broken
from tests.world.test_together import at_once
from tests.world.world import CALLER, World

BUSY = Behaviour(dirty_bytes_per_s=1000 * MIB)


class Queue:
    """Three instances on n1, and their live migrations to n2 in this order."""

    def __init__(self, url: str, limit: int = 1) -> None:
        self.world = World(url)
        self.world.settings = self.world.settings.model_copy(update={"max_concurrent_live_migrations": limit})
        self.world.restart_server()
        self.world.tick()
        self.uuids: list[str] = []
        for _ in range(3):
            uuid = self.world.build("shared")
            assert uuid is not None
            self.uuids.append(uuid)
            self.world.run()
        self.most = 0

    def begin(self) -> list[int]:
        return [self.move(uuid, "n2") for uuid in self.uuids]

    def move(self, uuid: str, host: str) -> int:
        key = self.world.ask(lambda: requests.live_migrate(self.world.db, CALLER, uuid, host=host, block=None))
        assert isinstance(key, int)
        return key

    def row(self, key: int) -> Any:
        with self.world.db.read() as connection:
            return connection.execute(select(operations).where(operations.c.id == key)).one()

    def watch(self) -> bool:
        self.most = max(self.most, len(self.world.simulation.transfers))
        return self.world.at_rest()

    def on(self) -> list[list[str]]:
        return [self.world.simulation.running_on(uuid) for uuid in self.uuids]


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (2, 2), (0, 3)])
def test_no_more_than_allowed_and_in_order(database_url: str, limit: int, most: int) -> None:
    queue = Queue(database_url, limit)
    try:
        keys = queue.begin()
        queue.world.run(queue.watch)
        assert queue.most == most
        rows = [queue.row(key) for key in keys]
        assert [row.status for row in rows] == ["completed"] * 3
        assert [row.finished_at for row in rows] == sorted(row.finished_at for row in rows)
        assert queue.on() == [["n2"]] * 3
        assert broken(queue.world) == []
    finally:
        queue.world.close()


def test_a_place_in_the_queue_is_told_and_can_be_given_up(database_url: str) -> None:
    queue = Queue(database_url)
    world = queue.world
    try:
        world.simulation.behaviours[queue.uuids[0]] = BUSY  # it never arrives
        first, second, third = queue.begin()
        world.run(lambda: "position 2" in (queue.row(third).wait_reason or ""))
        waiting = queue.row(second)
        assert waiting.wait_reason == (
            "queued: position 1 of the live migrations from n1, of which 1 may be under way "
            "(max_concurrent_live_migrations)"
        )
        assert (waiting.status, waiting.destination) == ("queued", None)
        requests.cancel(world.db, CALLER, second)
        world.server.reconciler.reconcile(second)
        world.run(lambda: "position 1" in (queue.row(third).wait_reason or ""))
        assert queue.row(second).status == "cancelled"
        assert queue.row(third).active
        requests.cancel(world.db, CALLER, first)
        world.server.reconciler.reconcile(first)
        world.run()
        assert [queue.row(key).status for key in (first, second, third)] == ["cancelled", "cancelled", "completed"]
        assert queue.on() == [["n1"], ["n1"], ["n2"]]
        assert broken(world) == []
    finally:
        world.close()


def test_two_servers_admit_one_at_a_time(database_url: str) -> None:
    queue = Queue(database_url)
    world = queue.world
    other = WorldDatabase(database_url, lambda: world.time, world.faults)
    try:
        keys = queue.begin()
        servers = [Reconciler(db, world.settings, world.wake) for db in (world.db, other)]

        def step() -> bool:
            looks: list[Callable[[], None]] = [
                partial(server.reconcile, key) for server in servers for key in keys if queue.row(key).active
            ]
            if looks:
                at_once(looks)
            return queue.watch()

        world.run(step)
        assert queue.most == 1
        assert queue.on() == [["n2"]] * 3
        assert broken(world) == []
    finally:
        other.close()
        world.close()


def test_one_that_was_overtaken_since_it_looked_is_not_admitted(database_url: str) -> None:
    queue = Queue(database_url)
    world = queue.world
    try:
        elder, younger, _ = queue.begin()
        with world.db.write() as connection:
            connection.execute(update(operations).where(operations.c.id == younger).values(phase="claim"))
        with world.db.read() as connection:
            seen = loader.snapshot(connection, younger, world.settings)
        assert seen.ahead == 0
        with world.db.write() as connection:
            connection.execute(update(operations).where(operations.c.id == elder).values(phase="check"))
        plan = Plan(phase="check", effect=Effect.CLAIM_DESTINATION, destination="n2")
        with pytest.raises(ConcurrentUpdate), world.db.write() as connection:
            apply(connection, seen, plan)
        assert queue.row(younger).phase == "claim"
    finally:
        world.close()


def test_hosts_that_migrate_into_each_other_do_not_wait_for_each_other(database_url: str) -> None:
    queue = Queue(database_url)
    world = queue.world
    try:
        first, *others = queue.uuids
        before = queue.move(first, "n2")
        world.run()
        back = queue.move(first, "n1")
        there = [queue.move(uuid, "n2") for uuid in others]
        world.run(queue.watch)
        assert queue.most == 2, "one each way"
        assert [queue.row(key).status for key in (before, back, *there)] == ["completed"] * 4
        assert queue.on() == [["n1"], ["n2"], ["n2"]]
        assert broken(world) == []
    finally:
        world.close()
