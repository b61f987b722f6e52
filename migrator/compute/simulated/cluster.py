"""The simulated world in motion: an injected clock moves it on, hosts crash and links are cut.

It is the hardware and the libvirtds; ``driver.py`` is a driver in front of it, and may be thrown away and made anew (an
agent's restart) while everything here goes on. What there is, and what is true of it, ``cluster_state.py`` says.

Crashes follow what was measured with libvirt: a source's dead daemon ends the transfer and the guest stays; a
destination's dead daemon makes it fail at once and its leftover goes when the daemon returns; a cut link only delays.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from migrator.compute.simulated import disk_copy, live_migration
from migrator.compute.simulated.cluster_state import ClusterState
from migrator.compute.simulated.state import FileCopy, Transfer
from migrator.protocol import DomainState

FaultHook = Callable[[str, str, str], None]
"""Asked with (host, method, "before" | "after") around each driver call; may raise a DriverError."""


class SimulatedCluster(ClusterState):
    """All simulated hosts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.fault: FaultHook | None = None

    def running_on(self, uuid: str) -> list[str]:
        """Hosts on which the instance executes guest code now."""
        self.advance()
        return [e.host for e in self.executions if e.uuid == uuid and e.until is None]

    def write_console(self, uuid: str, line: str) -> None:
        """The running guest writes a line to its console."""
        for host in self.running_on(uuid):
            self.hosts[host].write_console(uuid, line)

    # crashes and cuts
    def kill_daemon(self, name: str) -> None:
        """``kill -9`` of a host's libvirtd: its guests go on, its transfers do not."""
        self.advance()
        self.hosts[name].daemon_up = False
        now = self.clock()
        for transfer in [t for t in self.transfers.values() if name in (t.source, t.destination)]:
            if transfer.source == name:
                live_migration.fail(self, transfer, "the source's libvirtd died", now)
            else:
                live_migration.fail(self, transfer, "operation failed: client socket is closed", now)
        for copy in [c for c in self.copies.values() if c.source == name]:
            disk_copy.fail(self, copy, disk_copy.lost(name), now)

    def start_daemon(self, name: str) -> None:
        self.advance()
        host, now = self.hosts[name], self.clock()
        host.daemon_up = True
        arriving = {t.uuid for t in self.transfers.values() if t.destination == name}
        for uuid, domain in list(host.domains.items()):
            if domain.state is DomainState.INCOMING and uuid not in arriving:
                self.drop_domain(name, uuid, now)
            elif domain.state is DomainState.PAUSED and domain.reason == "migration":
                self.set_state(name, uuid, DomainState.RUNNING, "migration-canceled", now)
            elif domain.state is DomainState.SHUT_OFF:
                domain.reason = None  # why a domain stopped is not remembered across a restart

    def power_off(self, name: str) -> None:
        """The host loses power: its guests are gone with it, their definitions stay. So does the one of a guest that
        has left, unless its removal was synced to the disk."""
        self.kill_daemon(name)
        host, now = self.hosts[name], self.clock()
        host.powered = False
        host.offers.clear()
        host.lent.clear()
        self.end_copies(name)
        for uuid, domain in list(host.domains.items()):
            if domain.state is DomainState.INCOMING:
                self.drop_domain(name, uuid, now)
            elif domain.state is not DomainState.SHUT_OFF:
                self.set_state(name, uuid, DomainState.SHUT_OFF, "crashed", now)
        for forgotten in list(host.unsynced.values()):
            self.put_domain(name, replace(forgotten, state=DomainState.SHUT_OFF, reason=None))

    def power_on(self, name: str) -> None:
        self.hosts[name].powered = True
        self.hosts[name].boots += 1
        self.start_daemon(name)

    def end_copies(self, name: str) -> None:
        """The agent of ``name`` is gone, and the copies with it that it was making."""
        with self.lock:
            self.copies = {key: copy for key, copy in self.copies.items() if copy.destination != name}

    def cut(self, one: str, other: str) -> None:
        """Nothing passes between two hosts until ``heal``."""
        self.advance()
        self.cuts.add(frozenset((one, other)))
        for moving in self._moving():
            if not self.reachable(moving.source, moving.destination) and moving.stalled_since is None:
                moving.stalled_since = self.clock()

    def heal(self, one: str, other: str) -> None:
        self.advance()
        self.cuts.discard(frozenset((one, other)))
        for moving in self._moving():
            if moving.stalled_since is not None and self.reachable(moving.source, moving.destination):
                moving.ends_at += self.clock() - moving.stalled_since
                moving.stalled_since = None

    def _moving(self) -> list[Transfer | FileCopy]:
        return [*self.transfers.values(), *self.copies.values()]

    # time
    def advance(self) -> None:
        """Let happen whatever should have happened by now, in the order of its instants."""
        with self.lock:
            now = self.clock()
            while (due := self._earliest()) is not None and due[0] <= now:
                at, uuid, happen = due
                happen(uuid, at)

    def _earliest(self) -> tuple[float, str, Callable[[str, float], None]] | None:
        due: list[tuple[float, str, Callable[[str, float], None]]] = []
        due += [(t.ends_at, t.uuid, self._step) for t in self.transfers.values() if t.stalled_since is None]
        due += [(c.ends_at, c.uuid, partial(self._copied, c)) for c in self.copies.values() if c.stalled_since is None]
        due += [(at, uuid, self._stop) for uuid, (_, at) in self.stopping.items()]
        return min(due, key=lambda one: one[:2], default=None)

    def _step(self, uuid: str, _at: float) -> None:
        live_migration.step(self, self.transfers[uuid])

    def _copied(self, copy: FileCopy, _uuid: str, at: float) -> None:
        disk_copy.step(self, copy, at)

    def _stop(self, uuid: str, at: float) -> None:
        host, _ = self.stopping.pop(uuid)
        domain = self.hosts[host].domains.get(uuid)
        if domain is not None and domain.state is DomainState.RUNNING:
            self.set_state(host, uuid, DomainState.SHUT_OFF, "shutdown", at)
