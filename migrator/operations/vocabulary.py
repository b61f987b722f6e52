"""The columns of the table of operations, and the words that stand in them. Holds no row, and never acts."""

from dataclasses import dataclass
from enum import StrEnum

from migrator.protocol import Ensure

HOUR_S, DAY_S = 3600.0, 86400.0


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


class End(StrEnum):
    """What ends a phase, on either way."""

    EFFECT = "effect"  # its effect is applied
    FACT = "fact"  # the actor's fact shows that it is true
    CHECKSUMS = "both checksums"  # the actor's fact, and the source's: both ends have the same content
    VERDICT = "verdict"  # both hosts' facts together tell where the guest runs
    PROOF = "proof"  # the actor shows that its copy of the disks is whole
    OPERATOR = "operator"  # confirms or reverts, or lets resize_confirm_window pass
    NO_COPY = "no other copy"  # no other host reports a copy of the instance


class Record(StrEnum):
    """What the operation keeps of the fact that ended a phase, for the phases that follow."""

    NOTHING = "-"
    GUEST = "guest"  # its description, and whether a user has paused it
    GUEST_AND_POWER = "guest and power state"
    SHARED_POOLS = "shared pools"  # those in which the destination found what the source wrote there
    STRATEGY = "strategy"  # by which means the transfer is begun, from what the source has measured
    LENT_FILES = "lent files"  # where the source lends what is copied before the transfer
    LENT_IMAGES = "lent images"  # the same, of images that the catalogue has lost, beside disks that are offered
    COPY = "checksums and statistics"  # of a copy that is complete
    DESTINATION_DISKS = "destination's disks"  # and the limits under which the transfer begins
    KEPT_DISKS = "kept disks"  # what a host that returned has put aside


class Loss(StrEnum):
    """What a step may destroy on its host. Disks that the hosts share are no host's copy."""

    NOTHING = "-"
    GUEST = "running guest"  # it is stopped, and its disks stay
    COPY = "copy"  # domain and disks; a guest that runs is left alone
    STRAY = "copy, even if it runs"  # of an instance that was evacuated away
    ALL = "everything"  # the guest and all of its disks


class Deferral(StrEnum):
    """When an undo may be put off, because done late it does no harm: by then the instance is brought back, or lives
    elsewhere."""

    NEVER = "-"
    FENCED = "host fenced"  # while its host is fenced
    SILENT = "host silent"  # as soon as its host is silent: what the phase did could never run the guest


