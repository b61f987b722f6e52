"""Many operations at once, and how many of them come into each host: counted after every commit, by their phases."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, select

from migrator.db.tables import claims, operations
from migrator.scheduler.requests import build as building
from migrator.scheduler.requests import requests
from migrator.scheduler.requests.build import NewInstance
from tests.world.world import CALLER, FLAVOR, World

# written out, and not taken from the table: what a host has to do with an instance that it did not have
COMING_IN = {
    "build": {"disks", "start"},
    "live-migration": {"check", "measure", "prepare", "transfer"},
    "migration": {"check", "depart", "stop", "offer", "copy", "start"},
    "resize": {"check", "depart", "stop", "offer", "copy", "start"},
    "evacuation": {"check", "fence", "rebuild", "start"},
}


class Crowd:
    """A world with limits. ``most``: host -> how many were ever under way into it at once; ``full``: on how many hosts
    at once that were at the limit."""

    def __init__(self, url: str, inbound: int, outbound: int = 1, **kwargs: Any) -> None:
        self.world = World(url, **kwargs)
        limits = {"max_concurrent_builds": inbound, "max_concurrent_live_migrations": outbound}
        self.world.settings = self.world.settings.model_copy(update=limits)
        self.world.restart_server()
        self.most: Counter[str] = Counter()
        self.full = 0
        self._limit = inbound
        self._write = self.world.db.write
        self.world.db.write = self._watched  # type: ignore[method-assign]
        armed, self.world.faults.armed = self.world.faults.armed, False
        self.world.tick()  # the agents register
        self.world.faults.armed = armed

    @contextmanager
    def _watched(self) -> Iterator[Connection]:
        try:
            with self._write() as connection:
                yield connection
        finally:
            self._look()

    def _look(self) -> None:
        now = Counter(row.destination for row in self.rows() if row.active and self._comes_in(row))
        self.full = max(self.full, sum(count == self._limit for count in now.values()))
        for host, count in now.items():
            self.most[host] = max(self.most[host], count)

    def _comes_in(self, row: Any) -> bool:
        return row.source != row.destination and row.phase in COMING_IN.get(row.kind, ())

    def rows(self) -> list[Any]:
        with self.world.db.read() as connection:
            return list(connection.execute(select(operations).order_by(operations.c.id)))

    def row(self, key: int) -> Any:
        return next(row for row in self.rows() if row.id == key)

    def build(self, host: str | None = "n1", pool: str = "shared") -> tuple[str, int]:
        """(instance UUID, operation id) of a build that was asked for, of the same size as all of them."""
        flavor = {**FLAVOR, "extra_specs": {building.STORAGE_EXTRA_SPEC: pool}}
        new = NewInstance("guest", flavor, self.world.image, requested_host=host)
        uuid, key = self.world.ask(lambda: building.create_instance(self.world.db, CALLER, new))
        return uuid, key

    def built(self, count: int, host: str = "n1") -> list[str]:
        """So many running instances on the host."""
        uuids = [self.build(host)[0] for _ in range(count)]
        self.world.run()
        return uuids

    def migrate(self, uuid: str, host: str | None) -> int:
        key = self.world.ask(lambda: requests.live_migrate(self.world.db, CALLER, uuid, host=host, block=None))
        assert isinstance(key, int)
        return key

    def reconcile(self, *keys: int) -> None:
        for key in keys:
            self.world.server.reconciler.reconcile(key)

    def claimed(self, host: str) -> list[str]:
        """Instances in the order in which they were let in."""
        with self.world.db.read() as connection:
            query = select(claims.c.instance_uuid).where(claims.c.host == host).order_by(claims.c.id)
            return list(connection.execute(query).scalars())

    def ends(self, *keys: int) -> list[str]:
        return [self.row(key).status for key in keys]
