"""Whether a host may take an instance, by the instances that are there: server groups and scheduler hints. Pure.

Owns the words, and the weight of a soft policy. The scheduler asks before it chooses, and the transaction that claims
asks again. What stays on its host is refused by none of them, for nothing changes.
"""

from collections.abc import Callable, Mapping

from migrator.scheduler.checks.finding import Candidate, CheckFinding, PlacementRequest, listed, verdict
from migrator.scheduler.checks.neighbours import (
    AFFINITY,
    ANTI_AFFINITY,
    SOFT_AFFINITY,
    SOFT_ANTI_AFFINITY,
    Neighbours,
    ServerGroup,
)


def group_refusal(host: str, neighbours: Neighbours) -> str | None:
    """Why the hard policy of its server group keeps the instance from the host; None: it does not."""
    group = neighbours.group
    return _HARD[group.policy](host, group) if group is not None and group.policy in _HARD else None


def _full(host: str, group: ServerGroup) -> str | None:
    there = group.on(host)
    if len(there) < group.max_per_host:
        return None
    most = f", at most {group.max_per_host} a host" if group.max_per_host > 1 else ""
    return f"server group {group.name} ({group.policy}{most}): {listed(there)} is there, or on the way there"


def _elsewhere(host: str, group: ServerGroup) -> str | None:
    away = [
        f"{uuid} on {', '.join(sorted(hosts))}"
        for uuid, hosts in sorted(group.members.items())
        if hosts and hosts != {host}
    ]
    return f"server group {group.name} ({group.policy}): {listed(away)}" if away else None


_HARD: Mapping[str, Callable[[str, ServerGroup], str | None]] = {ANTI_AFFINITY: _full, AFFINITY: _elsewhere}


def same_host_refusal(host: str, neighbours: Neighbours) -> str | None:
    """``same_host`` wants a host of one of these instances, one that stays there."""
    placed = {uuid: hosts for uuid, hosts in neighbours.same_host.items() if hosts}
    if not placed or any(hosts == {host} for hosts in placed.values()):
        return None
    where = [f"{uuid} on {', '.join(sorted(hosts))}" for uuid, hosts in sorted(placed.items())]
    return f"it has to be on the host of one of: {listed(where)}"


def different_host_refusal(host: str, neighbours: Neighbours) -> str | None:
    """``different_host`` wants a host with none of these instances, now or later."""
    there = sorted(uuid for uuid, hosts in neighbours.different_host.items() if host in hosts)
    return f"it has to be kept apart from {listed(there)}" if there else None


_REFUSALS = (group_refusal, same_host_refusal, different_host_refusal)


def refusal(host: str, neighbours: Neighbours) -> str | None:
    """The first reason why the instance may not come to the host; None: it may."""
    return next((message for one in _REFUSALS if (message := one(host, neighbours)) is not None), None)


def server_group(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    group = need.neighbours.group
    asked = f"in server group {group.name} ({group.policy})" if group is not None else "in no server group"
    there = listed(group.on(candidate.host.name)) if group is not None else ""
    message = None if _stays(candidate, need) else group_refusal(candidate.host.name, need.neighbours)
    return verdict(message, asked, f"has {there or 'none'} of the group" if group is not None else "")


def same_host(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    message = None if _stays(candidate, need) else same_host_refusal(candidate.host.name, need.neighbours)
    return verdict(message, f"same host as {listed(sorted(need.neighbours.same_host)) or 'none'}", "")


def different_host(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    message = None if _stays(candidate, need) else different_host_refusal(candidate.host.name, need.neighbours)
    return verdict(message, f"kept apart from {listed(sorted(need.neighbours.different_host)) or 'none'}", "")


def _stays(candidate: Candidate, need: PlacementRequest) -> bool:
    return need.in_place and candidate.host.name == need.source


def weight(host: str, neighbours: Neighbours) -> int:
    """What a soft policy makes of the host: the lowest is wanted most."""
    group = neighbours.group
    if group is None or group.policy not in (SOFT_AFFINITY, SOFT_ANTI_AFFINITY):
        return 0
    members = len(group.on(host))
    return -members if group.policy == SOFT_AFFINITY else members
