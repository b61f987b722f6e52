"""Chooses a host for an operation: reads candidates, lets the pure filters judge them, names every refusal.

Never claims (``effects.py`` does, in the transaction that moves the operation on).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from migrator.db import claims, hosts, instances
from migrator.db.engine import Connection
from migrator.db.rows import HostRow
from migrator.operations import OPERATIONS, Actor
from migrator.scheduler.checks.filters import failed, rank, refusals
from migrator.scheduler.checks.finding import Candidate, PlacementRequest, SourceHost
from migrator.scheduler.checks.neighbours import SOFT_AFFINITY, SOFT_ANTI_AFFINITY
from migrator.scheduler.decision.snapshot import Placement, Snapshot
from migrator.scheduler.decision.views import spec_for
from migrator.scheduler.placement.check_errors import of_finding
from migrator.scheduler.queues import inbound
from migrator.scheduler.state import aggregates, host_views, neighbours, surveys
from migrator.scheduler.state.effects import amounts

_DETAILED = 32  # hosts whose refusals are told to programs too: the record would be large
_SHORTLIST = 20  # hosts with most free memory that the fine filters look at before all are asked


def place(connection: Connection, snapshot: Snapshot, down_after: float) -> Placement:
    """The host that takes the operation in, or every host's refusals. A host that takes in as many as it may is waited
    for only if no other one will do."""
    need = _need(connection, snapshot, down_after)
    busy = _busy(connection, snapshot, need)
    if need.requested_host:
        chosen = _requested(connection, need, down_after)
    else:
        chosen = _best(connection, need, down_after, busy) or _next_free(connection, snapshot, need, down_after, busy)
    if chosen is not None:
        return Placement(chosen.host.name, busy.get(chosen.host.name))
    considered = _considered(connection, need, down_after)
    awaited = sorted(c.host.name for c in considered if c.host.awaited and not c.host.forced_down)
    checks = _details(considered, need) if len(considered) <= _DETAILED else None
    return Placement(silent_hosts=awaited, refusals=_explain(considered, need), checks=checks)


def _need(connection: Connection, snapshot: Snapshot, down_after: float) -> PlacementRequest:
    operation = snapshot.operation
    live, source = OPERATIONS[operation.kind].live, operation.source
    row = instances.get(connection, operation.instance_uuid, deleted=True)
    flavor = operation.params.new_flavor if operation.params.new_flavor is not None else row.flavor
    vcpus, memory_mb, disk_gb = amounts(flavor, volume_backed=bool(snapshot.instance.state_pool))
    return PlacementRequest(
        instance=spec_for(snapshot, Actor.DESTINATION),
        vcpus=vcpus,
        memory_mb=memory_mb,
        disk_gb=disk_gb,
        source=operation.source,
        requested_host=operation.requested_host,
        guest=operation.context.guest,
        block=operation.params.block,
        over_commit=operation.params.over_commit,
        refused=operation.context.refused,
        in_place=operation.params.same_host,
        holders=frozenset(claims.holders(connection, operation.instance_uuid)) - {operation.source or ""},
        surviving=operation.params.surviving,
        live=live,
        origin=_origin(connection, source, down_after) if live and source is not None else None,
        neighbours=neighbours.load(connection, operation.instance_uuid),
        aggregates=aggregates.load(connection, row.availability_zone, flavor),
    )


def _origin(connection: Connection, source: str, down_after: float) -> SourceHost | None:
    rows, seen = hosts.by_names(connection, [source]), surveys.load(connection, [source], None)
    return next((SourceHost(host_views.host_view(row, down_after), seen.get(row.name)) for row in rows), None)


def _candidates(
    connection: Connection, rows: Sequence[HostRow], need: PlacementRequest, down_after: float
) -> list[Candidate]:
    found = host_views.candidates(rows, down_after)
    if not need.live or need.source is None:
        return found
    seen = surveys.load(connection, [candidate.host.name for candidate in found], [need.source])
    return [replace(candidate, surveyed=seen.get(candidate.host.name)) for candidate in found]


def _requested(connection: Connection, need: PlacementRequest, down_after: float) -> Candidate | None:
    rows = hosts.by_names(connection, [need.requested_host or ""])
    return next(iter(rank(_candidates(connection, rows, need, down_after), need)), None)


def _busy(connection: Connection, snapshot: Snapshot, need: PlacementRequest) -> Mapping[str, int]:
    """Host -> how many go first there, where nothing more may come in now. What stays in place comes in nowhere."""
    found = inbound.ahead_everywhere(connection, snapshot)
    return {h: n for h, n in found.items() if n >= snapshot.inbound_limit and not (need.in_place and h == need.source)}


def _next_free(
    connection: Connection, snapshot: Snapshot, need: PlacementRequest, down_after: float, busy: Mapping[str, int]
) -> Candidate | None:
    """Of the busy hosts that will do, the one that it waits for already, or the one for which fewest do."""
    own = snapshot.operation.destination
    names = sorted(busy, key=lambda name: (name != own, busy[name], name))
    for some in (names[:_SHORTLIST], names[_SHORTLIST:]):
        rows = hosts.by_names(connection, some)
        found = {c.host.name: c for c in rank(_candidates(connection, rows, need, down_after), need)}
        if found:
            return next(found[name] for name in some if name in found)
    return None


def _best(
    connection: Connection, need: PlacementRequest, down_after: float, without: Collection[str]
) -> Candidate | None:
    for rows in _shortlists(connection, need, down_after, without):
        found = rank(_candidates(connection, rows, need, down_after), need)
        if found:
            return found[0]
    return None


def _shortlists(
    connection: Connection, need: PlacementRequest, down_after: float, without: Collection[str]
) -> Iterator[Sequence[Any]]:
    """Hosts to look at, until some will do: those that a soft policy wants, the roomiest, and then all of them."""
    args, group = (need.vcpus, need.memory_mb, need.disk_gb, down_after), need.neighbours.group
    soft = group.policy if group is not None else ""
    taken = group.hosts if group is not None else frozenset()
    if soft == SOFT_AFFINITY:
        yield hosts.by_names(connection, taken - frozenset(without))
    if soft == SOFT_ANTI_AFFINITY:  # every host without a member is better than each one with any
        yield hosts.placeable(connection, *args, limit=_SHORTLIST, without=[*without, *taken])
    else:
        shortlist = hosts.placeable(connection, *args, limit=_SHORTLIST, without=without)
        yield shortlist
        if len(shortlist) < _SHORTLIST:
            return
    yield hosts.placeable(connection, *args, limit=1_000_000, without=without)


def _considered(connection: Connection, need: PlacementRequest, down_after: float) -> list[Candidate]:
    names = [need.requested_host] if need.requested_host else None
    rows = hosts.every(connection) if names is None else hosts.by_names(connection, names)
    return _candidates(connection, rows, need, down_after)


def _explain(considered: Sequence[Candidate], need: PlacementRequest) -> dict[str, list[str]]:
    if need.requested_host and not considered:
        return {need.requested_host: ["no host of that name is registered"]}
    return {c.host.name: refusals(c, need) for c in considered}


def _details(considered: Sequence[Candidate], need: PlacementRequest) -> dict[str, list[dict[str, Any]]]:
    """Every check that failed, by host: what ``_explain`` says, for programs."""
    return {c.host.name: [of_finding(*one) for one in failed(c, need)] for c in considered}
