"""The table: every kind of operation, phase by phase.

Read down, a kind is the way forward; read up, the way back. ``scheduler/decision/decide.py`` advances an operation
through it and knows nothing that is not written here. This module never acts, never waits and never asks.

How to read a row: *name*, *actor* (who does it), *do* (what must be true before the next phase), *undo* (what must be
true before the phase above is undone; None: nothing to undo), *meanwhile* (what the other host keeps true while it
lasts). ``point_of_no_return`` names the first phase from which there is only forward.

Two more words carry what happens when a host is lost. A phase that does not *hold* leaves the instance free for the
next operation, and only waits for a host to clean up. An undo that may be *owed* is put off while its host is silent,
because nothing that the phase did could ever run the guest: the instance is brought back first, and the operation
stays, without holding the instance, until the host has cleaned up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from migrator.protocol import Ensure

VERIFY = "verify"  # the phase in which a cold move waits for an operator's word


class Kind(StrEnum):
    BUILD = "build"
    DELETE = "delete"
    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    LIVE_MIGRATION = "live-migration"
    MIGRATION = "migration"
    RESIZE = "resize"
    EVACUATION = "evacuation"
    SUSPEND = "suspend"
    RESUME = "resume"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    KEPT_RESTORE = "kept-disks-restore"
    KEPT_DROP = "kept-disks-drop"


class Actor(StrEnum):
    SCHEDULER = "scheduler"
    SOURCE = "source"
    DESTINATION = "destination"
    OPERATOR = "operator"  # confirms or reverts, or lets resize_confirm_window pass


class Effect(StrEnum):
    """What the scheduler itself does: database changes, applied in the transaction that leaves the phase."""

    CLAIM_DESTINATION = "claim_destination"
    RELEASE_DESTINATION = "release_destination"
    RELEASE_SOURCE = "release_source"
    MOVE_RECORD = "move_record"  # the instance's host becomes the destination
    RECORD_BUILT = "record_built"
    RECORD_POWER = "record_power"  # the instance's state becomes what the facts say
    RECORD_DELETED = "record_deleted"
    RECORD_RESIZED = "record_resized"  # host and flavor are the new ones; VERIFY_RESIZE
    RECORD_RETURNED = "record_returned"  # host and flavor are the old ones again, the state what the facts say
    RECORD_CONFIRMED = "record_confirmed"  # active or stopped again, where it is now
    AWAIT_CONFIRMATION = "await_confirmation"
    AWAIT_NO_COPY = "await_no_copy"  # no other host reports a copy of the instance
    NONE = "-"


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    actor: Actor
    do: Ensure | Effect
    undo: Ensure | Effect | None = None
    meanwhile: Ensure | None = None
    shown: str = ""  # status in os-migrations while the phase lasts
    task_state: str | None = None  # the instance's task_state while the phase lasts
    task_state_hard: str | None = None  # the same, where the guest is not asked
    holds: bool = True  # the instance is this operation's; False: free for the next one
    owed: bool = False  # the undo may be put off while its host is silent
    retry: bool = False  # when it fails, another host is tried, if none was asked for by name
    between_hosts: bool = False  # nothing to do or undo when source and destination are the same host
    planning: bool = False  # left out unless the way of the transfer is to be chosen (live_migration_strategy = auto)
    # Left out unless a running guest's read-only disk, or an image that the catalogue has lost, is to be copied, before
    # it is moved.
    lends: bool = False
    fencing: bool = False  # evidence that the host is fenced counts as done
    # The phase whose undoing proves, in the same epoch, the copy that stays, before this undo stops or destroys another
    # one. The way back that begins here begins there.
    undo_proof: str = ""
    # The same on the way forward: the phase that proves the copy that stays, and proves it anew where either host was
    # silent meanwhile, or the proof has become old (``proof.GOOD_FOR_S``).
    proof: str = ""
    copied: bool = False  # left out where the two hosts share every disk, so that none is deleted

    def task(self, params: Mapping[str, Any]) -> str | None:
        """The instance's task_state, for an operation that was requested with ``params``."""
        return self.task_state_hard if self.task_state_hard and params.get("soft") is False else self.task_state


