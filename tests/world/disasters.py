"""Mishaps that come from outside of the product: a power cut, a clock that is set, hands on virsh, a second machine, a
copied marker, a database from a backup.

Owns what each of them does, and when it is over. Says nothing about what should follow: ``rules`` does.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from migrator.compute.simulated.state import MIB, Domain
from migrator.db import operations
from migrator.errors import DriverError
from migrator.protocol import DomainState
from tests.world.backups import restore
from tests.world.processes import AgentProcess
from tests.world.world import HOSTS, World

if TYPE_CHECKING:
    from tests.world.mishaps import Mishap, Strike

CLONE = "clone"  # the second machine, as the cluster knows it
SYNCED_S = 5.0  # by then a file system has written what it was not asked to
_CLOCK_S = 3600.0
_ABOUT_TO_START = ("copy", "rebuild", "start")


@dataclass(frozen=True)
class OnDisk:
    """The definitions that each host has on its own disk at a moment: of all but what is only arriving."""

    at: float
    definitions: Mapping[str, Mapping[str, Domain]]

    @classmethod
    def of(cls, world: World) -> Self:
        hosts = world.simulation.hosts
        defined = {n: {u: replace(d) for u, d in host.domains.items() if d.persistent} for n, host in hosts.items()}
        return cls(world.time, defined)


class Interrupted(AssertionError):
    """The database is another one: what the scenario's client has in mind is nothing any more."""


def power_cut(world: World, strike: "Strike") -> None:
    """What was not synced is as it was a moment before; the power is back after a while. Files are removed and renamed
    durably (``tests/unit/compute/storage``), and a journal's line is durable once it is relied upon."""
    host = strike.host
    if host in world.dead:
        return
    world.lose(host)
    _forget_definitions(world, strike)
    if world.journals[host] and strike.chance.random() < 0.5:
        world.journals[host].append(b'{"operation": "')  # the agent was writing it, and relied on nothing of it
    _forget_lease(world, strike)
    world.at(strike.lasts_s, lambda: world.bring_back(host))


def _forget_definitions(world: World, strike: "Strike") -> None:
    """libvirt renames a definition's file and syncs no directory."""
    host = world.simulation.hosts[strike.host]
    before = strike.unsynced(world.time).definitions[strike.host]
    for uuid in list(host.domains):
        if uuid not in before:
            world.simulation.drop_domain(strike.host, uuid, world.time)
        elif host.domains[uuid].operation_id != before[uuid].operation_id:
            world.simulation.put_domain(strike.host, replace(before[uuid], state=DomainState.SHUT_OFF, reason=None))


def _forget_lease(world: World, strike: "Strike") -> None:
    file = world.lease_file(strike.host)
    if file is None or not file.exists():
        return
    became = strike.chance.choice(("as it was", "empty", "older", "gone"))
    if became == "empty":
        file.write_text("")
    elif became == "older" and strike.host in strike.leases:
        file.write_text(strike.leases[strike.host])
    elif became == "gone":
        file.unlink()


def clock_set_back(world: World, _strike: "Strike") -> None:
    world.clock_error_s -= _CLOCK_S


def clock_set_ahead(world: World, _strike: "Strike") -> None:
    world.clock_error_s += _CLOCK_S


def destroyed_by_hand(world: World, _strike: "Strike") -> None:
    for name, uuid in _domains(world, lambda domain: domain.state is not DomainState.SHUT_OFF):
        with suppress(DriverError):
            world.agents[name].driver.destroy(uuid)


def undefined_by_hand(world: World, strike: "Strike") -> None:
    destroyed_by_hand(world, strike)
    for name, uuid in _domains(world, lambda domain: domain.state is DomainState.SHUT_OFF):
        with suppress(DriverError):
            world.agents[name].driver.undefine(uuid)


def started_by_hand(world: World, _strike: "Strike") -> None:
    """Where the newest data is, and while it runs nowhere: an operator who starts an older copy, or one just before the
    other is started, has done the harm."""
    with world.db.read() as connection:
        starting = {
            row.instance_uuid
            for ident in operations.active_ids(connection)
            if (row := operations.get(connection, ident)) is not None and row.phase in _ABOUT_TO_START
        }
    for name, uuid in _domains(world, lambda domain: domain.state is DomainState.SHUT_OFF):
        domain = world.simulation.hosts[name].domains[uuid]
        here = {pool.identity for pool in world.simulation.hosts[name].pools.values()}
        targets = [disk.target for disk in domain.spec.disks if not disk.config_drive]
        newest = all(here & set(world.simulation.holders_of_newest(uuid, target)) for target in targets)
        if uuid not in starting and newest and not world.simulation.running_on(uuid) and domain.reason != "saved":
            with suppress(DriverError):
                world.agents[name].driver.define_and_start(
                    domain.spec, domain.operation_id or "", domain.epoch or 0, seal=domain.seal
                )


def _domains(world: World, wanted: Callable[[Domain], bool]) -> list[tuple[str, str]]:
    return [
        (name, uuid)
        for name in world.names
        if name in world.agents and world.simulation.hosts[name].daemon_up
        for uuid, domain in list(world.simulation.hosts[name].domains.items())
        if wanted(domain)
    ]


def twin(world: World, of: str) -> AgentProcess:
    """Another machine with the same name, credential and journal."""
    world.names = (*HOSTS, CLONE)
    world.simulation.add_host(CLONE, memory_mb=4096, local_gb=20, bandwidth_bytes_per_s=200 * MIB)
    world.journals[CLONE] = list(world.journals[of])
    agent = AgentProcess(CLONE, world.simulation, world.journals[CLONE], world.faults, world)
    agent.host = of
    world.agents[CLONE] = agent

    def wake(names: Iterable[str]) -> None:
        for one in world.agents.values():
            if one.host in set(names):
                one.poll_at = min(one.poll_at, world.time)

    world.wake = wake  # type: ignore[assignment,method-assign]
    world.restart_server()
    return agent


def second_machine(world: World, strike: "Strike") -> None:
    """Of a host that is there: a machine in the place of one that is gone is that host from then on."""
    if strike.host not in world.dead:
        twin(world, strike.host)


def marker_copied(world: World, strike: "Strike") -> None:
    """Another host's own pool bears the marker of this one's; a copy of what lies there may have come with it."""
    other = "n2" if strike.host != "n2" else "n1"
    own, found = (world.simulation.hosts[name].pools["local"] for name in (strike.host, other))
    found.identity = own.identity
    if strike.chance.random() < 0.5:
        found.proofs |= own.proofs
        for key, file in own.disks.items():
            found.disks.setdefault(key, copy.deepcopy(file))
    if other in world.agents:
        world.agents[other].registered = False


def database_restored(world: World, strike: "Strike") -> None:
    restore(world, strike.saved)
    raise Interrupted("the database was restored")


DISASTERS: Mapping[str, "Mishap"] = {
    "power-cut": power_cut,
    "clock-set-back": clock_set_back,
    "clock-set-ahead": clock_set_ahead,
    "destroyed-by-hand": destroyed_by_hand,
    "undefined-by-hand": undefined_by_hand,
    "started-by-hand": started_by_hand,
    "second-machine": second_machine,
    "marker-copied": marker_copied,
    "database-restored": database_restored,
}
# Whatever follows on these, records and hosts may differ until an operator has a say, and operations may fail.
DISTURBING = frozenset(DISASTERS) - {"clock-set-back", "clock-set-ahead", "second-machine"}
