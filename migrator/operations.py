"""The table: every kind of operation, phase by phase.

Read down, a kind is the way forward; read up, the way back. ``scheduler/decide.py`` advances an operation through it
and knows nothing that is not written here. This module never acts, never waits and never asks.

How to read a row: *name*, *actor* (who does it), *do* (what must be true before the next phase), *undo* (what must be
true before the phase above is undone; None: nothing to undo), *watch* (whether the other host reports too while it
lasts). ``point_of_no_return`` names the first phase from which there is only forward.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from migrator.protocol import Ensure


class Kind(StrEnum):
    BUILD = "build"
    DELETE = "delete"
    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    LIVE_MIGRATION = "live-migration"


class Actor(StrEnum):
    SCHEDULER = "scheduler"
    SOURCE = "source"
    DESTINATION = "destination"


class Effect(StrEnum):
    """What the scheduler itself does: database changes, applied in the transaction that leaves the phase."""

    CLAIM_DESTINATION = "claim_destination"
    RELEASE_DESTINATION = "release_destination"
    RELEASE_SOURCE = "release_source"
    MOVE_RECORD = "move_record"  # the instance's host becomes the destination
    RECORD_BUILT = "record_built"
    RECORD_POWER = "record_power"  # the instance's state becomes what the facts say
    RECORD_DELETED = "record_deleted"


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    actor: Actor
    do: Ensure | Effect
    undo: Ensure | Effect | None = None
    watch: bool = False
    shown: str = ""  # status in os-migrations while the phase lasts
    task_state: str | None = None  # the instance's task_state while the phase lasts


@dataclass(frozen=True, slots=True)
class Operation:
    kind: Kind
    phases: tuple[Phase, ...]
    point_of_no_return: str | None  # None: can be undone to the end
    moves: bool = False  # shown in os-migrations
    action: str = ""  # name in os-instance-actions
    kills_on_undo: bool = False  # undo may destroy a running guest (only what this operation itself booted)

    def index(self, phase: str) -> int:
        return next(i for i, p in enumerate(self.phases) if p.name == phase)

    def phase(self, name: str) -> Phase:
        return self.phases[self.index(name)]

    def reversible(self, phase: str) -> bool:
        """True while the way back is open."""
        return self.point_of_no_return is None or self.index(phase) < self.index(self.point_of_no_return)


S, A, B = Actor.SCHEDULER, Actor.SOURCE, Actor.DESTINATION

BUILD = Operation(
    Kind.BUILD,
    (
        Phase("claim", S, Effect.CLAIM_DESTINATION, Effect.RELEASE_DESTINATION, task_state="scheduling"),
        Phase("disks", B, Ensure.DISKS_PRESENT, Ensure.ABSENT, task_state="block_device_mapping"),
        Phase("start", B, Ensure.RUNNING, Ensure.ABSENT, task_state="spawning"),
        Phase("commit", S, Effect.RECORD_BUILT, task_state="spawning"),
    ),
    point_of_no_return="commit",
    action="create",
    kills_on_undo=True,
)

DELETE = Operation(
    Kind.DELETE,
    (
        Phase("cleanup", A, Ensure.ABSENT, task_state="deleting"),
        Phase("release", S, Effect.RELEASE_SOURCE, task_state="deleting"),
        Phase("commit", S, Effect.RECORD_DELETED, task_state="deleting"),
    ),
    point_of_no_return="cleanup",
    action="delete",
)

START = Operation(
    Kind.START,
    (
        Phase("start", A, Ensure.RUNNING, task_state="powering-on"),
        Phase("commit", S, Effect.RECORD_POWER, task_state="powering-on"),
    ),
    point_of_no_return=None,
    action="start",
)

STOP = Operation(
    Kind.STOP,
    (
        Phase("stop", A, Ensure.SHUT_OFF, task_state="powering-off"),
        Phase("commit", S, Effect.RECORD_POWER, task_state="powering-off"),
    ),
    point_of_no_return=None,
    action="stop",
)

REBOOT = Operation(
    Kind.REBOOT,
    (
        Phase("stop", A, Ensure.SHUT_OFF, task_state="rebooting"),
        Phase("start", A, Ensure.RUNNING, task_state="reboot_started"),
        Phase("commit", S, Effect.RECORD_POWER, task_state="reboot_started"),
    ),
    point_of_no_return=None,
    action="reboot",
)

LIVE_MIGRATION = Operation(
    Kind.LIVE_MIGRATION,
    (
        Phase("inspect", A, Ensure.MOVABLE, shown="accepted", task_state="migrating"),
        Phase("claim", S, Effect.CLAIM_DESTINATION, Effect.RELEASE_DESTINATION, shown="queued", task_state="migrating"),
        Phase("check", B, Ensure.COMPATIBLE, shown="preparing", task_state="migrating"),
        Phase("prepare", B, Ensure.PREPARED, Ensure.ABSENT, watch=True, shown="preparing", task_state="migrating"),
        Phase(
            "transfer", A, Ensure.MIGRATING, Ensure.NOT_MIGRATING, watch=True, shown="running", task_state="migrating"
        ),
        Phase("commit", S, Effect.MOVE_RECORD, shown="post-migrating", task_state="migrating"),
        Phase("cleanup", A, Ensure.ABSENT, watch=True, shown="post-migrating", task_state="migrating"),
        Phase("release", S, Effect.RELEASE_SOURCE, shown="post-migrating", task_state="migrating"),
    ),
    point_of_no_return="commit",
    moves=True,
    action="live-migration",
)

OPERATIONS: Mapping[Kind, Operation] = {op.kind: op for op in (BUILD, DELETE, START, STOP, REBOOT, LIVE_MIGRATION)}