@dataclass(frozen=True, slots=True)
class Operation:
    kind: Kind
    phases: tuple[Phase, ...]
    point_of_no_return: str | None  # None: can be undone to the end
    moves: bool = False  # shown in os-migrations
    action: str = ""  # name in os-instance-actions
    kills_on_undo: bool = False  # undo may destroy a running guest (only what this operation itself booted)
    completed: str = "completed"  # status at the good end
    reverting: str | None = None  # task_state on the way back

    @property
    def live(self) -> bool:
        """Whether the guest runs on while it is moved, so that only a verdict tells where it is."""
        return any(phase.do is Ensure.MIGRATING for phase in self.phases)

    def index(self, phase: str) -> int:
        """Raises LookupError for a phase of another release."""
        found = next((i for i, p in enumerate(self.phases) if p.name == phase), None)
        if found is None:
            raise LookupError(f"{self.kind} has no phase {phase!r}")
        return found

    def phase(self, name: str) -> Phase:
        return self.phases[self.index(name)]

    def reversible(self, phase: str) -> bool:
        """True while the way back is open."""
        return self.point_of_no_return is None or self.index(phase) < self.index(self.point_of_no_return)

    def undone_by_hosts(self, phase: str) -> bool:
        """Whether some host has something to undo when the operation turns round in that phase."""
        return any(isinstance(before.undo, Ensure) for before in self.phases[: self.index(phase) + 1])


S, A, B = Actor.SCHEDULER, Actor.SOURCE, Actor.DESTINATION

BUILD = Operation(
    Kind.BUILD,
    (
        Phase("claim", S, Effect.CLAIM_DESTINATION, Effect.RELEASE_DESTINATION, task_state="scheduling"),
        Phase("disks", B, Ensure.DISKS_PRESENT, Ensure.ABSENT, task_state="block_device_mapping", retry=True),
        Phase("start", B, Ensure.RUNNING, Ensure.ABSENT, task_state="spawning", retry=True),
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
        Phase("elsewhere", S, Effect.AWAIT_NO_COPY, task_state="deleting"),
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
        Phase("stop", A, Ensure.SHUT_OFF, task_state="rebooting", task_state_hard="rebooting_hard"),
        Phase("start", A, Ensure.RUNNING, task_state="reboot_started", task_state_hard="reboot_started_hard"),
        Phase(
            "commit",
            S,
            Effect.RECORD_POWER,
            task_state="reboot_started",
            task_state_hard="reboot_started_hard",
        ),
    ),
    point_of_no_return=None,
    action="reboot",
)

LIVE_MIGRATION = Operation(
    Kind.LIVE_MIGRATION,
    (
        Phase("inspect", A, Ensure.MOVABLE, shown="accepted", task_state="migrating"),
        Phase("claim", S, Effect.CLAIM_DESTINATION, Effect.RELEASE_DESTINATION, shown="queued", task_state="migrating"),
        Phase("check", B, Ensure.COMPATIBLE, shown="preparing", task_state="migrating", retry=True),
        Phase("measure", A, Ensure.MEASURED, shown="preparing", task_state="migrating", planning=True),
        # A config drive is a disk that nobody writes to: it is copied as it is, where the hosts do not share its pool.
        Phase("lend", A, Ensure.LENT, Ensure.WITHDRAWN, shown="preparing", task_state="migrating", lends=True),
        Phase(
            "fetch",
            B,
            Ensure.COPIED,
            Ensure.ABSENT,
            meanwhile=Ensure.LENT,
            shown="preparing",
            task_state="migrating",
            lends=True,
            retry=True,
        ),
        Phase(
            "prepare",
            B,
            Ensure.PREPARED,
            Ensure.ABSENT,
            meanwhile=Ensure.OBSERVED,
            shown="preparing",
            task_state="migrating",
            retry=True,
        ),
        Phase(
            "transfer",
            A,
            Ensure.MIGRATING,
            Ensure.NOT_MIGRATING,
            meanwhile=Ensure.OBSERVED,
            shown="running",
            task_state="migrating",
        ),
        Phase("commit", S, Effect.MOVE_RECORD, shown="post-migrating", task_state="migrating"),
        # The source's disks are given up only after the destination has shown, freshly, that it has them.
        Phase(
            "attest",
            B,
            Ensure.DISKS_WHOLE,
            meanwhile=Ensure.OBSERVED,
            shown="post-migrating",
            task_state="migrating",
            copied=True,
        ),
        Phase(
            "cleanup",
            A,
            Ensure.ABSENT,
            meanwhile=Ensure.OBSERVED,
            shown="post-migrating",
            task_state="migrating",
            proof="attest",
        ),
        Phase("release", S, Effect.RELEASE_SOURCE, shown="post-migrating", task_state="migrating"),
    ),
    point_of_no_return="commit",
    moves=True,
    action="live-migration",
)