@dataclass(frozen=True, slots=True)
class Phase:
    """One row. ``do`` must be true before the next phase, ``undo`` before the phase above is undone (None: nothing)."""

    name: str
    actor: Actor
    do: Ensure | Effect
    undo: Ensure | Effect | None = None
    why: str = ""
    # The undo where both hosts have one saved memory in common, which the phase uses up: it is saved anew.
    undo_if_memory_shared: Ensure | None = None
    peer_ensure: Ensure | None = None  # what the other host keeps true while the phase lasts
    # what ends it, and its undo; None: an effect that is applied, or the actor's fact
    ended_by: End | None = None
    undo_ended_by: End | None = None
    records: Record = Record.NOTHING
    observed_on: Actor | None = None  # the end whose newest fact the effect, or the undo's effect, writes down
    harmless: bool = False  # changes nothing, so a host that is down ends the operation at once
    destroys: Loss = Loss.NOTHING
    undo_destroys: Loss = Loss.NOTHING
    undo_deferrable: Deferral = Deferral.NEVER
    undo_left_to_delete: bool = False  # not undone while the instance is being deleted: what deletes it does that, too
    locks_instance: bool = True  # the instance is this operation's; False: free for the next one
    reschedule_on_failure: bool = False  # when it fails, another host is tried, if none was asked for by name
    skipped_on_same_host: bool = False  # nothing to do or undo when source and destination are the same host
    skipped_when_shared: bool = False  # left out where the two hosts share every disk, so that none is deleted
    auto_strategy_only: bool = False  # left out unless the strategy is to be chosen (live_migration_strategy = auto)
    # Left out unless a running guest's read-only disk, or an image that the catalogue has lost, is to be copied, before
    # it is moved.
    lends: bool = False
    fencing_evidence_suffices: bool = False  # evidence that the host is fenced counts as done
    source_speaks_first: bool = False  # not done before a source that answers has said what it runs
    # The phase whose undoing proves, in the same epoch, the copy that stays, before this undo stops or destroys another
    # one. The way back that begins here begins there.
    undo_proof: str = ""
    # The same on the way forward: the phase that proves the copy that stays, and proves it anew where either host was
    # silent in between, or the proof has become old (``proof.GOOD_FOR_S``).
    proof: str = ""
    deadline_s: float = 900.0  # after which an alarm says that the phase lasts too long; 0: it may last for ever
    migration_status: str = ""  # status in os-migrations while the phase lasts
    task_state: str | None = None  # the instance's task_state while the phase lasts
    task_state_hard: str | None = None  # the same, where the guest is not asked

    @property
    def end(self) -> End:
        return self.ended_by or _implied(self.do)

    @property
    def undo_end(self) -> End | None:
        """None: there is nothing to undo."""
        return self.undo_ended_by or (_implied(self.undo) if self.undo is not None else None)

    @property
    def effect(self) -> Effect | None:
        """What is applied when the phase is left downward."""
        waits = self.end is not End.EFFECT or self.do is Effect.NONE
        return None if waits or not isinstance(self.do, Effect) else self.do

    @property
    def claims_host(self) -> bool:
        """Whether a host is chosen and claimed here: the operation queues for it, and begins anew with another one."""
        return self.do is Effect.CLAIM_DESTINATION

    @property
    def stops_guest(self) -> bool:
        """Whether a guest gets the time to shut itself down, and may crash instead."""
        return self.do is Ensure.SHUT_OFF

    @property
    def guarded_by_lock(self) -> bool:
        """Whether a locked disk image keeps a second copy from being started here: the last guard."""
        return self.do is Ensure.POWERED

    @property
    def observes_peer(self) -> bool:
        return self.peer_ensure is Ensure.OBSERVED

    def task(self, *, soft: bool) -> str | None:
        """The instance's task_state. ``soft``: a guest may shut itself down."""
        return self.task_state_hard if self.task_state_hard and not soft else self.task_state


def _implied(step: Ensure | Effect) -> End:
    return End.EFFECT if isinstance(step, Effect) else End.FACT


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind: its rows, and which of them have a part of their own. Those are named by the rows' names."""

    kind: Kind
    phases: tuple[Phase, ...]
    point_of_no_return: str | None  # the first from which there is only forward; None: can be undone to the end
    moves: bool = False  # shown in os-migrations
    action: str = ""  # name in os-instance-actions
    completed: str = "completed"  # status at the good end
    reverting: str | None = None  # task_state on the way back
    recorded_on_failure: Effect | None = None  # applied where it ends undone, from the source's last fact
    copied_by: str = ""  # once it is past, the destination has a proven copy
    recorded_by: str = ""  # once it is past, the record names the destination
    # The last phase in which the guest may run at its source, and the first in which it may run at its destination.
    # "": a transfer decides.
    stopped_by: str = ""
    started_by: str = ""
    stays_from: str = ""  # where one that turns forward again goes on, so that the instance stays at the destination
    # It starts, or gives up, a guest where its record has it, although there may be no domain of it there: it waits
    # until that host has listed what it has.
    trusts_record: bool = False

    @property
    def live(self) -> bool:
        """Whether the guest runs on while it is moved, so that only a verdict tells where it is."""
        return self.ended_by(End.VERDICT) is not None

    @property
    def leaves_lost_host(self) -> bool:
        """Whether its source is given up: nothing is asked of a guest there before it is stopped."""
        return any(phase.fencing_evidence_suffices for phase in self.phases)

    @property
    def cold(self) -> bool:
        """Whether a guest is stopped to be moved, and goes back if need be, so that each end may run it."""
        return self.moves and not self.live and not self.leaves_lost_host

    @property
    def builds(self) -> bool:
        """Whether it makes the instance: before, no host has anything of it."""
        return self._has(Effect.RECORD_BUILT)

    @property
    def deletes(self) -> bool:
        return self._has(Effect.RECORD_DELETED)

    @property
    def stops_strays(self) -> bool:
        """Whether it stops a guest that runs where the instance is not recorded any more."""
        return any(phase.destroys is Loss.STRAY for phase in self.phases)

    def _has(self, effect: Effect) -> bool:
        return any(phase.do is effect for phase in self.phases)

    def ended_by(self, end: End) -> Phase | None:
        return next((phase for phase in self.phases if phase.end is end), None)

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
