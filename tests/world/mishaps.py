"""What may happen to hosts and servers beside single faults, each at one moment of a scenario: journals and leases that
are lost or restored, full disks, steps that hang, requests that are held up and act late; and ``disasters``.

Owns what each of them does, and when it is over. Says nothing about what should follow: ``rules`` does.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from migrator.db import operations
from migrator.db.engine import Connection
from migrator.errors import MigratorError
from migrator.scheduler.reconciler import Reconciler
from migrator.scheduler.requests import cold_migration as cold
from migrator.scheduler.requests import requests
from tests.world.backups import backup
from tests.world.disasters import DISASTERS, SYNCED_S, OnDisk, database_restored, power_cut
from tests.world.faults import Killed
from tests.world.world import CALLER, World

Mishap = Callable[[World, "Strike"], None]

LASTS_S = (0.4, 3.0, 25.0, 90.0)
LEASE_S = 60.0
_CLIENT_S = 5.0  # between two looks of a client
_MOMENTS = 300  # that a host's disk is remembered at
_PATIENCE_S = 30.0  # of this machine's, for a thread


class Strike:
    """One mishap, in the middle of whatever the world does: as soon as so many ticks of the scenario have passed.
    ``at`` None: never, and ``ticks`` are counted."""

    def __init__(self, world: World, mishap: Mishap, at: int | None, chance: Random) -> None:
        self.chance, self.at, self.ticks = chance, at, 0
        self.struck = False
        self.host = chance.choice(("n1", "n1", "n2", "n2", "n3"))
        self.lasts_s = chance.choice(LASTS_S)
        self.journals: dict[str, list[bytes]] = {}  # as they were when the scenario began
        self.leases: dict[str, str] = {}
        self.held: list[HeldUp] = []
        self.saved = Path(world.db.url.removeprefix("sqlite:///")).with_suffix(".saved")
        self._history: list[OnDisk] = []
        self._world, self._mishap, self._tick = world, mishap, world.tick
        world.tick = self.tick  # type: ignore[method-assign]

    def tick(self) -> None:
        if self._world.faults.armed:
            self.ticks += 1
            if self.ticks == 1:
                self._save()
            if self._mishap is power_cut:
                self._history = [*self._history, OnDisk.of(self._world)][-_MOMENTS:]
            # Of an older database each moment is as likely as any other.
            if self._mishap is database_restored and self.chance.random() < 1 / self.ticks:
                backup(self._world, self.saved)
            if self.ticks == self.at:
                self.struck = True
                self._mishap(self._world, self)
        self._tick()

    def __str__(self) -> str:
        return f"{self._mishap.__name__} of {self.host} at {self.at} for {self.lasts_s:g} s"

    def unsynced(self, now: float) -> OnDisk:
        """One of the moments that a power cut may bring back."""
        return self.chance.choice([one for one in self._history if one.at >= now - SYNCED_S])

    def over(self) -> None:
        """What is still held up goes on: nothing of it outlives the world."""
        for held in self.held:
            held.release()

    def _save(self) -> None:
        self.journals = {host: list(lines) for host, lines in self._world.journals.items()}
        files = {host: self._world.lease_file(host) for host in self._world.names}
        self.leases = {host: file.read_text() for host, file in files.items() if file is not None and file.exists()}


class HeldUp:
    """A request in a server process that is stopped just before its first transaction, after all that it had read."""

    def __init__(self, world: World, request: Callable[[Any], object]) -> None:
        self._world = world
        self._arrived, self._go = threading.Event(), threading.Event()
        self.answer: object = None  # None: it was refused, or its process is gone
        self._thread = threading.Thread(target=self._run, args=(request,), daemon=True)
        self._thread.start()
        assert self._arrived.wait(_PATIENCE_S), "the request does not come to its transaction"

    def release(self) -> None:
        self._go.set()
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive(), "the request does not end"

    def _run(self, request: Callable[[Any], object]) -> None:
        try:
            self.answer = request(self)
        except (MigratorError, Killed):  # refused, or its process is gone
            pass
        finally:
            self._arrived.set()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self._arrived.set()
        self._go.wait()
        with self._world.db.write() as connection:
            yield connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.db, name)


def _restart(world: World, host: str) -> bool:
    """The agent is gone, and comes back in a moment; False: the host is down anyway."""
    if host in world.dead:
        return False
    world.killed(host)
    return True


def journal_lost(world: World, strike: Strike) -> None:
    if _restart(world, strike.host):
        world.promises.forget(strike.host)
        world.journals[strike.host].clear()


def journal_restored(world: World, strike: Strike) -> None:
    """From a copy that was made before the operation."""
    if _restart(world, strike.host):
        world.promises.forget(strike.host)
        world.journals[strike.host][:] = strike.journals[strike.host]


def lease_lost(world: World, strike: Strike) -> None:
    if _restart(world, strike.host):
        _lease(world, strike.host).unlink(missing_ok=True)


def lease_damaged(world: World, strike: Strike) -> None:
    """Half of the file is there."""
    if _restart(world, strike.host) and _lease(world, strike.host).exists():
        text = _lease(world, strike.host).read_text()
        _lease(world, strike.host).write_text(text[: len(text) // 2])


def lease_restored(world: World, strike: Strike) -> None:
    if _restart(world, strike.host) and strike.host in strike.leases:
        _lease(world, strike.host).write_text(strike.leases[strike.host])


def lease_of_another_machine(world: World, strike: Strike) -> None:
    """A disk that was cloned: the file is newer than this host's own."""
    other = "n3" if strike.host != "n3" else "n1"
    if _restart(world, strike.host) and _lease(world, other).exists():
        _lease(world, strike.host).write_text(_lease(world, other).read_text())