def _cold(kind: Kind, action: str) -> Operation:
    """Migration and resize share one path: the destination has another flavor, or the same."""
    return Operation(
        kind,
        (
            Phase("inspect", A, Ensure.DESCRIBED, shown="pre-migrating", task_state="resize_prep"),
            Phase(
                "claim",
                S,
                Effect.CLAIM_DESTINATION,
                Effect.RELEASE_DESTINATION,
                shown="pre-migrating",
                task_state="resize_prep",
            ),
            Phase(
                "check",
                B,
                Ensure.COMPATIBLE,
                shown="pre-migrating",
                task_state="resize_prep",
                between_hosts=True,
                retry=True,
            ),
            Phase("depart", S, Effect.NONE, Effect.RECORD_RETURNED, shown="migrating", task_state="resize_migrating"),
            Phase("stop", A, Ensure.SHUT_OFF, Ensure.POWERED, shown="migrating", task_state="resize_migrating"),
            Phase(
                "offer",
                A,
                Ensure.OFFERED,
                Ensure.WITHDRAWN,
                shown="migrating",
                task_state="resize_migrating",
                between_hosts=True,
            ),
            Phase(
                "copy",
                B,
                Ensure.COPIED,
                Ensure.ABSENT,
                meanwhile=Ensure.OFFERED,
                shown="migrating",
                task_state="resize_migrating",
                owed=True,
                between_hosts=True,
                undo_proof="keep",
            ),
            Phase(
                "start",
                B,
                Ensure.POWERED,
                Ensure.NOT_RUNNING,
                shown="post-migrating",
                task_state="resize_finish",
                undo_proof="keep",
            ),
            # On the way back nothing at the destination is stopped or deleted before the source has shown its disks.
            Phase(
                "keep",
                A,
                Effect.NONE,
                Ensure.DISKS_WHOLE,
                meanwhile=Ensure.OBSERVED,
                shown="post-migrating",
                task_state="resize_finish",
                between_hosts=True,
            ),
            Phase("record", S, Effect.RECORD_RESIZED, shown="post-migrating", task_state="resize_finish"),
            Phase(VERIFY, Actor.OPERATOR, Effect.AWAIT_CONFIRMATION, shown="finished"),
            # The source's copy is given up only after the destination has shown, freshly, that it has the disks.
            Phase("attest", B, Ensure.DISKS_WHOLE, shown="confirming", between_hosts=True),
            Phase("confirm", S, Effect.RECORD_CONFIRMED, shown="confirming"),
            # It shows them once more, and anew whenever the source could be asked only later.
            Phase("prove", B, Ensure.DISKS_WHOLE, shown="confirming", holds=False, between_hosts=True, copied=True),
            Phase("cleanup", A, Ensure.ABSENT, shown="confirming", holds=False, between_hosts=True, proof="prove"),
            Phase("release", S, Effect.RELEASE_SOURCE, shown="confirming", holds=False),
        ),
        point_of_no_return="confirm",
        moves=True,
        action=action,
        completed="confirmed",
        reverting="resize_reverting",
    )


