"""Reads what the planner is given for instances of lost hosts, those that are lost and those that might be. Changes
nothing.

Checks and rules are those of an evacuation of one instance; what only the lost host has is made anew only where that is
wanted. A fleet is read once, whatever number of losses is planned from it.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from migrator.db import hosts
from migrator.db.engine import Connection
from migrator.db.rows import HostRow, InstanceRow
from migrator.errors import HostNotFound
from migrator.operations import Kind
from migrator.protocol import GuestDescription, InstanceSpec
from migrator.scheduler.checks.finding import Candidate, PlacementRequest
from migrator.scheduler.checks.neighbours import AFFINITY, NO_NEIGHBOURS
from migrator.scheduler.decision import evacuated_disks
from migrator.scheduler.fleet import silent_hosts
from migrator.scheduler.fleet.plan.forecast import BANDWIDTH_MIB_S, DOUBT, FORECASTS, MoveSize
from migrator.scheduler.fleet.plan.ha_policy import HaPolicy, policy_of
from migrator.scheduler.fleet.plan.model import Guest, HostOffer, Option, PlanRequest, Way
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest
from migrator.scheduler.fleet.planning import (
    STOPPED,
    SharedRefusals,
    budgets_of,
    guest_of,
    judged,
    offers,
    readable,
)
from migrator.scheduler.placement import evacuation_facts, evacuation_preflight
from migrator.scheduler.placement.evacuation_facts import EvacuationFacts, LostHost
from migrator.scheduler.requests import evacuation
from migrator.scheduler.requests.requests import ALLOWED
from migrator.scheduler.state import host_views
from migrator.settings import ServerSettings

Disks = Sequence[Mapping[str, Any]]  # what becomes of each: ``evacuated_disks.fates``


def load(
    connection: Connection,
    rows: Sequence[InstanceRow],
    request: DrainRequest,
    settings: ServerSettings,
    *,
    drain_id: int = 0,
    deadline_s: float | None = None,
) -> PlanRequest:
    """The instances' hosts are lost. ``drain_id``: whose plan is made anew."""
    fleet = read(connection, rows, request, settings, drain_id=drain_id)
    return fleet.without(fleet.here.keys(), deadline_s=deadline_s)


