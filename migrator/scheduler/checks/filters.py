"""Which hosts can take an instance, and why the others cannot: pure, one check a reason, in one table.

The scheduler and the preflight read the same table: the one asks which host has no check that failed, the other shows
every host with every check. An unknown answer excludes no host, for the hosts themselves check again before anything
is moved. Capacity is only compared here; the claim itself is taken by ``db/claims.py`` in the transaction that checks
it again. A new check is a line here and one in ``checks.py``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from migrator.scheduler.checks import aggregate_checks, guest_checks, host_checks, neighbour_checks, tls_check
from migrator.scheduler.checks.finding import KNOWN_S, Candidate, CheckFinding, PlacementRequest, Status

Judge = Callable[[Candidate, PlacementRequest], CheckFinding | None]


@dataclass(frozen=True, slots=True)
class Filter:
    """``live``: only a live migration asks it."""

    code: str
    judge: Judge
    live: bool = False


REFUSED = "refused"  # what the host itself said: it carries codes of its own

FILTERS: tuple[Filter, ...] = (
    Filter("instance", guest_checks.instance, live=True),
    Filter("devices", guest_checks.devices, live=True),
    Filter("source", host_checks.source),
    Filter("cleaned", host_checks.cleaned),
    Filter(REFUSED, host_checks.refused),
    Filter("up", host_checks.is_up),
    Filter("enabled", host_checks.enabled),
    Filter("zone", aggregate_checks.zone),
    Filter("aggregate", aggregate_checks.aggregate),
    Filter("server_group", neighbour_checks.server_group),
    Filter("same_host", neighbour_checks.same_host),
    Filter("different_host", neighbour_checks.different_host),
    Filter("vcpus", host_checks.vcpus),
    Filter("memory", host_checks.memory),
    Filter("disk", host_checks.disk),
    Filter("storage", host_checks.storage),
    Filter("image", guest_checks.image),
    Filter("volumes", guest_checks.volumes),
    Filter("network", host_checks.network),
    Filter("arch", guest_checks.arch),
    Filter("machine_type", guest_checks.machine_type),
    Filter("hypervisor_version", guest_checks.hypervisor_version),
    Filter("cpu", guest_checks.cpu, live=True),
    Filter("uri", guest_checks.uri, live=True),
    Filter("uri_back", guest_checks.uri_back, live=True),
    Filter("clock", guest_checks.clock, live=True),
    Filter("console", guest_checks.console, live=True),
    Filter("tls", tls_check.tls, live=True),
)
CODES = tuple(row.code for row in FILTERS if row.code != REFUSED)
EVACUATION_CODES = tuple(row.code for row in FILTERS if row.code != REFUSED and not row.live)


def findings(candidate: Candidate, need: PlacementRequest) -> list[tuple[str, CheckFinding]]:
    """(code, finding) of every check that concerns the need, in the table's order."""
    rows = [row for row in FILTERS if need.live or not row.live]
    found = [(row.code, row.judge(candidate, need)) for row in rows]
    return [(code, _dated(finding)) for code, finding in found if finding is not None]


def _dated(finding: CheckFinding) -> CheckFinding:
    """What has been known for too long may have changed since."""
    if finding.age_s <= KNOWN_S or finding.status is Status.UNKNOWN:
        return finding
    message = f"{finding.message or finding.status}, as known {finding.age_s:.0f} s ago; it counts for {KNOWN_S:.0f} s"
    return CheckFinding(Status.UNKNOWN, message, finding.source, finding.destination, finding.age_s)


def failed(candidate: Candidate, need: PlacementRequest) -> list[tuple[str, CheckFinding]]:
    return [(code, finding) for code, finding in findings(candidate, need) if finding.status is Status.FAILED]


def refusals(candidate: Candidate, need: PlacementRequest) -> list[str]:
    """Every reason why this host cannot take it, each after its check's code; empty: it can."""
    found = failed(candidate, need)
    return [finding.message if code == REFUSED else f"{code}: {finding.message}" for code, finding in found]


def rank(candidates: Iterable[Candidate], need: PlacementRequest) -> list[Candidate]:
    """The hosts that pass, as a soft policy of the server group wants them, most free memory first; ties by name, so
    that the choice can be repeated."""
    passing = [c for c in candidates if not refusals(c, need)]
    weight = neighbour_checks.weight
    return sorted(passing, key=lambda c: (weight(c.host.name, need.neighbours), -c.free_memory_mb, c.host.name))