MIGRATION = _cold(Kind.MIGRATION, "migrate")
RESIZE = _cold(Kind.RESIZE, "resize")

EVACUATION = Operation(
    Kind.EVACUATION,
    (
        Phase(
            "claim", S, Effect.CLAIM_DESTINATION, Effect.RELEASE_DESTINATION, shown="accepted", task_state="rebuilding"
        ),
        Phase("check", B, Ensure.COMPATIBLE, shown="accepted", task_state="rebuilding", retry=True),
        Phase("fence", A, Ensure.NOT_RUNNING, shown="pre-migrating", task_state="rebuilding", fencing=True),
        Phase(
            "rebuild",
            B,
            Ensure.REBUILT,
            Ensure.ABSENT,
            meanwhile=Ensure.OBSERVED,
            shown="pre-migrating",
            task_state="rebuild_block_device_mapping",
            owed=True,
            retry=True,
        ),
        Phase(
            "start",
            B,
            Ensure.POWERED,
            Ensure.NOT_RUNNING,
            meanwhile=Ensure.OBSERVED,
            shown="pre-migrating",
            task_state="rebuild_spawning",
        ),
        Phase("commit", S, Effect.MOVE_RECORD, shown="pre-migrating", task_state="rebuild_spawning"),
        # Its local disks may be all that is left of what the guest wrote: an operator says when they go.
        Phase("cleanup", A, Ensure.SET_ASIDE, shown="done", holds=False),
        Phase("release", S, Effect.RELEASE_SOURCE, shown="done", holds=False),
    ),
    point_of_no_return="commit",
    moves=True,
    action="evacuate",
)

SUSPEND = Operation(
    Kind.SUSPEND,
    (
        Phase("suspend", A, Ensure.SUSPENDED, task_state="suspending"),
        Phase("commit", S, Effect.RECORD_POWER, task_state="suspending"),
    ),
    point_of_no_return=None,
    action="suspend",
)

RESUME = Operation(
    Kind.RESUME,
    (
        Phase("resume", A, Ensure.POWERED, task_state="resuming"),
        Phase("commit", S, Effect.RECORD_POWER, task_state="resuming"),
    ),
    point_of_no_return=None,
    action="resume",
)

PAUSE = Operation(
    Kind.PAUSE,
    (
        Phase("pause", A, Ensure.PAUSED, task_state="pausing"),
        Phase("commit", S, Effect.RECORD_POWER, task_state="pausing"),
    ),
    point_of_no_return=None,
    action="pause",
)

UNPAUSE = Operation(
    Kind.UNPAUSE,
    (
        Phase("unpause", A, Ensure.UNPAUSED, task_state="unpausing"),
        Phase("commit", S, Effect.RECORD_POWER, task_state="unpausing"),
    ),
    point_of_no_return=None,
    action="unpause",
)

KEPT_RESTORE = Operation(
    Kind.KEPT_RESTORE,
    (
        Phase("swap", A, Ensure.KEPT_RESTORED, Ensure.KEPT_UNRESTORED, task_state="rebuilding"),
        Phase("commit", S, Effect.RECORD_POWER, task_state="rebuilding"),
    ),
    point_of_no_return="commit",
    action="restore_kept_disks",
)

KEPT_DROP = Operation(
    Kind.KEPT_DROP,
    # What is dropped is none of the instance's disks: it is not held, and may be deleted long since.
    (Phase("drop", A, Ensure.KEPT_DROPPED, holds=False),),
    point_of_no_return=None,
    action="drop_kept_disks",
)

OPERATIONS: Mapping[Kind, Operation] = {
    op.kind: op
    for op in (
        *(BUILD, DELETE, START, STOP, REBOOT, SUSPEND, RESUME, PAUSE, UNPAUSE),
        *(LIVE_MIGRATION, MIGRATION, RESIZE, EVACUATION),
        *(KEPT_RESTORE, KEPT_DROP),
    )
}


def table_of(kind: str) -> Operation | None:
    """None for a kind of another release."""
    return OPERATIONS.get(Kind(kind)) if kind in set(Kind) else None