@dataclass(frozen=True, slots=True)
class Fleet:
    """``candidates``: the hosts that the request allows; ``here``: host -> its instances that are planned;
    ``policies``: host -> what its aggregates say of ``ha_policy``, where the request goes by that."""

    request: DrainRequest
    settings: ServerSettings
    hosts: Mapping[str, HostRow]
    candidates: Sequence[Candidate]
    offers: Sequence[HostOffer]
    facts: EvacuationFacts
    here: Mapping[str, Sequence[InstanceRow]]
    policies: Mapping[str, Collection[str]] = field(default_factory=dict)
    _specs: dict[str, InstanceSpec] = field(default_factory=dict)
    _refusals: dict[Hashable, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    _shared: SharedRefusals = field(default_factory=SharedRefusals)

    def without(self, names: Collection[str], *, assumed: bool = False, deadline_s: float | None = None) -> PlanRequest:
        """These hosts are lost. ``assumed``: they only might be, and would be silent then. Raises HostNotFound."""
        gone = frozenset(names)
        planned = {row.uuid for name in gone for row in self.here.get(name, ())}
        guests = []
        for name in sorted(gone):
            if rows := self.here.get(name, ()):
                if name not in self.hosts:
                    raise HostNotFound(f"Host {name} is not registered", advice="start its agent")
                lost = self.facts.lost_host(self.hosts[name], gone)
                guests += [self._guest(row, lost, planned, assumed=assumed) for row in rows]
        left = [offer for offer in self.offers if offer.name not in gone]
        return PlanRequest(left, guests, budgets_of(self.request, self.settings), deadline_s)

    def _guest(self, row: InstanceRow, lost: LostHost, planned: Collection[str], *, assumed: bool) -> Guest:
        def guest(resting: InstanceRow, _ways: Sequence[Way]) -> Guest:
            need = self.facts.request_of(resting, self._spec(resting), lost)
            if message := self._stays(resting):
                return guest_of(resting, need, [Option(Way.LEAVE, told=message)], planned)
            disks = evacuated_disks.fates(need.instance, need.surviving)
            closed, remedy = _closed(self, resting, need, lost, disks, assumed=assumed)
            option = self._option(resting, need, disks, closed, remedy)
            return guest_of(resting, need, [option], planned, evacuated_disks.lost(disks))

        return readable(row, self.request.strategies, guest)

    def _stays(self, row: InstanceRow) -> str:
        """Why the servers leave it where it is; "": they do not."""
        if not self.request.by_policy:
            return ""
        of_fleet = self.request.policy or self.settings.ha_policy
        answer = policy_of(row.metadata or {}, self.policies.get(row.host or "", ()), of_fleet)
        return "" if answer.policy is HaPolicy.EVACUATE else answer.message

    def _spec(self, row: InstanceRow) -> InstanceSpec:
        if row.uuid not in self._specs:
            self._specs[row.uuid] = InstanceSpec.model_validate(row.spec)
        return self._specs[row.uuid]

    def _option(self, row: InstanceRow, need: PlacementRequest, disks: Disks, closed: str, remedy: str) -> Option:
        refusals = self._shared.of({})
        if not closed:
            closed, refusals = self._judged(need)
        load = MoveSize(need.memory_mb, 0, BANDWIDTH_MIB_S, 0.0, runs=row.vm_state not in STOPPED)
        lasts_s, down_s = FORECASTS[Way.EVACUATE](load)
        anew = evacuated_disks.describe([fate for fate in disks if not fate["kept"]])
        return Option(Way.EVACUATE, refusals, closed, lasts_s, down_s, DOUBT, anew, remedy)

    def _judged(self, need: PlacementRequest) -> tuple[str, Mapping[str, str]]:
        """As ``planning.judged``, once for all instances that no check tells apart."""
        alike, key = _likeness(need)
        if key not in self._refusals:
            closed, refusals = judged(alike, self.candidates)
            self._refusals[key] = closed, self._shared.of(refusals)
        return self._refusals[key]


def read(
    connection: Connection,
    rows: Sequence[InstanceRow],
    request: DrainRequest,
    settings: ServerSettings,
    *,
    drain_id: int = 0,
    everything: bool = False,
) -> Fleet:
    """``rows``: the instances that are planned where their host is lost; ``everything``: these are all on any host."""
    every = hosts.every(connection)
    chosen = [row for row in every if row.name in request.to] if request.to else every
    candidates = host_views.candidates(chosen, settings.service_down_time)
    here: dict[str, list[InstanceRow]] = {}
    for row in rows:
        here.setdefault(row.host or "", []).append(row)
    facts = evacuation_facts.read(connection, rows, everything=everything)
    room = offers(connection, candidates, drain_id)
    policies = silent_hosts.policies_of_hosts(connection, here) if request.by_policy else {}
    return Fleet(request, settings, {row.name: row for row in every}, candidates, room, facts, here, policies)


def _likeness(need: PlacementRequest) -> tuple[PlacementRequest, Hashable]:
    """The need without what no check of an evacuation asks for, or the planner compares itself; and what tells it from
    others. Nothing but the key's parts is left in it, so that the answer is the same for all with one key."""
    spec, neighbours = need.instance, need.neighbours
    apart = neighbours.group is None or neighbours.group.policy != AFFINITY
    alone = spec.uuid if neighbours.same_host or neighbours.different_host or not apart else None
    arch = need.guest.arch if need.guest is not None else ""
    pools = [disk.model_copy(update={"target": "", "size_gb": 0, "image_id": None}) for disk in spec.disks]
    own = {"mac": "", "ip": None, "port": "", "tag": None}
    bare = InstanceSpec(
        uuid="",
        name="",
        vcpus=0,
        memory_mb=0,
        disks=tuple(dict.fromkeys(pools)),
        state_pool=spec.state_pool,
        nics=tuple(dict.fromkeys(nic.model_copy(update=own) for nic in spec.nics)),
    )
    alike = PlacementRequest(
        bare,
        0,
        0,
        0,
        guest=GuestDescription(arch=arch),
        holders=need.holders,
        surviving=need.surviving,
        neighbours=neighbours if alone is not None else NO_NEIGHBOURS,
        aggregates=need.aggregates,
    )
    asked = need.aggregates.zone, frozenset(need.aggregates.specs.items())
    return alike, (
        bare.disks,
        bare.state_pool,
        bare.nics,
        arch,
        need.holders,
        frozenset(need.surviving.items()),
        asked,
        alone,
    )


def _closed(
    fleet: Fleet, row: InstanceRow, need: PlacementRequest, lost: LostHost, disks: Disks, *, assumed: bool
) -> tuple[str, str]:
    """Why it can be evacuated nowhere ("": it can), and what would have to change."""
    if row.vm_state not in ALLOWED[Kind.EVACUATION][1]:
        return f"it is {row.vm_state}", ""
    back, settings = f"bring {lost.row.name} back", fleet.settings
    if lost.unreadable:  # which of its disks are shared is unknown
        return f"of its host, {lost.unreadable}", back
    if message := evacuation_preflight.refusal_of(need, lost, fleet.facts.images, settings):
        return message, back
    shared = evacuation.outlives(need.instance, need.surviving)
    if not assumed and (message := evacuation.heard_refusal(lost.row, settings, shared=shared)):
        return message, ""
    if not fleet.request.discard and (message := evacuation.loss_refusal(disks)):
        return message, f"{back}, or allow it: discard_local_disks (--discard-local-disks)"
    return "", ""
