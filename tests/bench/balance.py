"""A day of a fleet whose load changes, with no balancing, a plain threshold rule, and the planner: hot spots, moves and
moved memory; and how many hosts would be emptied. Everything is drawn by a fixed seed; nothing is moved."""

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from migrator.scheduler.fleet.balance.model import BalanceRequest, GuestLoad, HostLoad, Limits, Objective, Use
from migrator.scheduler.fleet.balance.planner import plan
from migrator.scheduler.fleet.plan.model import Room

_HOSTS, _GUESTS = 500, 10_000
_CPUS, _MEMORY_MB, _RATIO = 32.0, 131_072, 4
_SIZES = ((1, 1024), (2, 2048), (2, 4096), (4, 8192), (8, 16_384))  # vCPUs, MiB
_STEP_MIN = 5
_STEPS = 24 * 60 // _STEP_MIN
_WARM = 6 * 60 // _STEP_MIN  # before anything is moved
_BACK = 2 * 60 // _STEP_MIN  # what a plan looks back on
_EACH = 60 // _STEP_MIN  # steps between two plans
_MOVES = 50  # of one plan, and of the rule in the same time
_HOT = 0.8  # of a host's processors
_BANDWIDTH_MIB_S = 100.0


@dataclass
class Day:
    """``demand``: guest -> processors wanted at each step."""

    sizes: list[tuple[int, int]]
    demand: list[list[float]]
    placed: list[int]


@dataclass
class Outcome:
    hot: int = 0
    beyond: float = 0.0
    moves: int = 0
    moved_gib: float = 0.0
    slowest_s: float = 0.0
    placed: list[int] = field(default_factory=list)


def run() -> list[str]:
    day = _day()
    lines = [
        f"{_HOSTS} hosts of {_CPUS:g} processors, {_GUESTS} instances, a day in steps of {_STEP_MIN} minutes, of which",
        f"the first {_WARM * _STEP_MIN // 60} hours are only measured; then up to {_MOVES} moves an hour. The load is",
        "made, not recorded: a mean that few exceed by far, a wave in one of three phases, noise that lasts,",
        f"bursts. A hot spot is a host above {_HOT:.0%} of its processors for one step.",
        "",
        "| rule | hot spots | processor hours wanted beyond what hosts have | moves | moved GiB | slowest plan |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rules: Mapping[str, Callable[[Day, Sequence[int], int], Mapping[int, int]]] = {
        "nothing is moved": lambda _day, _placed, _step: {},
        f"threshold: a host above {_HOT:.0%} sends its busiest guest to the idlest host": _threshold,
        "`migrator rebalance --auto` each hour": _planned,
    }
    for name, rule in rules.items():
        found = _simulate(day, rule)
        row = (
            name,
            found.hot,
            f"{found.beyond:.0f}",
            found.moves,
            f"{found.moved_gib:.0f}",
            f"{found.slowest_s:.1f} s",
        )
        lines.append(f"| {' | '.join(map(str, row))} |")
    began = time.process_time()
    packed = plan(_request(day, day.placed, _STEPS, Objective.PACK, 2000))
    took_s = time.process_time() - began
    message = (
        f"Packing, asked once at the day's end with up to 2000 moves: {len(packed.emptied)} hosts would be empty after"
    )
    return [*lines, "", f"{message} {len(packed.proposals)} moves; the plan took {took_s:.1f} s."]


def _day() -> Day:
    draw = random.Random(1)
    sizes = [draw.choices(_SIZES, weights=(30, 25, 25, 15, 5))[0] for _ in range(_GUESTS)]
    return Day(sizes, [_trace(draw, vcpus) for vcpus, _ in sizes], _first_placement(draw, sizes))


def _trace(draw: random.Random, vcpus: int) -> list[float]:
    mean = min(0.9, draw.lognormvariate(-1.2, 0.8)) * vcpus
    phase, swing = draw.choice((0.0, 0.25, 0.6)), draw.uniform(0.0, 0.6)
    noise, burst, found = 0.0, 0, []
    for step in range(_STEPS):
        noise = 0.9 * noise + draw.gauss(0, 0.08)
        burst = draw.randint(3, 18) if burst == 0 and draw.random() < 0.002 else max(0, burst - 1)
        wave = 1 + swing * math.sin(2 * math.pi * (step / _STEPS + phase))
        found.append(min(float(vcpus), max(0.01, mean * wave * (1 + noise) * (2.0 if burst else 1.0))))
    return found


