"""Makes the plan: who goes where, by which way, in which order, and why one cannot go. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from migrator.scheduler.fleet.plan.model import (
    MOVES,
    FleetPlan,
    Guest,
    Option,
    PlannedMove,
    PlanRequest,
    Room,
    Way,
)
from migrator.scheduler.fleet.plan.packing import Placement, pack
from migrator.scheduler.fleet.plan.timetable import Run, timetable

_NAMED = 3  # reasons that are named of an instance that cannot go


def plan(request: PlanRequest) -> FleetPlan:
    placed = pack(request)
    free = _free_after(request, placed)
    moves = [_planned(index, request, placed, free) for index in range(len(request.guests))]
    timed = [move for move in moves if move.way in (*MOVES, Way.STOP, Way.START)]
    times = timetable([_run(move) for move in timed], request.budgets)
    longest = timetable([_run(move, doubted=True) for move in timed], request.budgets)
    moves = [_at(move, times) for move in moves]
    moves.sort(key=lambda m: (m.guest.uuid not in times, m.begin_s, m.end_s, m.guest.uuid))
    deadline_s = request.deadline_s
    late = [m.guest.name for m in moves if deadline_s is not None and m.guest.uuid in times and m.end_s > deadline_s]
    return FleetPlan(moves, _last(times), _last(longest), late)


def _planned(index: int, request: PlanRequest, placed: Placement, free: Mapping[str, Room]) -> PlannedMove:
    guest = request.guests[index]
    if index in placed:
        option, host = placed[index]
        why = _why(guest, option)
        return PlannedMove(guest, option.way, host, why, "", option.duration_s, option.downtime_s)
    stay = next((o for o in guest.options if o.way not in MOVES and not o.closed), None)
    refused = _refused(guest, free)
    if stay is None:
        return PlannedMove(guest, None, None, refused or "no way is allowed for it", _remedy(guest, request, free))
    why = stay.told or f"{stay.way} is allowed" + (f"; {refused}" if refused else "")
    return PlannedMove(guest, stay.way, None, why, "", stay.duration_s, stay.downtime_s)


def _why(guest: Guest, chosen: Option) -> str:
    """Why not by a way that is preferred to the chosen one."""
    before = guest.options[: [id(o) for o in guest.options].index(id(chosen))]
    reasons = [f"{o.way}: {o.closed or _summary(o.refusals.values()) or 'no host has room'}" for o in before]
    return "; ".join([*reasons, *([chosen.told] if chosen.told else [])]) or "the preferred way"


def _refused(guest: Guest, free: Mapping[str, Room]) -> str:
    """By every way that needs a host, why none takes it."""
    told = []
    for option in guest.options:
        if option.way in MOVES:
            told.append(f"{option.way}: {option.closed or _summary(_against(guest, option, free).values())}")
    return "; ".join(told)


def _against(guest: Guest, option: Option, free: Mapping[str, Room]) -> dict[str, str]:
    """Host -> why not there, beside what else is planned."""
    found: dict[str, str] = {}
    for name, room in free.items():
        if name == guest.source:
            continue
        found[name] = option.refusals.get(name) or _short(guest.needs, room) or _crowded(guest)
    return found


def _short(needs: Room, room: Room) -> str:
    if needs.memory_mb <= room.memory_mb and needs.vcpus <= room.vcpus and needs.disk_gb <= room.disk_gb:
        return ""
    return _lacking(needs, needs.vcpus > room.vcpus, needs.memory_mb > room.memory_mb, needs.disk_gb > room.disk_gb)


@lru_cache(maxsize=1000)  # the same for many hosts
def _lacking(needs: Room, *lacks: bool) -> str:
    pairs = (("vCPUs", needs.vcpus), ("MiB of memory", needs.memory_mb), ("GiB of disk", needs.disk_gb))
    return ", ".join(f"{need:g} {unit} needed" for (unit, need), short in zip(pairs, lacks, strict=True) if short)


def _crowded(guest: Guest) -> str:
    return f"server group {guest.group.name} has its members there" if guest.group is not None else "no place is left"


def _summary(reasons: Iterable[str]) -> str:
    """The reasons that most hosts have, each with their number."""
    counted = Counter(reasons)
    told = [f"{reason} ({number} host{'s' if number > 1 else ''})" for reason, number in counted.most_common(_NAMED)]
    return "; ".join(told) or "there is no other host"


def _remedy(guest: Guest, request: PlanRequest, free: Mapping[str, Room]) -> str:
    """What would have to change for it to go: the nearest host of the way that comes closest."""
    options = [o for o in guest.options if o.way in MOVES]
    ways = {o.way for o in guest.options}
    for option in options:
        if option.closed:
            if option.remedy:
                return option.remedy
            continue
        open_to = [n for n in free if n != guest.source and n not in option.refusals]
        if open_to:
            nearest = min(open_to, key=lambda n: (max(0.0, guest.needs.memory_mb - free[n].memory_mb), n))
            short = _short(guest.needs, free[nearest])
            if short:
                return f"make room on {nearest}: {short}"
            return f"let a host without members of the group take it ({_crowded(guest)})"
    missing = sorted({Way.COLD, Way.STOP} - ways)
    if missing and Way.EVACUATE not in ways:
        return f"allow {' or '.join(missing)}, or mend what the hosts' checks say"
    return "mend what the hosts' checks say" if len(request.hosts) > 1 else "add a host"


def _free_after(request: PlanRequest, placed: Placement) -> Mapping[str, Room]:
    free = {host.name: host.room for host in request.hosts}
    for index, (_, name) in placed.items():
        room, needs = free[name], request.guests[index].needs
        free[name] = Room(room.vcpus - needs.vcpus, room.memory_mb - needs.memory_mb, room.disk_gb - needs.disk_gb)
    return free


def _run(move: PlannedMove, *, doubted: bool = False) -> Run:
    doubt = next((o.doubt for o in move.guest.options if o.way is move.way), 0.0) if doubted else 0.0
    return Run(move.guest, move.destination, move.duration_s * (1 + doubt))


def _at(move: PlannedMove, times: Mapping[str, tuple[float, float]]) -> PlannedMove:
    if move.guest.uuid not in times:
        return move
    begin_s, end_s = times[move.guest.uuid]
    return replace(move, begin_s=begin_s, end_s=end_s)


def _last(times: Mapping[str, tuple[float, float]]) -> float:
    return max((end_s for _, end_s in times.values()), default=0.0)
