"""A whole cluster in one thread: server, agents, network, simulated hypervisors, one virtual clock.

``World.run`` moves time from one due thing to the next until the cluster is at rest. Deterministic: the same faults
at the same boundaries give the same run.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.state import MIB, Behaviour
from migrator.db import images, operations, volumes
from migrator.scheduler.requests import build as building
from migrator.scheduler.requests.build import NewInstance
from migrator.scheduler.requests.requests import Caller
from migrator.scheduler.state import database_clock
from migrator.settings import ServerSettings
from tests.world.database import WorldDatabase
from tests.world.faults import Fault, Faults, Killed
from tests.world.network import Network
from tests.world.newest import NewestData, given_up
from tests.world.processes import RETRY_S, AgentProcess, Server
from tests.world.promises import Promises

HOSTS = ("n1", "n2", "n3")
VOLUME = "nbd://10.0.0.250:10809/data"
SWEEP_S = 5.0
RESTART_S = 0.5  # a killed process is back after so long
STEP_S = 0.02  # between two things that are due at once
LONGEST_S = 900.0
CALLER = Caller("user", "project", "req-world")
FLAVOR = {"id": 1, "name": "nano", "flavorid": "1", "vcpus": 1, "memory_mb": 32, "disk_gb": 1}
IMAGE = {
    "name": "guest",
    "visibility": "public",
    "disk_format": "qcow2",
    "container_format": "bare",
    "size": 1,
    "checksum_sha256": "0" * 64,
    "properties": {},
    "tags": [],
}


class NotAtRest(AssertionError):
    """Components are healthy and an operation is still open."""


class World(Network):
    longest_s = LONGEST_S

    def __init__(
        self,
        url: str,
        *,
        seed: int | None = None,
        rate: float = 0.0,
        planned: dict[int, Fault] | None = None,
        lease_s: float = 0.0,
    ):
        """``lease_s``: the agents' self-fencing lease; their files lie beside the database."""
        super().__init__()
        self.time = 1_800_000_000.0
        self.faults = Faults(planned or {}, Random(seed) if seed is not None else None, rate)
        self.simulation = SimulatedCluster(lambda: self.time)
        self.simulation.default_behaviour = Behaviour(dirty_bytes_per_s=1 * MIB)
        self.simulation.fault = self._driver_call
        self.clock_error_s = 0.0  # of the database's clock
        self.db = WorldDatabase(url, lambda: self.time + self.clock_error_s, self.faults)
        self.settings = ServerSettings(database=url)
        self.image = self._registered_image()
        self.server = self._new_server()
        self.journals: dict[str, list[bytes]] = {}
        self.lease_s = lease_s
        self.full_disks: set[str] = set()  # hosts
        self.hangs_s: dict[str, float] = {}  # host -> for how long the next step there hangs
        self.agents: dict[str, AgentProcess] = {}
        self.later: list[tuple[float, Callable[[], Any]]] = []
        self.dead: set[str] = set()  # hosts without power, or whose agent is gone for good
        self.treasures: set[tuple[str, str]] = set()  # (storage, instance): a disk must be there, in place or aside
        self.lost: list[str] = []
        self.lost_images: set[str] = set()  # that the catalogue has no bytes of
        self.handed_over: set[str] = set()  # instances that their clients have had, whatever a database says of them
        self.newest = NewestData(self.simulation, self._given_up, self.lost)
        self.build_pool = ""  # of the instance built last
        self.sweep_at = self.time + SWEEP_S
        self.counters_s = 0.0  # between two facts that only tell how far a transfer is; 0: there are none
        self._beat()
        self._driver_fault: Fault | None = None
        self.names: tuple[str, ...] = HOSTS  # of machines
        self._add_hosts()

    def _registered_image(self) -> dict[str, Any]:
        with self.db.write() as connection:
            made = images.create(connection, IMAGE)
            images.change(connection, made.id, {"status": "active"})  # its bytes are there
            return dict(images.get(connection, made.id)._asdict())

    def _add_hosts(self) -> None:
        self.promises = Promises(self.lost)
        for name in HOSTS:
            self.simulation.add_host(name, memory_mb=4096, local_gb=20, bandwidth_bytes_per_s=200 * MIB)
            self.journals[name] = []
            self.start_agent(name)

    def close(self) -> None:
        self.db.close()

    # processes
    def start_agent(self, name: str) -> None:
        if name in self.dead or name in self.agents:
            return
        try:
            self.agents[name] = AgentProcess(name, self.simulation, self.journals[name], self.faults, self)
        except Killed:
            self.at(RESTART_S, lambda: self.start_agent(name))

    def lease_file(self, name: str) -> Path | None:
        return Path(self.db.url.removeprefix("sqlite:///")).with_name(f"lease-{name}") if self.lease_s else None

    def restart_server(self) -> None:
        """With the settings of now."""
        self.server = self._new_server()

    def without_server(self, seconds: float) -> None:
        """Every server is gone for so long; agents and guests go on."""
        back_at = self.time + seconds
        self.away = True
        self.run(lambda: self.time >= back_at, longest=seconds + 10)
        self.away = False
        self.server = self._new_server()
        self._beat()

    def _beat(self) -> None:
        """What keeps time beside the requests; not a boundary of any of them."""
        with self.db.engine.begin() as connection:
            database_clock.note(connection, self.server.heartbeat)

    def killed(self, component: str) -> None:
        if component == "server":
            self.server = self._new_server()
            self.sweep_at = self.time + RESTART_S
            return
        self.agents.pop(component, None)
        self.simulation.end_copies(component)
        self.at(RESTART_S, lambda: self.start_agent(component))

    def silence(self, name: str) -> None:
        """The agent is gone; whatever runs on its host goes on."""
        self.dead.add(name)
        self.agents.pop(name, None)
        self.simulation.end_copies(name)

    def lose(self, name: str) -> None:
        """The host has no power."""
        self.silence(name)
        self.simulation.power_off(name)

    def bring_back(self, name: str) -> None:
        self.dead.discard(name)
        if not self.simulation.hosts[name].powered:
            self.simulation.power_on(name)
        self.start_agent(name)

    def at(self, delay: float, act: Callable[[], Any]) -> None:
        self.later.append((self.time + delay, act))

    def guarded(self, act: Callable[[], Any]) -> Any:
        """Run a piece of a process; if it is killed in it, it is gone, and the answer None."""
        try:
            return act()
        except Killed as killed:
            self.killed(killed.component)
            return None

    def _new_server(self) -> Server:
        return Server(self.db, self.settings, self.wake, lambda: self.time)

    def wake(self, hosts: Iterable[str]) -> None:
        for host in sorted(hosts):
            if host in self.agents:
                self.agents[host].poll_at = min(self.agents[host].poll_at, self.time)

    def _driver_call(self, host: str, method: str, when: str) -> None:
        if when == "before":
            self.newest.begin()
            self._driver_fault = self.faults.arrive(host, method)
            if self._driver_fault is Fault.KILL_BEFORE:
                raise Killed(host)
            return
        self.newest.end(f"at {self.time:.2f} {method} on {host}")
        if self._driver_fault is Fault.KILL_AFTER:
            raise Killed(host)

    # time
    def run(self, until: Callable[[], bool] | None = None, longest: float | None = None) -> None:
        """Go on until ``until``, or until nothing is left to do. Raises NotAtRest."""
        deadline = self.time + (self.longest_s if longest is None else longest)
        while not (until() if until is not None else self.at_rest()):
            if self.time > deadline:
                raise NotAtRest(f"{self.describe()}; faults: {self.faults.struck}")
            self.tick()

    def tick(self) -> None:
        dues = [self.sweep_at, *(agent.due for agent in self.agents.values()), *(at for at, _ in self.later)]
        self.time = max(self.time + STEP_S, min(dues))
        with self.newest.during("time"):
            self.simulation.advance()
        ready = [act for at, act in self.later if at <= self.time]
        self.later = [(at, act) for at, act in self.later if at > self.time]
        for act in ready:
            act()
        for name in self.names:
            agent = self.agents.get(name)
            if agent is not None and agent.due <= self.time:
                self.guarded(agent.step)
        self._watch()
        if self.sweep_at <= self.time:
            self.sweep_at = self.time + SWEEP_S
            if self.away:
                return
            self._beat()
            self.guarded(lambda: self.server.reconciler.sweep())

    def treasure(self, uuid: str) -> None:
        """What the instance has on local storage now holds data that is nowhere else: it is never to be destroyed."""
        local = [s for s in self.simulation.storages.values() if s.identity != "shared" and (uuid, "vda") in s.disks]
        self.treasures |= {(storage.identity, uuid) for storage in local}

    def _watch(self) -> None:
        self.promises.look(self.agents, self.time)
        for identity, uuid in list(self.treasures):
            if (uuid, "vda") not in self.simulation.storages[identity].disks:
                self.lost.append(f"at {self.time:.2f} what {uuid} had on {identity} was destroyed")
                self.treasures.discard((identity, uuid))

    def _given_up(self, uuid: str) -> bool:
        return given_up(self.db, uuid, self.handed_over)

    def at_rest(self) -> bool:
        simulation = self.simulation
        if self.later or len(self.agents) + len(self.dead) < len(self.names):
            return False
        if simulation.transfers or simulation.stopping or simulation.copies:
            return False
        if any(agent.held or agent.outbox or agent.hanging for agent in self.agents.values()):
            return False
        with self.db.read() as connection:
            return not operations.active_ids(connection)

    def describe(self) -> str:
        with self.db.read() as connection:
            rows = [operations.get(connection, ident) for ident in operations.active_ids(connection)]
        open_ = [(r.kind, r.phase, r.forward, r.epoch, r.wait_reason) for r in rows]
        return f"open: {open_}, held: {[(n, list(a.held)) for n, a in self.agents.items()]}"

    # a client of the API
    def ask(self, request: Callable[[], Any]) -> Any:
        """One request: begun in one transaction, then a hint to the reconciler. None: the server died under it."""
        answer = self.guarded(request)
        operation_id = answer[1] if isinstance(answer, tuple) else answer
        if isinstance(operation_id, int):
            self.guarded(lambda: self.server.reconciler.reconcile(operation_id))
        return answer

    def build(self, pool: str) -> str | None:
        """On n1. ``pool`` "mixed": the root disk on shared storage, an ephemeral one that is local; "volume": its root
        disk is one; "volume-mixed": the root disk is local, and there is a volume beside it."""
        self.build_pool = pool
        if pool.startswith("volume"):
            return self._build_with_volume(root=pool == "volume")
        flavor = {**FLAVOR, "extra_specs": {building.STORAGE_EXTRA_SPEC: pool}}
        if pool == "mixed":
            extra = {building.STORAGE_EXTRA_SPEC: "shared", building.EPHEMERAL_EXTRA_SPEC: "local"}
            flavor |= {"ephemeral_gb": 1, "extra_specs": extra}
        new = NewInstance("guest", flavor, self.image, requested_host="n1", config_drive=True)
        answer = self.ask(lambda: building.create_instance(self.db, CALLER, new))
        return answer[0] if answer is not None else None

    def _build_with_volume(self, *, root: bool) -> str | None:
        """Kernel and all: what lies beside no disk has to be found where it goes, too."""
        flavor = {**FLAVOR, "extra_specs": {building.STORAGE_EXTRA_SPEC: "local"}}
        with self.db.write() as connection:
            ident = volumes.create(connection, "data", VOLUME, 1, None)
        new = NewInstance("guest", flavor, None if root else self.image, requested_host="n1", config_drive=True)
        new = replace(new, boot_volume=ident) if root else replace(new, volumes=(ident,))
        answer = self.ask(lambda: building.create_instance(self.db, CALLER, new))
        return answer[0] if answer is not None else None

    def settle(self) -> None:
        """All faults are over: restart what is down, let late messages arrive, come to rest."""
        self.run()
        self.time += RETRY_S
        self.tick()
        self.run()
