"""How long the planner takes for many instances onto many hosts: processor time; sizes and zones by a fixed seed."""

import random
import time

from migrator.scheduler.fleet.plan.model import Budgets, Group, Guest, HostOffer, Option, PlanRequest, Room, Way
from migrator.scheduler.fleet.plan.planner import plan

_CASES = ((1_000, 200, 20), (10_000, 1_000, 200))  # instances, hosts, sources
_SPARE = (2.0, 1.2, 1.05)  # free memory of all hosts together, as a multiple of what has to be placed
_SIZES_MB = (1024, 2048, 4096, 8192, 16384)


def run() -> list[str]:
    lines = ["| instances | hosts | free / needed | left over | processor time |", "| --- | --- | --- | --- | --- |"]
    for guests, hosts, sources in _CASES:
        for spare in _SPARE:
            request = cluster(guests, hosts, sources, spare)
            begin = time.process_time()
            found = plan(request)
            took_s = time.process_time() - begin
            left = len([move for move in found.moves if move.way is None])
            lines.append(f"| {guests} | {hosts} | {spare:g} | {left} | {took_s:.2f} s |")
    return lines


def cluster(guests: int, hosts: int, sources: int, spare: float) -> PlanRequest:
    """A third of the instances is in groups of about six that are kept apart; three quarters are bound to a zone."""
    draw = random.Random(1)
    names = [f"h{number}" for number in range(hosts)]
    zones = [{name: "zone" for number, name in enumerate(names) if number % 3 != zone} for zone in range(3)]
    refusals: list[dict[str, str]] = [*zones, {}]
    sizes = [draw.choice(_SIZES_MB) for _ in range(guests)]
    each = sum(sizes) / hosts * spare
    offers = [HostOffer(name, Room(256, each * draw.uniform(0.5, 1.5), 10_000)) for name in names]
    groups = [Group(f"g{number}", f"g{number}") for number in range(guests // 20)]
    planned = [
        Guest(
            f"u{number:05}",
            f"vm{number}",
            f"s{number % sources}",
            Room(1, size, 10),
            [Option(Way.LIVE, draw.choice(refusals), duration_s=size / 100, downtime_s=0.3, doubt=1.0)],
            draw.choice(groups) if draw.random() < 0.3 else None,
        )
        for number, size in enumerate(sizes)
    ]
    return PlanRequest(offers, planned, Budgets(2, 2, 100))
