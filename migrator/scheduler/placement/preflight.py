"""What a live migration would be told, without one: every host with every check, for one instance or a host's.

Owns the putting together of what is known already. Starts nothing and writes nothing: it reads the same table of checks
as the scheduler (``filters.py``), from the record and from what agents saw when nothing was moved.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from migrator.db import claims, hosts
from migrator.db import instances as instance_records
from migrator.db.engine import Connection
from migrator.db.rows import InstanceRow
from migrator.operations import Kind
from migrator.protocol import GuestDescription, InstanceSpec
from migrator.scheduler.checks.filters import findings
from migrator.scheduler.checks.finding import Candidate, CheckFinding, PlacementRequest, SourceHost, Status
from migrator.scheduler.decision.snapshot import HostView
from migrator.scheduler.requests.requests import ALLOWED
from migrator.scheduler.state import aggregates, host_views, lost_images, neighbours, surveys
from migrator.scheduler.state.effects import amounts


@dataclass(frozen=True, slots=True)
class HostChecks:
    """One host, and (code, finding) of every check."""

    host: str
    findings: Sequence[tuple[str, CheckFinding]]

    @property
    def failed(self) -> list[tuple[str, CheckFinding]]:
        return [(code, finding) for code, finding in self.findings if finding.status is Status.FAILED]

    @property
    def status(self) -> Status:
        found = {finding.status for _, finding in self.findings}
        worst = (Status.FAILED, Status.UNKNOWN)
        return next((status for status in worst if status in found), Status.PASSED)


@dataclass(frozen=True, slots=True)
class Preflight:
    instance: InstanceRow
    hosts: Sequence[HostChecks]


def of_instance(connection: Connection, uuid: str, to: Collection[str], down_after: float) -> list[Preflight]:
    """``to``: the destinations to look at; none named: every host. Raises InstanceNotFound, HostNotFound."""
    return _preflights(connection, [instance_records.get(connection, uuid)], to, down_after)


def of_host(connection: Connection, host: str, to: Collection[str], down_after: float) -> list[Preflight]:
    """For every instance of the host. Raises HostNotFound."""
    hosts.get(connection, host)
    return _preflights(connection, instance_records.on_host(connection, host), to, down_after)


def _preflights(
    connection: Connection, instances: Sequence[InstanceRow], to: Collection[str], down_after: float
) -> list[Preflight]:
    sources = {row.host for row in instances if row.host is not None}
    rows = [hosts.get(connection, name) for name in sorted(to)] if to else hosts.every(connection)
    names = {row.name for row in rows}
    seen = surveys.load(connection, names if to else None, sources)
    candidates = [replace(c, surveyed=seen.get(c.host.name)) for c in host_views.candidates(rows, down_after)]
    origins = origins_of(connection, sources, names, [row.uuid for row in instances], down_after)
    return [_preflight(connection, row, candidates, origins.get(row.host or "")) for row in instances]


def origins_of(
    connection: Connection, sources: Collection[str], about: Collection[str], guests: Collection[str], down_after: float
) -> Mapping[str, SourceHost]:
    """Each of ``sources`` with what its agent saw of the hosts ``about`` and of these guests."""
    seen = surveys.load(connection, sources, about, guests)
    rows = hosts.by_names(connection, sources)
    return {row.name: SourceHost(host_views.host_view(row, down_after), seen.get(row.name)) for row in rows}


def _preflight(
    connection: Connection, row: InstanceRow, candidates: Sequence[Candidate], origin: SourceHost | None
) -> Preflight:
    need = request_of(connection, row, origin)
    return Preflight(row, [HostChecks(candidate.host.name, findings(candidate, need)) for candidate in candidates])


def request_of(connection: Connection, row: InstanceRow, origin: SourceHost | None) -> PlacementRequest:
    """What a live migration of the instance would ask of a host."""
    vcpus, memory_mb, disk_gb = amounts(row.flavor, volume_backed=bool(row.spec.get("home")))
    guest, age_s = _guest(row.uuid, origin)
    spec = InstanceSpec.model_validate(row.spec)
    return PlacementRequest(
        instance=spec,
        missing_images=lost_images.of(connection, spec),
        vcpus=vcpus,
        memory_mb=memory_mb,
        disk_gb=disk_gb,
        source=row.host,
        guest=guest,
        guest_age_s=age_s,
        holders=frozenset(claims.holders(connection, row.uuid)) - {row.host or ""},
        live=True,
        unfit=_unfit(row, origin),
        origin=origin,
        neighbours=neighbours.load(connection, row.uuid),
        aggregates=aggregates.load(connection, row.availability_zone, row.flavor),
    )


def _unfit(row: InstanceRow, origin: SourceHost | None) -> str:
    """Why no live migration may begin now; "": one may."""
    message = [] if row.vm_state in ALLOWED[Kind.LIVE_MIGRATION][1] else [f"it is {row.vm_state}"]
    message += [f"it is busy ({row.task_state})"] if row.task_state is not None else []
    message += ["it has no host"] if row.host is None else []
    message += [unheard(origin.host)] if origin is not None and not origin.host.up else []
    return ", ".join(message)


def unheard(host: HostView) -> str:
    """Nothing moves live from a host whose agent does not answer, whatever the destination."""
    silent = f"silent for {host.silent_s:.0f} s"
    return f"its host {host.name} is " + ("forced down" if host.forced_down else host.unreadable or f"down ({silent})")


def _guest(uuid: str, origin: SourceHost | None) -> tuple[GuestDescription | None, float]:
    """The guest as its host's agent saw it last, and how long ago (s)."""
    if origin is None or origin.surveyed is None or (sight := origin.surveyed.survey.guests.get(uuid)) is None:
        return None, 0.0
    survey, report = origin.surveyed.survey, origin.host.report
    cpu = survey.cpus.get(sight.cpu) if sight.cpu is not None else None
    guest = GuestDescription(
        cpu_xml=cpu.xml if cpu is not None else None,
        machine=sight.machine,
        arch=sight.arch,
        storage={name: pool.identity for name, pool in report.storage.items()},
        hypervisor_version=report.hypervisor_version,
        devices=sight.devices,
        listens=sight.listens,
    )
    return guest, origin.surveyed.age_s + sight.age_s
