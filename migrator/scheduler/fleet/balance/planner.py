"""Makes the plan for balance: who moves, why, and what that does to each host. Pure."""

from collections.abc import Callable, Mapping

from migrator.scheduler.fleet.balance.fleet import Fleet
from migrator.scheduler.fleet.balance.model import BalancePlan, BalanceRequest, Objective, Proposal
from migrator.scheduler.fleet.balance.pack import pack
from migrator.scheduler.fleet.balance.spread import spread

Plan = Callable[[Fleet, Fleet], tuple[list[Proposal], dict[str, str]]]
_BY: Mapping[Objective, Plan] = {Objective.SPREAD: spread, Objective.PACK: pack}


def plan(request: BalanceRequest) -> BalancePlan:
    fleet, before = Fleet(request), Fleet(request)
    proposals, left = _BY[request.objective](fleet, before)
    hosts = [fleet.change(name, before, before.share(name)) for name in fleet.hosts]
    emptied = [change.host for change in hosts if change.instances_before and not change.instances_after]
    closed = {host.name: host.closed for host in request.hosts if host.closed}
    return BalancePlan(proposals, hosts, emptied, closed | left)
