"""What ``decide`` sees and what it answers. Plain values: no SQL, no HTTP, no clock."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from migrator.event_types import EventType
from migrator.operations import Effect, Kind
from migrator.protocol import Fact, HostReport, InstanceSpec
from migrator.scheduler.decision.downtime_steps import Schedule
from migrator.scheduler.decision.operation_data import Context, ContextUpdate, Params, Steering, SteeringUpdate


class Liveness(StrEnum):
    """What a host's polls say of it. Whether a silent one is fenced, ``HostView.evidence`` says."""

    HEARD = "heard"  # its agent polled within service_down_time
    AWAITED = "awaited"  # silent, but the servers themselves came back only a moment ago
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class HostView:
    name: str
    report: HostReport
    silent_s: float  # seconds since its agent last polled, by the servers' clock
    liveness: Liveness
    disabled: bool = False  # takes no instances: by an operator, or because none has approved it yet
    approved: bool = True
    forced_down: bool = False
    evidence: str | None = None  # why its guests do not run, although it is silent (see ``fencing.py``)
    fence_failed: str | None = None  # what the fence command said when it last failed
    heard_s: float = math.inf  # since it was last silent
    now: float = 0.0  # s since the epoch by the database's clock, when this was read
    listed_s: float = math.inf  # since it listed all its copies
    listed: bool = True  # False: since the servers are back it has not said which copies it has
    unreadable: str = ""  # why its description cannot be read; ``report`` is empty then

    @property
    def up(self) -> bool:
        """Whether it may be given something to do."""
        return self.heard and not self.forced_down and not self.unreadable

    @property
    def heard(self) -> bool:
        """Whether what its agent says is of now."""
        return self.liveness is Liveness.HEARD

    @property
    def awaited(self) -> bool:
        """Whether its silence says nothing."""
        return self.liveness is Liveness.AWAITED

    @property
    def fenced(self) -> bool:
        return self.liveness is Liveness.SILENT and self.evidence is not None