def _first_placement(draw: random.Random, sizes: Sequence[tuple[int, int]]) -> list[int]:
    """At random, where claims leave room: the load was not known."""
    free = [[_CPUS * _RATIO, float(_MEMORY_MB)] for _ in range(_HOSTS)]
    placed = []
    for vcpus, memory_mb in sizes:
        host = draw.choice(
            [n for n in draw.sample(range(_HOSTS), 20) if free[n][1] >= memory_mb and free[n][0] >= vcpus]
        )
        free[host] = [free[host][0] - vcpus, free[host][1] - memory_mb]
        placed.append(host)
    return placed


def _simulate(day: Day, rule: Callable[[Day, Sequence[int], int], Mapping[int, int]]) -> Outcome:
    found = Outcome(placed=list(day.placed))
    for step in range(_WARM, _STEPS):
        if step % _EACH == 0:
            began = time.process_time()
            moves = rule(day, found.placed, step)
            found.slowest_s = max(found.slowest_s, time.process_time() - began)
            for guest, host in moves.items():
                found.placed[guest] = host
                found.moves += 1
                found.moved_gib += day.sizes[guest][1] / 1024
        for used in _used(day, found.placed, step):
            found.hot += used > _HOT * _CPUS
            found.beyond += max(0.0, used - _CPUS) * _STEP_MIN / 60
    return found


def _used(day: Day, placed: Sequence[int], step: int) -> list[float]:
    used = [0.0] * _HOSTS
    for guest, host in enumerate(placed):
        used[host] += day.demand[guest][step]
    return used


def _threshold(day: Day, placed: Sequence[int], step: int) -> Mapping[int, int]:
    """By the last step alone, as a rule without a forecast does."""
    now, used = list(placed), _used(day, placed, step - 1)
    free = _free(day, placed)
    moves: dict[int, int] = {}
    for host in sorted(range(_HOSTS), key=lambda one: -used[one]):
        while used[host] > _HOT * _CPUS and len(moves) < _MOVES:
            guest = max((g for g in range(_GUESTS) if now[g] == host), key=lambda one: day.demand[one][step - 1])
            vcpus, memory_mb = day.sizes[guest]
            fit = [n for n in range(_HOSTS) if free[n][0] >= vcpus and free[n][1] >= memory_mb and n != host]
            there = min(fit, key=lambda one: used[one])
            for name, sign in ((host, -1), (there, 1)):
                used[name] += sign * day.demand[guest][step - 1]
                free[name] = [free[name][0] - sign * vcpus, free[name][1] - sign * memory_mb]
            now[guest] = moves[guest] = there
    return moves


def _planned(day: Day, placed: Sequence[int], step: int) -> Mapping[int, int]:
    found = plan(_request(day, placed, step, Objective.SPREAD, _MOVES))
    return {int(one.guest.uuid): int(one.destination.host) for one in found.proposals}


def _request(day: Day, placed: Sequence[int], step: int, objective: Objective, moves: int) -> BalanceRequest:
    """As the server reads it: the mean and the peak of the samples of the last hours."""
    guests, means, counts = [], [0.0] * _HOSTS, [0] * _HOSTS
    for guest, (host, (vcpus, memory_mb)) in enumerate(zip(placed, day.sizes, strict=True)):
        seen = day.demand[guest][step - _BACK : step]
        mean, peak = sum(seen) / len(seen), max(seen)
        means[host], counts[host] = means[host] + mean, counts[host] + 1
        room = Room(vcpus, memory_mb, 0)
        held, lasts_s = memory_mb * 0.7, 2 + memory_mb / _BANDWIDTH_MIB_S
        use = Use(mean, held), Use(peak, held)
        guests.append(GuestLoad(str(guest), str(guest), str(host), room, *use, lasts_s, 0.5, memory_mb, 1.0))
    free, size = _free(day, placed), Use(_CPUS, float(_MEMORY_MB))
    hosts = [
        HostLoad(
            str(n), size, Room(free[n][0], free[n][1], 1000), Use(means[n] + 0.5, _MEMORY_MB - free[n][1]), counts[n]
        )
        for n in range(_HOSTS)
    ]
    return BalanceRequest(objective, hosts, guests, Limits(moves=moves))


def _free(day: Day, placed: Sequence[int]) -> list[list[float]]:
    free = [[_CPUS * _RATIO, float(_MEMORY_MB)] for _ in range(_HOSTS)]
    for host, (vcpus, memory_mb) in zip(placed, day.sizes, strict=True):
        free[host] = [free[host][0] - vcpus, free[host][1] - memory_mb]
    return free
