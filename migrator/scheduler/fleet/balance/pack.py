"""Hosts that can be emptied, the emptiest first, each as a whole or not at all. Pure.

No host is filled further than ``fill`` by the peaks of its guests, and none that has nothing receives. It goes on until
no host can be emptied: so a plan that was carried out leaves nothing to propose.
"""

from collections.abc import Sequence

from migrator.scheduler.fleet.balance.fleet import Fleet, cost_s
from migrator.scheduler.fleet.balance.model import GuestLoad, Proposal

_IDLE = 0.3  # of a host's processors: what a host that does nothing is counted as using
_PASSES = 10


def pack(fleet: Fleet, before: Fleet) -> tuple[list[Proposal], dict[str, str]]:
    """The proposals, and host -> why it cannot be emptied."""
    left: dict[str, str] = {}
    for _ in range(_PASSES):
        order = sorted((len(fleet.on[name]), name) for name in fleet.hosts if _mine(fleet, name))
        left, emptied = {}, 0
        for _, name in order:
            message = _empty(fleet, before, name)
            emptied += not message
            if message:
                left[name] = message
        if not emptied:
            break
    return _proposals(fleet, before), left


def _mine(fleet: Fleet, name: str) -> bool:
    """Whether the host has guests."""
    return fleet.hosts[name].instances > 0 and bool(fleet.on[name])


def _empty(fleet: Fleet, before: Fleet, name: str) -> str:
    """Why the host cannot be emptied; "": all of its guests are planned elsewhere."""
    host, guests = fleet.hosts[name], sorted(fleet.on[name], key=lambda one: _rank(fleet.request.guests[one]))
    if host.instances > len(before.on[name]):
        return "it has instances of which nothing is measured"
    if closed := next((guest for one in guests if (guest := fleet.request.guests[one]).closed), None):
        return f"{closed.name} stays: {closed.closed}"
    moved = [one for one in range(len(fleet.placed)) if fleet.placed[one] != before.placed[one]]
    if len({*moved, *guests}) > fleet.request.limits.moves:
        return f"that takes more than {fleet.request.limits.moves} moves"
    gain_s = _IDLE * host.size.cpus * fleet.request.limits.horizon_s
    if sum(cost_s(fleet.request.guests[one]) for one in guests) >= gain_s:
        return "its moves cost more than it saves"
    done: list[int] = []
    others = [other for other in fleet.hosts if other != name and fleet.on[other]]
    fullest = sorted(others, key=lambda other: (-fleet.share(other).memory_mb, other))
    for one in guests:
        there = _place(fleet, one, fullest)
        if there is None:
            for each in reversed(done):
                fleet.move(each, name)
            return f"{fleet.request.guests[one].name} finds no place"
        fleet.move(one, there)
        done.append(one)
    return ""


def _rank(guest: GuestLoad) -> tuple[float, str]:
    return -max(guest.needs.memory_mb, guest.peak.memory_mb), guest.uuid


def _place(fleet: Fleet, index: int, names: Sequence[str]) -> str | None:
    """The first of these hosts that has room, also if the guest were there and all were at their peaks."""
    guest, fill = fleet.request.guests[index], fleet.request.limits.fill
    for name in names:
        if fleet.free[name][1] < guest.needs.memory_mb:
            continue
        share = fleet.share(name, fleet.peaks[name].plus(guest.peak))
        if share.cpus <= fill and share.memory_mb <= fill and not fleet.refusal(index, name):
            return name
    return None


def _proposals(fleet: Fleet, before: Fleet) -> list[Proposal]:
    """A guest that was planned twice moves once."""
    moved = [one for one in range(len(fleet.placed)) if fleet.placed[one] != before.placed[one]]
    emptied = {name: len(before.on[name]) for name in fleet.hosts if before.on[name] and not fleet.on[name]}
    shown: list[Proposal] = []
    at = Fleet(fleet.request)
    for one in sorted(moved, key=lambda each: (emptied.get(before.placed[each], 0), before.placed[each], each)):
        guest, source, there = fleet.request.guests[one], at.placed[one], fleet.placed[one]
        shares = {name: at.share(name) for name in (source, there)}
        at.move(one, there)
        changes = [at.change(name, before, shares[name]) for name in (source, there)]
        gain_s = _IDLE * fleet.hosts[source].size.cpus * fleet.request.limits.horizon_s / emptied.get(source, 1)
        message = f"{source} would be empty, and {there} no fuller than {fleet.request.limits.fill:.0%} at its peak"
        shown.append(Proposal(guest, changes[0], changes[1], cost_s(guest), gain_s, message))
    return shown
