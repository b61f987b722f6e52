"""Hosts and guests for the planner's tests."""

from collections.abc import Mapping

from migrator.scheduler.fleet.plan.model import FleetPlan, Group, Guest, HostOffer, Option, PlannedMove, Room, Way

GIB = 1024


def offer(name: str, memory_gib: int, vcpus: int = 64, disk_gb: int = 1000) -> HostOffer:
    return HostOffer(name, Room(vcpus, memory_gib * GIB, disk_gb))


def guest(
    name: str,
    memory_gib: int = 1,
    ways: tuple[Way, ...] = (Way.LIVE,),
    refusals: Mapping[str, str] | None = None,
    source: str = "n1",
    group: Group | None = None,
    priority: int = 0,
    duration_s: float = 10.0,
) -> Guest:
    options = [Option(way, refusals or {}, duration_s=duration_s, downtime_s=0.5, doubt=1.0) for way in ways]
    return Guest(name, name, source, Room(1, memory_gib * GIB, 10), options, group, priority)


def of(plan: FleetPlan, name: str) -> PlannedMove:
    return next(move for move in plan.moves if move.guest.name == name)
