"""What the planner is given, and what it answers. Plain values: no SQL, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Way(StrEnum):
    LIVE = "live"
    COLD = "cold"
    STOP = "stop"
    LEAVE = "leave"
    START = "start"  # of what a drain stopped, when it is restored
    EVACUATE = "evacuate"  # away from a host that is lost


MOVES = frozenset({Way.LIVE, Way.COLD, Way.EVACUATE})  # ways that need a destination


@dataclass(frozen=True, slots=True)
class Room:
    """Capacity that a host has free, or that an instance needs."""

    vcpus: float
    memory_mb: float
    disk_gb: float


@dataclass(frozen=True, slots=True)
class HostOffer:
    name: str
    room: Room


@dataclass(frozen=True, slots=True)
class Group:
    """A server group whose members are kept apart. ``most``: members a host; ``soft``: it is wished for only.
    ``others``: host -> members there that this plan does not move."""

    uuid: str
    name: str
    most: int = 1
    soft: bool = False
    others: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Option:
    """One way for one instance. ``refusals``: host -> why not there, for reasons that no placement of others changes;
    instances with the same answers share the object. ``closed``: why the way is closed to every host, and ``remedy``:
    what would open it, where that is known. ``told``: what is to be known of it beforehand. ``doubt``: how much longer
    it may take, as a part of ``duration_s``."""

    way: Way
    refusals: Mapping[str, str] = field(default_factory=dict)
    closed: str = ""
    duration_s: float = 0.0
    downtime_s: float = 0.0
    doubt: float = 0.0
    told: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Guest:
    """An instance to be planned. ``options``: the ways that are allowed, the preferred one first. ``lost_disks``: those
    whose data only its host has, where that is lost."""

    uuid: str
    name: str
    source: str
    needs: Room
    options: Sequence[Option]
    group: Group | None = None
    priority: int = 0
    lost_disks: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Budgets:
    """How many moves may run together; 0: any number."""

    per_source: int = 0
    per_destination: int = 0
    fleet: int = 0


@dataclass(frozen=True, slots=True)
class PlanRequest:
    hosts: Sequence[HostOffer]
    guests: Sequence[Guest]
    budgets: Budgets = Budgets()
    deadline_s: float | None = None


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """What is planned for one instance. ``way`` None: it cannot go, and ``remedy`` says what would have to change.
    ``begin_s`` and ``end_s`` count from the plan's beginning."""

    guest: Guest
    way: Way | None
    destination: str | None
    why: str
    remedy: str = ""
    duration_s: float = 0.0
    downtime_s: float = 0.0
    begin_s: float = 0.0
    end_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """``moves`` in the order in which they begin; what does not go comes last. ``total_s``: predicted; ``longest_s``:
    with every doubt. ``late``: names of the instances that end after the deadline."""

    moves: Sequence[PlannedMove]
    total_s: float
    longest_s: float
    late: Sequence[str] = ()
