"""Reads what a plan for balance is made of: hosts and instances with what they really use. Changes nothing.

Checks are asked only of instances that a plan proposes, and the plan is made again with their answers, until it has
none that was not asked: to check every instance against every host would take minutes in a large fleet.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from migrator.db import drains, hosts, instances, use_samples
from migrator.db.engine import Connection
from migrator.db.rows import InstanceRow
from migrator.db.use_samples import UseRow
from migrator.operations import Kind
from migrator.scheduler.checks.finding import Candidate, PlacementRequest
from migrator.scheduler.fleet import planning
from migrator.scheduler.fleet.balance.model import (
    BalancePlan,
    BalanceRequest,
    GuestLoad,
    HostLoad,
    Limits,
    Objective,
    Use,
)
from migrator.scheduler.fleet.balance.planner import plan
from migrator.scheduler.fleet.plan.forecast import BANDWIDTH_MIB_S, DOUBT, FORECASTS, MoveSize
from migrator.scheduler.fleet.plan.model import Room, Way
from migrator.scheduler.placement import preflight
from migrator.scheduler.requests.requests import ALLOWED
from migrator.scheduler.state import host_views, surveys
from migrator.scheduler.state.effects import amounts
from migrator.settings import ServerSettings

BALANCE = "migrator:balance"  # an instance's metadata: "off" keeps it where it is
_ROUNDS = 20  # of plans, each with the checks of the one before


@dataclass(frozen=True, slots=True)
class BalanceOptions:
    """What an operator asks of a rebalance. ``at_most``: moves; ``horizon_s``: s within which a move's gain has to
    outlast its cost."""

    objective: Objective
    at_most: int
    horizon_s: float


def propose(connection: Connection, options: BalanceOptions, settings: ServerSettings) -> BalancePlan:
    return _Reading(connection, options, settings).proposed()


class _Reading:
    def __init__(self, connection: Connection, options: BalanceOptions, settings: ServerSettings) -> None:
        self._connection, self._options, self._settings = connection, options, settings
        self._rows = {row.uuid: row for row in instances.on_hosts(connection)}
        names = hosts.every(connection)
        seen = surveys.load(connection, None, None)
        found = host_views.candidates(names, settings.service_down_time)
        self._candidates = [replace(one, surveyed=seen.get(one.host.name)) for one in found]
        self._used = {
            (row.host, row.instance_uuid): row for row in use_samples.window(connection, settings.rebalance_window)
        }
        self._needs: dict[str, PlacementRequest] = {}

    def proposed(self) -> BalancePlan:
        request = self._request()
        for _ in range(_ROUNDS):
            found = plan(request)
            new = [one.guest.uuid for one in found.proposals if one.guest.uuid not in self._needs]
            if not new:
                return found
            request = replace(request, guests=self._checked(request.guests, new))
        closed = [one if one.uuid in self._needs else replace(one, closed="not looked at") for one in request.guests]
        return plan(replace(request, guests=closed))

    def _request(self) -> BalanceRequest:
        options, settings = self._options, self._settings
        floors = settings.rebalance_floor, settings.rebalance_memory_floor
        limits = Limits(options.at_most, options.horizon_s, *floors, settings.rebalance_gap, settings.rebalance_fill)
        bandwidth, pause_s = settings.live_migration_bandwidth or BANDWIDTH_MIB_S, settings.live_migration_downtime
        lonely, guests = _lonely(self._candidates), []
        for row in self._rows.values():
            used = self._used.get((row.host or "", row.uuid))
            if used is not None:
                guests.append(_guest(row, used, lonely, bandwidth, pause_s / 1000))
        return BalanceRequest(options.objective, self._hosts(), guests, limits)

    def _hosts(self) -> list[HostLoad]:
        names = [one.host.name for one in self._candidates]
        busy = {row.host for row in drains.active_of(self._connection, names)}
        counts = Counter(row.host for row in self._rows.values())
        return [_host(c, self._used.get((c.host.name, "")), counts[c.host.name], busy) for c in self._candidates]

    def _checked(self, guests: Sequence[GuestLoad], new: Sequence[str]) -> list[GuestLoad]:
        """With the answers of the table of checks about these, and the groups of all that were asked."""
        rows = [self._rows[uuid] for uuid in new]
        sources, names = {row.host or "" for row in rows}, [one.host.name for one in self._candidates]
        origins = preflight.origins_of(self._connection, sources, names, new, self._settings.service_down_time)
        answers: dict[str, tuple[str, Mapping[str, str]]] = {}
        for row in rows:
            try:
                need = preflight.request_of(self._connection, row, origins.get(row.host or ""))
                self._needs[row.uuid] = need
                answers[row.uuid] = planning.judged(need, self._candidates)
            except ValidationError:
                answers[row.uuid] = "its description cannot be read", {}
        return [self._with(one, answers) for one in guests]

    def _with(self, guest: GuestLoad, answers: Mapping[str, tuple[str, Mapping[str, str]]]) -> GuestLoad:
        need = self._needs.get(guest.uuid)
        if need is not None:
            group = planning.group_of(need.neighbours, self._rows[guest.uuid].server_group, self._needs)
            guest = replace(guest, group=group)
        if guest.uuid in answers:
            closed, refusals = answers[guest.uuid]
            guest = replace(guest, closed=guest.closed or closed, refusals=refusals)
        return guest


def _lonely(candidates: Sequence[Candidate]) -> set[tuple[str, str]]:
    """(host, pool) of pools that no other host shares: their disks are copied."""
    pools = [
        (one.host.name, name, pool.identity) for one in candidates for name, pool in one.host.report.storage.items()
    ]
    shared = Counter(identity for _, _, identity in pools)
    return {(host, name) for host, name, identity in pools if shared[identity] == 1}


def _host(one: Candidate, used: UseRow | None, number: int, busy: set[str]) -> HostLoad:
    host, room = one.host, Room(one.free_vcpus, one.free_memory_mb, one.free_disk_gb)
    closed = _closed(one, used, busy)
    use = Use(used.cpus, used.memory_mb) if used is not None else Use()
    return HostLoad(host.name, Use(host.report.vcpus, host.report.memory_mb), room, use, number, closed)


def _closed(one: Candidate, used: UseRow | None, busy: set[str]) -> str:
    host = one.host
    if not host.up:
        return host.unreadable or "it is down"
    if host.name in busy:
        return "it is being drained, or restored"
    if host.disabled:
        return "it takes no instances"
    if not (host.report.vcpus and host.report.memory_mb):
        return "it has no processors or no memory"
    return "" if used is not None else "nothing is measured of it"


def _guest(
    row: InstanceRow, used: UseRow, lonely: set[tuple[str, str]], bandwidth_mib_s: float, pause_s: float
) -> GuestLoad:
    vcpus, memory_mb, disk_gb = amounts(row.flavor, volume_backed=bool(row.spec.get("home")))
    disks = row.spec.get("disks") or ()
    copied_gb = sum(disk.get("size_gb", 0) for disk in disks if (row.host, disk.get("pool")) in lonely)
    load = MoveSize(memory_mb, copied_gb, bandwidth_mib_s, pause_s, runs=True)
    duration_s, downtime_s = FORECASTS[Way.LIVE](load)
    return GuestLoad(
        row.uuid,
        row.name,
        row.host or "",
        Room(vcpus, memory_mb, disk_gb),
        Use(used.cpus, used.memory_mb),
        Use(used.cpus_peak, used.memory_peak_mb),
        duration_s,
        downtime_s,
        memory_mb + copied_gb * 1024.0,
        DOUBT,
        closed=_stays(row),
    )


def _stays(row: InstanceRow) -> str:
    if (row.metadata or {}).get(BALANCE) == "off":
        return f"its metadata has {BALANCE}=off"
    if row.task_state is not None:
        return f"it is busy ({row.task_state})"
    return "" if row.vm_state in ALLOWED[Kind.LIVE_MIGRATION][1] else f"it is {row.vm_state}"
