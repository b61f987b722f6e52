"""What an end of an operation may be asked to make true, and what it may find."""

from enum import StrEnum

# libvirt's reasons for a domain's state, at either end of a post-copy: the guest has run at the destination since.
POST_COPY_FAILED = "postcopy-failed"
POST_COPY = ("postcopy", POST_COPY_FAILED)


# And for a domain that is shut off: its process ended although the guest had not shut down, or the guest panicked.
FAILED = ("failed", "crashed")


class Role(StrEnum):
    SOURCE = "source"
    DESTINATION = "destination"


class NetworkKind(StrEnum):
    """How a network of the operator's reaches a guest's interface."""

    BRIDGE = "bridge"  # a bridge of the host's kernel
    VLAN = "vlan"  # the same, tagged by the hypervisor
    OPENVSWITCH = "openvswitch"


class Ensure(StrEnum):
    """What an agent may be asked to make (or keep) true. Each has one idempotent handler in ``compute/``."""

    OBSERVED = "observed"  # touch nothing, report what is there
    MOVABLE = "movable"  # source: describe the guest (domain XML, CPU, machine, disks) and check it
    COMPATIBLE = "compatible"  # destination: compare itself with that description; changes nothing
    PREPARED = "prepared"  # destination: directories and empty target disks exist
    MEASURED = "measured"  # source: it is known how fast the guest writes its memory, or why it is not
    MIGRATING = "migrating"  # source: the one transfer of this operation and epoch was begun
    NOT_MIGRATING = "not_migrating"  # source: no job of this operation is active
    DISKS_PRESENT = "disks_present"  # destination: disks made from the image exist
    RUNNING = "running"
    SHUT_OFF = "shut_off"  # inputs: soft (bool), timeout_s
    ABSENT = "absent"  # no domain, no files of this instance (see AbsentInputs)
    SET_ASIDE = "set_aside"  # no domain; the files are kept aside instead of being deleted (inputs as for ABSENT)
    DESCRIBED = "described"  # source: describe the instance, whether it runs or not, and check that it can leave
    OFFERED = "offered"  # source: its disks can be read from the destination, and their checksums are known
    LENT = "lent"  # source: config drives of a guest that runs can be read from the destination (OfferedInputs)
    DISKS_WHOLE = "disks_whole"  # touch nothing, report the instance's disks: there, how large, with which checksums
    WITHDRAWN = "withdrawn"  # source: what was offered or lent cannot be read from elsewhere any more
    COPIED = "copied"  # destination: has what the source offers; checksums of what was written are known
    REBUILT = "rebuilt"  # destination: disks on shared storage are found, the others made anew from their image
    POWERED = "powered"  # the domain is defined with this spec, and runs, is shut off or saved (see PoweredInputs)
    NOT_RUNNING = "not_running"  # nothing executes here, whether there is a domain or not; inputs as for SHUT_OFF
    SUSPENDED = "suspended"  # memory saved beside the first disk, and shut off
    KEPT_RESTORED = "kept_restored"  # kept disks are in their place, and what was there is kept in theirs (KeptInputs)
    KEPT_UNRESTORED = "kept_unrestored"  # the other way round
    KEPT_DROPPED = "kept_dropped"  # kept disks are deleted, by an operator's word
    PAUSED = "paused"  # its CPUs are stopped
    UNPAUSED = "unpaused"  # they go on, if it was only paused


# The host looks, and changes nothing.
HARMLESS = frozenset({Ensure.OBSERVED, Ensure.MOVABLE, Ensure.COMPATIBLE, Ensure.DESCRIBED, Ensure.MEASURED})


class DomainState(StrEnum):
    ABSENT = "absent"
    SHUT_OFF = "shut_off"
    PAUSED = "paused"
    INCOMING = "incoming"  # paused, waiting for or receiving a migration
    RUNNING = "running"  # executes guest code (libvirt: running, blocked, pmsuspended, in shutdown)
    CRASHED = "crashed"
    SAVED = "saved"  # shut off, with its memory saved beside its first disk


PAUSE_REASON_USER = "user"
# Why a paused domain is whole, and may go on where it is: whatever else paused it, it may be half of a move.
MAY_GO_ON = (PAUSE_REASON_USER, "io-error", "watchdog")


class TargetPowerState(StrEnum):
    """How an instance is wanted where it is put: as it was before it was moved."""

    RUNNING = "running"
    SHUT_OFF = "shut_off"
    SAVED = "saved"  # not running, with the saved memory it came with
    PAUSED = "paused"  # its memory in a process whose CPUs are stopped; moves live, and stays so


class LeftoverKind(StrEnum):
    """What lies on a host and is used by nothing there."""

    CONSOLE = "console"  # log of a domain that is not there
    IMAGE = "image"  # in the agent's cache
    BASE = "base"  # an image under disks, under no disk any more
    PART = "part"  # a file that was never completed
    MEMORY = "memory"  # that a guest was restored from
    DISKS = "disks"  # an instance's directory without its domain; never removed without an operator


MEMORY = "memory"  # the saved memory's name among an instance's disks, wherever targets are named
KERNEL, RAMDISK = "kernel", "ramdisk"  # and of what it boots from, where its root disk is a volume

# Codes of the problems of two versions that do not understand each other.
UNKNOWN_ASSIGNMENT = "unknown_assignment"  # an agent does not know what it should make true
UNREADABLE_FACT = "unreadable_fact"  # a server cannot read what a host reported

# The code of the problem of a step that was begun and does not return.
STEP_HANGS = "step_hangs"

# Codes of the problems of a host that knows more of an operation, or of its instance, than the server's record.
SUPERSEDED = "operation_superseded"  # it has served a newer operation of the instance
JOURNAL_UNWRITABLE = "journal_unwritable"  # it cannot keep that it was asked, so it did nothing
STALE_EPOCH = "stale_epoch"  # it knows a later epoch of the operation
