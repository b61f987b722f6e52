"""Reads what the planner is given for instances of lost hosts. Changes nothing.

Checks and rules are those of an evacuation of one instance; what only the lost host has is made anew only where that is
wanted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import ValidationError

from migrator.db import hosts
from migrator.db.engine import Connection
from migrator.db.rows import InstanceRow
from migrator.operations import Kind
from migrator.scheduler.checks.finding import Candidate, PlacementRequest
from migrator.scheduler.decision import evacuated_disks
from migrator.scheduler.fleet.plan.forecast import BANDWIDTH_MIB_S, DOUBT, FORECASTS, Load
from migrator.scheduler.fleet.plan.model import Guest, Option, PlanRequest, Room, Way
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest
from migrator.scheduler.fleet.planning import STOPPED, budgets_of, group_of, judged, offers, priority_of, unreadable
from migrator.scheduler.placement import evacuation_preflight
from migrator.scheduler.placement.evacuation_preflight import LostHost
from migrator.scheduler.requests import evacuation
from migrator.scheduler.requests.requests import ALLOWED
from migrator.scheduler.state import host_views
from migrator.settings import ServerSettings


def load(
    connection: Connection,
    rows: Sequence[InstanceRow],
    request: DrainRequest,
    settings: ServerSettings,
    *,
    drain_id: int = 0,
    deadline_s: float | None = None,
) -> PlanRequest:
    """The instances' hosts count as lost. ``drain_id``: whose plan is made anew. Raises HostNotFound."""
    gone = {row.host for row in rows if row.host is not None}
    chosen = hosts.by_names(connection, request.to) if request.to else hosts.every(connection)
    candidates = host_views.candidates([row for row in chosen if row.name not in gone], settings.service_down_time)
    lost = {name: evacuation_preflight.read_lost(connection, name, gone) for name in sorted(gone)}
    shared: dict[frozenset[tuple[str, str]], Mapping[str, str]] = {}
    planned, guests = {row.uuid for row in rows}, []
    for row in rows:
        resting = InstanceRow(*row)._replace(task_state=None)  # a plan is for when it is at rest
        host = lost[row.host or ""]
        try:
            need = evacuation_preflight.request_of(connection, resting, host)
        except ValidationError as error:  # a bad row is one instance's fault, and never that of the whole plan
            guests.append(unreadable(resting, request.strategies, error))
            continue
        option = _option(resting, need, _closed(connection, resting, need, host, request, settings), candidates)
        option = replace(option, refusals=shared.setdefault(frozenset(option.refusals.items()), option.refusals))
        room, group = (
            Room(need.vcpus, need.memory_mb, need.disk_gb),
            group_of(need.neighbours, row.server_group, planned),
        )
        guests.append(Guest(row.uuid, row.name, row.host or "", room, [option], group, priority_of(row)))
    return PlanRequest(offers(connection, candidates, drain_id), guests, budgets_of(request, settings), deadline_s)


def _option(row: InstanceRow, need: PlacementRequest, shut: tuple[str, str], candidates: Sequence[Candidate]) -> Option:
    closed, remedy = shut
    refusals = {} if closed else judged(need, candidates)[1]
    lasts_s, down_s = FORECASTS[Way.EVACUATE](
        Load(need.memory_mb, 0, BANDWIDTH_MIB_S, 0.0, runs=row.vm_state not in STOPPED)
    )
    anew = [fate for fate in evacuated_disks.fates(need.instance, need.surviving) if not fate["kept"]]
    return Option(Way.EVACUATE, refusals, closed, lasts_s, down_s, DOUBT, evacuated_disks.words(anew), remedy)


def _closed(
    connection: Connection,
    row: InstanceRow,
    need: PlacementRequest,
    lost: LostHost,
    request: DrainRequest,
    settings: ServerSettings,
) -> tuple[str, str]:
    """Why it can be evacuated nowhere ("": it can), and what would have to change."""
    if row.vm_state not in ALLOWED[Kind.EVACUATION][1]:
        return f"it is {row.vm_state}", ""
    back = f"bring {lost.row.name} back"
    if lost.unreadable:  # which of its disks are shared is unknown
        return f"of its host, {lost.unreadable}", back
    if words := evacuation_preflight.refusal_of(connection, need, lost, settings):
        return words, back
    if words := evacuation.heard_refusal(lost.row, settings, shared=evacuation.outlives(need.instance, need.surviving)):
        return words, ""
    if not request.discard and (words := evacuation.loss_refusal(evacuated_disks.fates(need.instance, need.surviving))):
        return words, f"{back}, or allow it: discard_local_disks (--discard-local-disks)"
    return "", ""