def _lease(world: World, host: str) -> Path:
    file = world.lease_file(host)
    assert file is not None
    return file


def disk_full(world: World, strike: Strike) -> None:
    """Journal, images and local pool; an operator makes room after a while."""
    pool = world.simulation.hosts[strike.host].pools["local"]
    taken = max(0, pool.free_bytes)
    world.full_disks.add(strike.host)
    pool.taken_bytes += taken

    def empty() -> None:
        world.full_disks.discard(strike.host)
        pool.taken_bytes -= taken

    world.at(strike.lasts_s, empty)


def step_hangs(world: World, strike: Strike) -> None:
    """The next one there: it acts when it returns, whatever was decided until then."""
    world.hangs_s[strike.host] = strike.lasts_s


def calls_held_up(world: World, strike: Strike) -> None:
    """The host's next registration, poll and facts reach one of two servers late."""
    world.held_calls[strike.host] = strike.lasts_s, {"register", "poll", "facts"}


def server_held_up(world: World, strike: Strike) -> None:
    """A second server has read and decided, and writes late."""
    _hold_up(world, strike, lambda db: Reconciler(db, world.settings, world.wake).sweep())


def request_held_up(world: World, strike: Strike) -> None:
    """A client's, about an instance that is somewhere else by then, or gone."""
    with world.db.read() as connection:
        uuids = [row.uuid for row in connection.exec_driver_sql("SELECT uuid FROM instances ORDER BY uuid")]
    if uuids:
        act = strike.chance.choice(list(_REQUESTS.values()))
        held = _hold_up(world, strike, lambda db: act(db, uuids[-1]))
        world.at(strike.lasts_s + _CLIENT_S, lambda: _confirm(world, uuids[-1], held.answer))


def _confirm(world: World, uuid: str, operation_id: object) -> None:
    """The client of a migration that was accepted late confirms it, or else it would wait for that for ever."""
    if not isinstance(operation_id, int):
        return
    with world.db.read() as connection:
        row = operations.get(connection, operation_id)
    if row is None or not row.active:
        return
    if row.phase == "verify" and row.forward:
        with suppress(MigratorError):
            world.ask(lambda: cold.confirm(world.db, CALLER, uuid))
    world.at(_CLIENT_S, lambda: _confirm(world, uuid, operation_id))


_REQUESTS: Mapping[str, Callable[[Any, str], object]] = {
    "stop": lambda db, uuid: requests.stop(db, CALLER, uuid),
    "start": lambda db, uuid: requests.start(db, CALLER, uuid),
    "reboot": lambda db, uuid: requests.reboot(db, CALLER, uuid, soft=False),
    "delete": lambda db, uuid: requests.delete_instance(db, CALLER, uuid),
    "live migration": lambda db, uuid: requests.live_migrate(db, CALLER, uuid, host="n3", block=None),
    "migration": lambda db, uuid: cold.migrate(db, CALLER, uuid, host="n3"),
    "confirm": lambda db, uuid: cold.confirm(db, CALLER, uuid),
    "revert": lambda db, uuid: cold.revert(db, CALLER, uuid),
}


def _hold_up(world: World, strike: Strike, request: Callable[[Any], object]) -> HeldUp:
    held = HeldUp(world, request)
    strike.held.append(held)
    world.at(strike.lasts_s, held.release)
    return held


MISHAPS: Mapping[str, Mishap] = {
    "journal-lost": journal_lost,
    "journal-restored": journal_restored,
    "lease-lost": lease_lost,
    "lease-restored": lease_restored,
    "lease-of-another-machine": lease_of_another_machine,
    "disk-full": disk_full,
    "step-hangs": step_hangs,
    "calls-held-up": calls_held_up,
    "server-held-up": server_held_up,
    "request-held-up": request_held_up,
    "lease-damaged": lease_damaged,
    **DISASTERS,
}


def lease_s(mishap: str) -> float:
    """Agents have a lease where it is about one."""
    return LEASE_S if mishap.startswith(("lease", "power")) else 0.0
