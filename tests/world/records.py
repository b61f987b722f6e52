"""The record and the hosts disagree: what is asked of the world in these scenarios, and what it shows."""

from typing import Any

from sqlalchemy import select

from migrator.db import alarms, instances
from migrator.db.tables import operations
from migrator.scheduler.hosts import reconciliation
from migrator.scheduler.hosts.reconciliation import Word
from migrator.scheduler.requests import requests
from tests.world.world import CALLER, World


def pass_time(world: World, seconds: float) -> None:
    until = world.time + seconds
    world.run(lambda: world.time > until, longest=seconds + 10)


def record(world: World, uuid: str) -> Any:
    with world.db.read() as connection:
        return instances.get(connection, uuid, deleted=True)


def open_alarms(world: World) -> list[tuple[str, str, str]]:
    """(kind, host, instance), sorted."""
    with world.db.read() as connection:
        return sorted((row.kind, row.host, row.instance_uuid) for row in alarms.listed(connection))


def operation(world: World, key: int) -> Any:
    with world.db.read() as connection:
        return connection.execute(select(operations).where(operations.c.id == key)).one()


def newest(world: World, uuid: str) -> Any:
    query = select(operations).where(operations.c.instance_uuid == uuid).order_by(operations.c.id.desc())
    with world.db.read() as connection:
        return connection.execute(query).first()


def live_migrate(world: World, uuid: str, host: str) -> None:
    world.ask(lambda: requests.live_migrate(world.db, CALLER, uuid, host=host, block=None))
    world.run()
    assert world.simulation.running_on(uuid) == [host]


def say(world: World, uuid: str, host: str | None, **more: Any) -> None:
    """The operator's word, and what follows at once."""
    word = Word(host, frozenset(more.pop("given_up", ())), **more)
    for key in reconciliation.take(world.db, CALLER, uuid, word, world.settings):
        world.server.reconciler.reconcile(key)
