"""What a line of the timeline tells of. Owns the names; the database has the values, and clients read them."""

from enum import StrEnum


class EventType(StrEnum):
    """The values are older than the names, and stay: they stand in every database."""

    # of operations
    REQUESTED = "begin"
    PHASE_ENTERED = "phase"  # on either way
    RESCHEDULED = "retry"  # another host is tried
    BLOCKED = "waiting"  # for a named reason, or not any more
    ROLLBACK_STARTED = "reverse"  # or the way back is turned round
    FINISHED = "end"
    CANCEL_REQUESTED = "cancel"
    CONFIRMED = "confirm"
    REVERTED = "revert"
    FENCING_EVIDENCE = "evidence"
    CLEANUP_DEFERRED = "owing"  # what is left on a host is cleaned up later
    STRATEGY_SELECTED = "strategy"
    PARAMETERS_CHANGED = "steer"
    FORCE_COMPLETE = "force"
    NOTE = "note"  # a host's own line about its step
    COPY_PROVEN = "proof"
    DISKS_SET_ASIDE = "kept"
    DISKS_DECIDED = "disks"  # what becomes of each disk of an evacuated instance
    STORAGE_NOT_SHARED = "storage"  # two storages have one marker
    GUEST_STOPPED = "guest"  # why, where nothing asked it to
    # of instances and hosts
    ALARM = "alarm"
    ALARM_CLEARED = "alarm-cleared"
    POWER_STATE_CHANGED = "power"
    STATE_RESET = "state-reset"
    RECONCILED = "reconciled"
    FENCE_COMMAND = "fence"
    MACHINE_REPLACED = "machine"
    HOST_APPROVED = "host-approved"
    HOST_REMOVED = "host-removed"
    FORCED_DOWN = "forced-down"
    FORCED_UP = "forced-up"
    HOST_NOTIFIED = "notified"  # by a monitor of hosts
