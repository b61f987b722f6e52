"""What a check before a move looks at, and what it answers. Plain values: no SQL, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from migrator.protocol import GuestDescription, InstanceSpec, Survey
from migrator.scheduler.checks.aggregates import NO_AGGREGATES, HostAggregates
from migrator.scheduler.checks.neighbours import NO_NEIGHBOURS, Neighbours
from migrator.scheduler.decision.snapshot import HostView

KNOWN_S = 600.0  # what is known for longer is not known any more
# What an agent saw fail, or full, may have been mended or freed since: for so long it stands.
FAILURE_STANDS_S = 30.0
NAMED_MAX = 20  # of what a host has, in what is found of it


class Status(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """``words``: why not, or why it is not known; ``source`` and ``destination``: what was found on either host;
    ``age_s``: how long ago."""

    status: Status
    message: str = ""
    source: str = ""
    destination: str = ""
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SurveyRecord:
    """What a host's agent found when nothing was moved, and for how long the server has known it (s). ``unreadable``:
    why it could not be read, and so is empty."""

    survey: Survey
    age_s: float
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """What is to be placed. ``guest`` and ``source`` are known for a move only."""

    instance: InstanceSpec
    vcpus: int
    memory_mb: int
    disk_gb: int
    source: str | None = None
    requested_host: str | None = None
    guest: GuestDescription | None = None
    guest_age_s: float = 0.0
    block: bool | None = None  # what a live migration asked for; None: find out
    over_commit: bool = False  # the same: room for what copied disks hold now will do
    refused: Mapping[str, Sequence[str]] = field(default_factory=dict)  # hosts that already said no
    in_place: bool = False  # the source itself will do
    holders: frozenset[str] = frozenset()  # hosts besides the source that still have something of the instance
    surviving: Mapping[str, str] = field(default_factory=dict)  # pool -> identity of the storage that has its disks
    missing_images: tuple[str, ...] = ()  # that it needs and the catalogue has no bytes of; looked up beforehand only
    live: bool = False  # it is to run on while it is moved
    unfit: str = ""  # why nothing may begin with the instance now
    origin: "SourceHost | None" = None  # of a live migration
    neighbours: Neighbours = NO_NEIGHBOURS
    aggregates: HostAggregates = NO_AGGREGATES


@dataclass(frozen=True, slots=True)
class SourceHost:
    """The source of a live migration."""

    host: HostView
    surveyed: SurveyRecord | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    host: HostView
    free_vcpus: float
    free_memory_mb: float
    free_disk_gb: float
    surveyed: SurveyRecord | None = None


def listed(names: Sequence[str]) -> str:
    """The first of them, for words that people read."""
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return ", ".join(names[:NAMED_MAX]) + more


def verdict(message: str | None, source: str, destination: str, age_s: float = 0.0) -> CheckFinding:
    """Failed for the reason ``words``; None: passed."""
    status = Status.PASSED if message is None else Status.FAILED
    return CheckFinding(status, message or "", source, destination, age_s)


def unknown(message: str, source: str = "", destination: str = "") -> CheckFinding:
    return CheckFinding(Status.UNKNOWN, message, source, destination)
