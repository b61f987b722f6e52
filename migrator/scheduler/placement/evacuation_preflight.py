"""What evacuations of a host's instances would be told, without one: destinations, and what becomes of each disk.

Reads the same checks as the scheduler and the same rules as ``requests/evacuation.py``. Starts nothing and writes
nothing; the host may be up.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrator.db import hosts, instances
from migrator.db.engine import Connection
from migrator.db.rows import InstanceRow
from migrator.operations import Kind
from migrator.protocol import InstanceSpec
from migrator.scheduler.checks.filters import findings
from migrator.scheduler.checks.finding import PlacementRequest
from migrator.scheduler.decision import evacuated_disks
from migrator.scheduler.placement import evacuation_facts
from migrator.scheduler.placement.evacuation_facts import LostHost
from migrator.scheduler.placement.preflight import HostChecks, Preflight
from migrator.scheduler.requests import evacuation
from migrator.scheduler.requests.requests import ALLOWED
from migrator.scheduler.state import host_views, shared_proofs
from migrator.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class EvacuationPreflight:
    """``disks``: see ``evacuated_disks.fates``. ``proof_ages``: see ``shared_proofs.ages``, of the pools that would be
    kept. ``refusal``: why none could begin, wherever it went; "": nothing."""

    preflight: Preflight
    disks: Sequence[Mapping[str, Any]]
    proof_ages: Mapping[str, float]
    refusal: str

    @property
    def loses_data(self) -> bool:
        return bool(evacuated_disks.lost(self.disks))


def of_host(
    connection: Connection, host: str, to: Collection[str], settings: ServerSettings
) -> list[EvacuationPreflight]:
    """For every instance of the host. ``to``: the destinations to look at; none named: every host. Raises
    HostNotFound."""
    return _of(connection, host, instances.on_host(connection, host), to, settings)


def of_instance(connection: Connection, row: InstanceRow, settings: ServerSettings) -> EvacuationPreflight | None:
    """Were its host lost; None: it is on none. Raises HostNotFound."""
    return _of(connection, row.host, [row], (), settings)[0] if row.host else None


def _of(
    connection: Connection, host: str, rows: Sequence[InstanceRow], to: Collection[str], settings: ServerSettings
) -> list[EvacuationPreflight]:
    facts = evacuation_facts.read(connection, rows)
    lost = facts.lost_host(hosts.get(connection, host))
    chosen = [hosts.get(connection, name) for name in sorted(to)] if to else hosts.every(connection)
    candidates = host_views.candidates(chosen, settings.service_down_time)
    found = []
    for row in rows:
        need = facts.request_of(row, InstanceSpec.model_validate(row.spec), lost)
        judged = [HostChecks(candidate.host.name, findings(candidate, need)) for candidate in candidates]
        disks, kept = evacuated_disks.fates(need.instance, need.surviving), _kept(need)
        refusal = _unfit(row) or refusal_of(need, lost, facts.images, settings)
        proof_ages = {pool: lost.proof_ages[pool] for pool in kept if pool in lost.proof_ages}
        found.append(EvacuationPreflight(Preflight(row, judged), disks, proof_ages, refusal))
    return found


def refusal_of(need: PlacementRequest, lost: LostHost, available: Collection[str], settings: ServerSettings) -> str:
    """Why none could begin, wherever it went and whatever the instance does; "": nothing. ``available``: images whose
    bytes agents can fetch."""
    disks = evacuated_disks.fates(need.instance, need.surviving)
    return (
        evacuation.rebuild_refusal(disks, available, settings)
        or _without_root(disks)
        or shared_proofs.refusal(lost.row, _kept(need), settings)
    )


def _kept(need: PlacementRequest) -> list[str]:
    """Pools that have something of the instance and outlive the host."""
    return [pool for pool in need.surviving if pool in need.instance.pools]


def _unfit(row: InstanceRow) -> str:
    message = [] if row.vm_state in ALLOWED[Kind.EVACUATION][1] else [f"it is {row.vm_state}"]
    return ", ".join([*message, *([f"it is busy ({row.task_state})"] if row.task_state is not None else [])])


def _without_root(disks: Sequence[Mapping[str, Any]]) -> str:
    empty = any(fate["target"] == "vda" and fate["made_from"] == "empty" for fate in disks)
    return "its root disk would be lost with the host, and it has no image to be made anew from" if empty else ""
