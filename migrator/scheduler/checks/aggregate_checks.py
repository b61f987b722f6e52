"""The checks of zones and aggregates, as scheduler and preflight ask them. Pure; ``aggregates`` has the rules."""

from migrator.scheduler.checks.aggregates import specs_refusal, zone_refusal
from migrator.scheduler.checks.finding import Candidate, CheckFinding, PlacementRequest, listed, verdict


def zone(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    found = need.aggregates
    asked = f"pinned to {found.zone}" if found.zone is not None else "pinned to no zone"
    return verdict(zone_refusal(candidate.host.name, found), asked, "")


def aggregate(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    wanted = [f"{key} {value}" for key, value in sorted(need.aggregates.specs.items())]
    return verdict(specs_refusal(candidate.host.name, need.aggregates), f"asks for {listed(wanted) or 'none'}", "")
