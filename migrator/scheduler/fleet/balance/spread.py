"""Moves away from hot hosts, one after the other, the hottest host first. Pure.

What a host is called hot by, and how far a move may lead another, are the fleet's mean and two fixed distances. No move
changes the mean, and the second lies below the first: so what receives never becomes hot, nothing is moved twice, and a
plan that was carried out leaves nothing to propose.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from migrator.scheduler.fleet.balance.fleet import Fleet, cost_s
from migrator.scheduler.fleet.balance.model import GuestLoad, Proposal, Use

_EACH_S = 300.0  # processor seconds that any move counts beside its own cost: fewer moves are better


@dataclass(frozen=True, slots=True)
class Bounds:
    """Parts of a host's size. Above ``hot`` it is relieved; up to ``open`` it receives."""

    hot: Use
    open: Use


def bounds(fleet: Fleet) -> Bounds:
    mean, limits = fleet.mean(), fleet.request.limits
    cpus, memory = max(mean.cpus + limits.gap, limits.floor), max(mean.memory_mb + limits.gap, limits.memory_floor)
    return Bounds(Use(cpus, memory), Use(cpus - limits.gap / 2, memory - limits.gap / 2))


def spread(fleet: Fleet, before: Fleet) -> tuple[list[Proposal], dict[str, str]]:
    """The proposals, and host -> why nothing helps it."""
    limit, found, left = bounds(fleet), list[Proposal](), dict[str, str]()
    while hot := [name for name in fleet.hosts if name not in left and excess(fleet, name, limit) > 0]:
        if len(found) == fleet.request.limits.moves:
            break
        name = max(hot, key=lambda host: (excess(fleet, host, limit) / fleet.hosts[host].size.cpus, host))
        move = _best(fleet, name, limit)
        if move is None:
            left[name] = _why_not(fleet, name, limit)
            continue
        found.append(_carried_out(fleet, before, *move, limit))
        if excess(fleet, name, limit) <= 0:  # it may receive now what others could not send anywhere
            left.clear()
    return found, {name: why for name, why in left.items() if excess(fleet, name, limit) > 0}


def excess(fleet: Fleet, name: str, limit: Bounds, more: Use | None = None) -> float:
    """Processors by which the host is above ``hot``; its memory counts as the same part of its processors."""
    share = fleet.share(name, more)
    over = max(0.0, share.cpus - limit.hot.cpus) + max(0.0, share.memory_mb - limit.hot.memory_mb)
    return over * fleet.hosts[name].size.cpus


def _best(fleet: Fleet, name: str, limit: Bounds) -> tuple[int, str] | None:
    """The guest by which the host would be cured at the least cost, if all were like it; and where it goes."""
    ranked = sorted(_worthwhile(fleet, name, limit))
    if not ranked:
        return None
    order = sorted((max(_above(fleet, host, limit)), host) for host in fleet.hosts if host != name)
    for _, _, index in ranked:
        guest = fleet.request.guests[index]
        for _, host in order:
            if _fits(fleet, guest, host, limit) and not fleet.refusal(index, host):
                return index, host
    return None


def _worthwhile(fleet: Fleet, name: str, limit: Bounds) -> Iterator[tuple[float, str, int]]:
    """Guests whose move gains more within the horizon than it costs, with what it would cost to cure the host."""
    over, horizon_s = excess(fleet, name, limit), fleet.request.limits.horizon_s
    for index in fleet.on[name]:
        guest = fleet.request.guests[index]
        if guest.closed:
            continue
        gain = over - excess(fleet, name, limit, Use().plus(guest.expected, -1))
        if gain * max(0.0, horizon_s - guest.duration_s) > cost_s(guest):
            yield ceil(over / gain - 1e-9) * (cost_s(guest) + _EACH_S), guest.uuid, index


def _above(fleet: Fleet, name: str, limit: Bounds) -> tuple[float, float]:
    share = fleet.share(name)
    return share.cpus - limit.open.cpus, share.memory_mb - limit.open.memory_mb


def _fits(fleet: Fleet, guest: GuestLoad, name: str, limit: Bounds) -> bool:
    share = fleet.share(name, guest.expected)
    return share.cpus <= limit.open.cpus and share.memory_mb <= limit.open.memory_mb


def _carried_out(fleet: Fleet, before: Fleet, index: int, host: str, limit: Bounds) -> Proposal:
    guest, source = fleet.request.guests[index], fleet.placed[index]
    over, shares = excess(fleet, source, limit), {name: fleet.share(name) for name in (source, host)}
    fleet.move(index, host)
    changes = [fleet.change(name, before, shares[name]) for name in (source, host)]
    gain = over - excess(fleet, source, limit)
    gain_s = gain * max(0.0, fleet.request.limits.horizon_s - guest.duration_s)
    message = (
        f"{source} is above {_part(limit.hot)}, at {_part(shares[source])}; without it at {_part(changes[0].after)}, "
        f"and {host} with it at {_part(changes[1].after)}; paid back after {cost_s(guest) / gain:.0f} s"
    )
    return Proposal(guest, changes[0], changes[1], cost_s(guest), gain_s, message)


def _part(use: Use) -> str:
    return f"{use.cpus:.0%} of processors and {use.memory_mb:.0%} of memory"


def _why_not(fleet: Fleet, name: str, limit: Bounds) -> str:
    worth = [index for _, _, index in _worthwhile(fleet, name, limit)]
    if not worth:
        stay = sorted({message for index in fleet.on[name] if (message := fleet.request.guests[index].closed)})
        why = "no move of a guest gains more than it costs"
        return "; ".join([why, *stay[:3]])
    reasons: dict[str, int] = {}
    for index in worth:
        for host in fleet.hosts:
            if host != name:
                fits = _fits(fleet, fleet.request.guests[index], host, limit)
                message = fleet.refusal(index, host) if fits else "it would be too busy with it"
                reasons[message] = reasons.get(message, 0) + 1
    most = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))[:3]
    return "no host takes a guest of it: " + ("; ".join(message for message, _ in most) or "there is no other host")