class Placed(Protocol):
    """Where an operation is: all that tells of whom its phase asks something."""

    @property
    def kind(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def forward(self) -> bool: ...
    @property
    def source(self) -> str | None: ...
    @property
    def destination(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class OperationView:
    id: int
    uuid: str
    kind: Kind
    instance_uuid: str
    phase: str
    forward: bool
    epoch: int
    generation: int
    source: str | None
    destination: str | None
    requested_host: str | None = None
    serial: int = 0  # see ``db/serials.py``
    params: Params = field(default_factory=Params)
    context: Context = field(default_factory=Context)
    cancel_requested: bool = False
    confirm_requested: bool = False
    wait_reason: str | None = None
    error: Mapping[str, Any] | None = None
    active: bool = True
    locks_instance: bool = True
    steering: Steering = field(default_factory=Steering)  # what an operator wants of the transfer
    outcome: Mapping[str, Any] = field(default_factory=dict)  # what was measured so far
    phase_age_s: float = 0.0  # by the servers' clock
    status: str = ""  # os-migrations' word for it

    @property
    def same_host(self) -> bool:
        """A resize in place: nothing lies between the two ends."""
        return self.destination is not None and self.source == self.destination


@dataclass(frozen=True, slots=True)
class MigrationOptions:
    """How a live migration's transfer may be made to end (the server's settings). ``bandwidth_mib_s`` 0: no limit."""

    strategy: str = "permitted"  # live_migration_strategy
    bandwidth_mib_s: int = 0
    auto_converge: bool = False
    post_copy: bool = False
    parallel_connections: int = 1
    compression: str = ""


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Where an operation stands in the queue of the host that it waits for."""

    ahead: int = 0  # operations that go first
    foremost: bool = True  # of the operations that any host would do for


class Question(StrEnum):
    """What a decision needs to know beside what every snapshot has, for it costs queries."""

    PLACEMENT = "placement"
    DESTINATION_CHECKS = "destination checks"


FailedChecks = Sequence[Mapping[str, Any]]  # {code, message, advice} and more, one each


@dataclass(frozen=True, slots=True)
class Placement:
    """Which host takes the operation in. ``host`` None: none does."""

    host: str | None = None
    ahead: int | None = None  # that go first there: the host takes in as many as it may; None: it has room now
    silent_hosts: Sequence[
        str
    ] = ()  # silent hosts of which nothing can be said, for the servers themselves just came back
    refusals: Mapping[str, list[str]] = field(default_factory=dict)  # host -> why not
    checks: Mapping[str, FailedChecks] | None = None  # the same, for programs; None: of too many hosts


@dataclass(frozen=True, slots=True)
class Snapshot:
    operation: OperationView
    instance: InstanceSpec
    hosts: Mapping[str, HostView]  # the operation's source and destination, and the instance's host, where known
    facts: Mapping[str, Fact]  # host -> newest fact, of whatever epoch and phase
    ages: Mapping[str, float] = field(default_factory=dict)  # host -> seconds since that fact arrived
    told: Mapping[str, float] = field(default_factory=dict)  # host -> seconds since it told that fact last
    report_timeout_s: float = 0.0  # agent_report_timeout; 0: never
    record_host: str | None = None  # the instance's host by its record
    deleted: bool = False  # the instance is
    deleting: bool = False  # a client asked for its deletion
    confirm_window_s: float = 0.0  # resize_confirm_window; 0: only a request confirms
    schedule: Schedule = field(default_factory=Schedule)
    ahead: int = 0  # live migrations of the same source that go first
    outbound_limit: int = 0  # max_concurrent_live_migrations; 0: any number
    # at its destination, while it waits for that to be free
    inbound: QueuePosition = field(default_factory=QueuePosition)
    inbound_limit: int = 0  # max_concurrent_builds; 0: any number
    shutdown_timeout_s: int = 60  # a guest gets to shut itself down
    migration_options: MigrationOptions = field(default_factory=MigrationOptions)
    reached_mib_s: float | None = None  # by earlier transfers between these hosts
    disputed: str = ""  # why nothing may be done to the instance before an operator has compared record and copies
    copies: tuple[tuple[str, str], ...] = ()  # for a deletion: (host, state) of what other hosts still report
    perhaps_built_on: HostView | None = None  # a host that has not said whether it has the guest already
    stalled_s: float = 0.0  # how long a transfer has been watched without a new low in bytes remaining
    # Answers to what a plan has asked for; None: not asked yet.
    placement: Placement | None = None
    destination_checks: FailedChecks | None = None  # that the host fails which was asked for


@dataclass(frozen=True, slots=True)
class Timeline:
    """One line of the timeline that a plan writes."""

    type: EventType
    message: str
    host: str | None = None
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of the operation's row, in one compare-and-swap transaction. None: that column stays. With ``asks``
    it says nothing yet: the decision is to be made again, with the answer in the snapshot.

    ``end`` is the final status word ("completed", "failed", "cancelled", "error"); with it the operation is over.
    """

    phase: str | None = None
    forward: bool | None = None
    bump_epoch: bool = False
    effect: Effect | None = None
    effect_fact: Fact | None = None  # the fact an effect records (power state, outcome)
    context: ContextUpdate = field(default_factory=ContextUpdate)  # merged over the row's
    destination: str | None = None
    clear_destination: bool = False
    wait_reason: str | None = None  # "" clears it
    error: Mapping[str, Any] | None = None
    outcome: Mapping[str, Any] | None = None
    final_status: str | None = None
    steering: SteeringUpdate = field(default_factory=SteeringUpdate)  # merged over the row's
    locks_instance: bool | None = None  # False: the instance is free from here on
    cancel: bool | None = None  # whether a client's request to cancel or revert, or to confirm, still counts
    confirm: bool | None = None
    timeline: tuple[Timeline, ...] = ()
    asks: Question | None = None
    # In how many seconds to decide again, although no agent reports anything: no part of what the plan does.
    requeue_after: float | None = field(default=None, compare=False)

    @property
    def empty(self) -> bool:
        return self == NOTHING


NOTHING = Plan()
