"""What a plan for balance is made of, and what it answers. Plain values: no SQL, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from migrator.scheduler.fleet.plan.model import Group, Room


class Objective(StrEnum):
    SPREAD = "spread"  # no host is much busier than the fleet
    PACK = "pack"  # as few hosts as will do: the others can be switched off


@dataclass(frozen=True, slots=True)
class Use:
    """Processors and MiB; of a host also what part of its processors and memory that is."""

    cpus: float = 0.0
    memory_mb: float = 0.0

    def plus(self, other: "Use", sign: int = 1) -> "Use":
        return Use(self.cpus + sign * other.cpus, self.memory_mb + sign * other.memory_mb)


@dataclass(frozen=True, slots=True)
class HostLoad:
    """``size``: what the host has; ``room``: what claims leave free; ``used``: measured, its instances' among it.
    ``closed``: why it takes no part in the plan; ``instances``: all that are there, movable or not."""

    name: str
    size: Use
    room: Room
    used: Use
    instances: int = 0
    closed: str = ""


@dataclass(frozen=True, slots=True)
class GuestLoad:
    """``mean`` and ``peak`` of the window. ``refusals``: host -> why not there; ``closed``: why it stays where it is;
    ``duration_s``, ``downtime_s`` and ``moved_mib``: predicted of its live migration, ``doubt`` as in ``Option``."""

    uuid: str
    name: str
    host: str
    needs: Room
    mean: Use
    peak: Use
    duration_s: float
    downtime_s: float
    moved_mib: float
    doubt: float = 0.0
    refusals: Mapping[str, str] = field(default_factory=dict)
    closed: str = ""
    group: Group | None = None

    @property
    def expected(self) -> Use:
        """A quarter of the way from its mean to its peak: peaks of many guests seldom meet."""
        more = self.peak.plus(self.mean, -1)
        return Use(self.mean.cpus + more.cpus / 4, self.mean.memory_mb + more.memory_mb / 4)


@dataclass(frozen=True, slots=True)
class Limits:
    """``moves``: at most; ``horizon_s``: for how long a move's gain counts against its cost. A host is hot above
    ``floor`` (of its memory: ``memory_floor``), and above the fleet's mean by more than ``gap``; a move leads no host
    further than half a gap below that; all are parts of its size. ``fill``: up to which part hosts are packed."""

    moves: int = 20
    horizon_s: float = 3600.0
    floor: float = 0.75
    memory_floor: float = 0.9
    gap: float = 0.1
    fill: float = 0.8


@dataclass(frozen=True, slots=True)
class BalanceRequest:
    objective: Objective
    hosts: Sequence[HostLoad]
    guests: Sequence[GuestLoad]
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Change:
    """A host's expected use, as parts of its size, and how many instances it has."""

    host: str
    before: Use
    after: Use
    instances_before: int
    instances_after: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """``source`` and ``destination``: what the move alone does to both, beside the moves before it. ``cost_s`` and
    ``gain_s``: processor seconds that it costs, and that it gains within the horizon."""

    guest: GuestLoad
    source: Change
    destination: Change
    cost_s: float
    gain_s: float
    why: str


@dataclass(frozen=True, slots=True)
class BalancePlan:
    """``proposals`` in the order in which they are worth most; ``hosts``: before and after all of them, every host that
    takes part; ``emptied``: hosts that would have no instance left; ``left``: host -> why nothing helps it."""

    proposals: Sequence[Proposal]
    hosts: Sequence[Change]
    emptied: Sequence[str] = ()
    left: Mapping[str, str] = field(default_factory=dict)
