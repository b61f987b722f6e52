"""Reads what the planner is given: hosts with their room, instances with their ways, checks' results. Changes nothing.

The checks are those of the scheduler's table: the preflight's for a live move, without the live ones for a cold one.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from migrator.db import drains, hosts
from migrator.db.engine import Connection
from migrator.db.rows import InstanceRow
from migrator.operations import Kind
from migrator.scheduler.checks.filters import failed
from migrator.scheduler.checks.finding import Candidate, PlacementRequest
from migrator.scheduler.checks.neighbours import ANTI_AFFINITY, SOFT_ANTI_AFFINITY, Neighbours
from migrator.scheduler.fleet.plan.forecast import BANDWIDTH_MIB_S, DOUBT, FORECASTS, MoveSize
from migrator.scheduler.fleet.plan.model import (
    MOVES,
    Budgets,
    Group,
    Guest,
    HostOffer,
    Option,
    PlanRequest,
    Room,
    Way,
)
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest
from migrator.scheduler.placement import preflight
from migrator.scheduler.requests.requests import ALLOWED
from migrator.scheduler.state import host_views, surveys
from migrator.scheduler.state.effects import amounts
from migrator.settings import ServerSettings

PRIORITY = "migrator:priority"  # an instance's metadata: the highest goes first
_OF_THE_SOURCE = frozenset({"instance", "devices"})  # checks whose answer no destination changes
_PLANNED = frozenset({"vcpus", "memory"})  # what the planner compares itself
_APART = frozenset({ANTI_AFFINITY, SOFT_ANTI_AFFINITY})
_KINDS = {Way.LIVE: Kind.LIVE_MIGRATION, Way.COLD: Kind.MIGRATION, Way.STOP: Kind.STOP, Way.START: Kind.START}
STOPPED = frozenset({"stopped", "suspended"})


@dataclass(frozen=True, slots=True)
class InstanceWays:
    """An instance to be planned, and the ways that are allowed for it."""

    row: InstanceRow
    ways: Sequence[Way]


def budgets_of(request: DrainRequest, settings: ServerSettings) -> Budgets:
    whole = settings.drain_at_most_in_fleet if Way.EVACUATE in request.strategies else settings.drain_at_most
    per_source = request.at_most or whole  # a lost host has nothing to do with its evacuations
    return Budgets(per_source, settings.drain_at_most_per_destination, settings.drain_at_most_in_fleet)


def load(
    connection: Connection,
    wanted: Sequence[InstanceWays],
    request: DrainRequest,
    settings: ServerSettings,
    *,
    drain_id: int = 0,
    deadline_s: float | None = None,
) -> PlanRequest:
    """``drain_id``: whose plan is made anew: what others have planned counts as taken."""
    down_after = settings.service_down_time
    rows = hosts.by_names(connection, request.to) if request.to else hosts.every(connection)
    sources = {one.row.host for one in wanted if one.row.host is not None}
    seen = surveys.load(connection, [row.name for row in rows], sources)
    candidates = [replace(c, surveyed=seen.get(c.host.name)) for c in host_views.candidates(rows, down_after)]
    names, uuids = [row.name for row in rows], [one.row.uuid for one in wanted]
    origins = preflight.origins_of(connection, sources, names, uuids, down_after)
    planned, shared = set(uuids), SharedRefusals()

    def guest(row: InstanceRow, ways: Sequence[Way]) -> Guest:
        need = preflight.request_of(connection, row, origins.get(row.host or ""))
        return guest_of(row, need, _options(row, ways, need, candidates, settings, shared), planned)

    guests = [readable(one.row, one.ways, guest) for one in wanted]
    return PlanRequest(offers(connection, candidates, drain_id), guests, budgets_of(request, settings), deadline_s)


def offers(connection: Connection, candidates: Iterable[Candidate], drain_id: int) -> list[HostOffer]:
    free = {c.host.name: [c.free_vcpus, c.free_memory_mb, c.free_disk_gb] for c in candidates}
    for row in drains.reserved(connection, but=drain_id):
        if row.destination in free:
            taken = amounts(row.flavor, volume_backed=bool(row.spec.get("home")))
            free[row.destination] = [has - part for has, part in zip(free[row.destination], taken, strict=True)]
    return [HostOffer(name, Room(*room)) for name, room in free.items()]


class SharedRefusals:
    """Instances with the same answers share the object, as ``Option`` wants it."""

    def __init__(self) -> None:
        self._known: dict[frozenset[tuple[str, str]], Mapping[str, str]] = {}

    def of(self, refusals: Mapping[str, str]) -> Mapping[str, str]:
        return self._known.setdefault(frozenset(refusals.items()), refusals)


def readable(row: InstanceRow, ways: Sequence[Way], guest: Callable[[InstanceRow, Sequence[Way]], Guest]) -> Guest:
    """What ``guest`` makes of the row once it is at rest, for which a plan is. A bad row is one instance's fault, and
    never that of the whole plan."""
    resting = InstanceRow(*row)._replace(task_state=None)
    try:
        return guest(resting, ways)
    except ValidationError as error:
        return _unreadable(resting, ways, error)


def guest_of(
    row: InstanceRow,
    need: PlacementRequest,
    options: Sequence[Option],
    planned: Collection[str],
    lost_disks: Sequence[Mapping[str, Any]] = (),
) -> Guest:
    """``planned``: the instances of the plan."""
    room, group = Room(need.vcpus, need.memory_mb, need.disk_gb), group_of(need.neighbours, row.server_group, planned)
    return Guest(row.uuid, row.name, row.host or "", room, options, group, _priority_of(row), lost_disks)


def _options(
    row: InstanceRow,
    ways: Sequence[Way],
    need: PlacementRequest,
    candidates: Sequence[Candidate],
    settings: ServerSettings,
    shared: SharedRefusals,
) -> list[Option]:
    estimate = MoveSize(
        need.memory_mb,
        _copied_gb(need, candidates),
        settings.live_migration_bandwidth or BANDWIDTH_MIB_S,
        settings.live_migration_downtime / 1000,
        runs=row.vm_state not in STOPPED,
    )
    options = []
    for way in ways:
        closed, refusals = _answers(way, row, need, candidates)
        duration_s, downtime_s = FORECASTS[way](estimate)
        options.append(Option(way, shared.of(refusals), closed, duration_s, downtime_s, DOUBT))
    return options


def _unreadable(row: InstanceRow, ways: Sequence[Way], error: ValidationError) -> Guest:
    """One that can at most be left."""
    fields = ", ".join(sorted({".".join(map(str, one["loc"])) for one in error.errors(include_input=False)}))
    closed = f"its description cannot be read ({fields})"
    options = [Option(way, closed="" if way is Way.LEAVE else closed) for way in ways]
    return Guest(row.uuid, row.name, row.host or "", Room(0, 0, 0), options)


def _answers(
    way: Way, row: InstanceRow, need: PlacementRequest, candidates: Sequence[Candidate]
) -> tuple[str, Mapping[str, str]]:
    """Why the way is closed to every host ("": it is not), and host -> why not there."""
    allowed = ALLOWED[_KINDS[way]][1] | (STOPPED if way is Way.STOP else frozenset()) if way in _KINDS else None
    if allowed is not None and row.vm_state not in allowed:
        return f"it is {row.vm_state}", {}
    if way not in MOVES:
        return "", {}
    if need.origin is not None and not need.origin.host.up:
        return preflight.unheard(need.origin.host), {}
    return judged(need if way is Way.LIVE else replace(need, live=False, guest=None, origin=None), candidates)


def judged(need: PlacementRequest, candidates: Sequence[Candidate]) -> tuple[str, Mapping[str, str]]:
    """By the table of checks: as ``_answers``."""
    own = _PLANNED | ({"disk"} if not need.live else frozenset())  # of a live move it is the pools' room as well
    group = need.neighbours.group
    if group is not None and group.policy in _APART:
        own |= {"server_group"}
    refusals: dict[str, str] = {}
    for candidate in candidates:
        found = [(code, finding.message) for code, finding in failed(candidate, need) if code not in own]
        if closed := next((f"{code}: {message}" for code, message in found if code in _OF_THE_SOURCE), ""):
            return closed, {}
        if found:
            refusals[candidate.host.name] = "; ".join(f"{code}: {message}" for code, message in found)
    return "", refusals


def _copied_gb(need: PlacementRequest, candidates: Sequence[Candidate]) -> int:
    """Of the disks in pools that no candidate shares with the source."""
    pools = need.origin.host.report.storage if need.origin is not None else {}
    there = {p.identity for c in candidates if c.host.name != need.source for p in c.host.report.storage.values()}
    return sum(d.size_gb for d in need.instance.disks if d.pool not in pools or pools[d.pool].identity not in there)


def group_of(neighbours: Neighbours, uuid: str | None, planned: Collection[str]) -> Group | None:
    """The group ``uuid`` where it keeps its members apart. ``planned``: instances that the plan itself counts."""
    group = neighbours.group
    if group is None or uuid is None or group.policy not in _APART:
        return None
    others: dict[str, int] = {}
    for member, places in group.members.items():
        for host in places if member not in planned else ():
            others[host] = others.get(host, 0) + 1
    return Group(uuid, group.name, group.max_per_host, group.policy == SOFT_ANTI_AFFINITY, others)


def _priority_of(row: InstanceRow) -> int:
    """0 where the metadata has none, or no whole number."""
    text = str((row.metadata or {}).get(PRIORITY, "0"))
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0
