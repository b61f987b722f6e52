"""What an agent found, of one operation."""

from enum import StrEnum

from pydantic import Field

from migrator.protocol.base import (
    Age,
    Amount,
    Big,
    Count,
    Incarnation,
    Key,
    Message,
    Number,
    PhaseName,
    Proof,
    Sequence,
    Text,
    Xml,
)
from migrator.protocol.vocabulary import MAY_GO_ON, DomainState


class DiskFact(Message):
    target: str
    path: str
    pool: str
    exists: bool
    format: str = "qcow2"
    virtual_bytes: Big = 0  # size the guest sees
    allocated_bytes: Big = 0  # bytes really used
    backing_image_id: str | None = None
    readonly: bool = False
    checksum: Text | None = None  # of the file's content, holes read as zeros; None: not worked out


class KeptDisks(Message):
    """Files of an instance that one of its operations put out of the way instead of deleting them, in one pool."""

    instance: Key
    operation: Key  # UUID of the operation that kept them: with the instance, the name by which they go
    pool: Text
    path: Text  # their directory
    files: tuple[Text, ...] = Field(default=(), max_length=100)  # "disk", "disk.vdb", "memory", ...
    bytes: Number = 0  # that they take
    age_s: Age = 0.0  # counted by the agent while it runs, never by a wall clock
    left_s: Age = 0.0  # until the agent deletes them


class Leftover(Message):
    """A file, or an instance's directory, that nothing on its host uses."""

    kind: Text  # a LeftoverKind, or what a newer agent calls it
    pool: Text = ""  # "": not in a pool
    path: Text
    instance: Text = ""  # "": of none
    bytes: Number = 0  # that it takes
    age_s: Age = 0.0  # for how long the agent has seen it so and unchanged


class DomainFact(Message):
    state: DomainState
    reason: str | None = None  # libvirt's reason in words: "migrated", "destroyed", "postcopy", ...
    stamp_operation: str | None = None  # operation UUID and epoch in the domain's metadata
    stamp_epoch: Big | None = None
    persistent: bool | None = None  # it is kept when it stops; None: not known

    def arrived(self, operation_id: str) -> bool:
        """Whether the guest came here by this operation's live migration, whatever became of it since. libvirt makes an
        arriving domain persistent once all of it is there, with the stamp that its source bore. One that is only about
        to be let go is paused for the transfer's sake, and one that could not be let go has failed: they have not."""
        if not self.persistent or self.stamp_operation != operation_id:
            return False
        if self.state is DomainState.PAUSED:
            return self.reason in MAY_GO_ON
        return self.state not in (DomainState.ABSENT, DomainState.INCOMING) and self.reason != "failed"


class JobFact(Message):
    """A running (or just ended) migration job as libvirt counts it."""

    active: bool
    memory_total_bytes: Big = 0
    memory_processed_bytes: Big = 0
    memory_remaining_bytes: Big = 0
    disk_total_bytes: Big = 0
    disk_processed_bytes: Big = 0
    disk_remaining_bytes: Big = 0
    elapsed_ms: Big = 0
    setup_ms: Big | None = None
    downtime_ms: Big | None = None  # measured once over, expected while it runs
    iterations: Big | None = None
    dirty_pages_per_s: Big | None = None
    bytes_per_s: Big | None = None
    throttle_percent: Big | None = None


class AttemptState(StrEnum):
    NONE = "none"  # this operation and epoch never began a transfer here
    RUNNING = "running"
    ENDED = "ended"  # began and is over; the domain's state tells how it went


class AttemptFact(Message):
    state: AttemptState
    error: Text | None = None  # libvirt's words, when it failed


class CheckResult(Message):
    """One comparison made before a move; refusals name what was found and what to do."""

    name: Text  # stable: "cpu", "memory", "disk", "machine_type", "storage", "domain", ...
    ok: bool
    found: Text = ""
    advice: Text = ""


class Problem(Message):
    """Why an assignment could not be made true at this attempt."""

    code: Text  # a code of the tree in errors.py
    message: Text
    final: bool  # True: trying again cannot help


class GuestDescription(Message):
    """The source's answer to MOVABLE, handed to the destination with COMPATIBLE and PREPARED."""

    cpu_xml: Xml | None = None  # the running guest's CPU, as libvirt expanded it
    machine: str = ""  # "pc-i440fx-7.2"
    arch: str = "x86_64"
    memory_mb: Big = 0
    vcpus: Big = 0
    disks: tuple[DiskFact, ...] = ()
    storage: dict[str, str] = Field(default_factory=dict)  # pool -> storage identity, of the source
    proofs: dict[str, Proof] = Field(default_factory=dict)  # pool -> what the source wrote there for this operation
    hypervisor_version: Big = 0
    devices: tuple[Text, ...] = ()  # of the host, passed through to the guest
    listens: tuple[Text, ...] = ()  # addresses on which its consoles listen; only those that not every host has


class Measurement(Message):
    """What a transfer will have to do with, as its source found it. None: unknown, for the reason in ``words``."""

    dirty_mib_s: Count | None = None  # memory that the guest writes to, counted once a second
    sample_resolution_mib_s: Amount = Field(
        0.0, alias="grain_mib_s"
    )  # what one page of the sample adds to that; 0: all pages were looked at
    memory_mib: Count | None = None  # of the guest's that is not known to be empty
    link_mib_s: Count | None = None  # what the network towards the destination is made for
    message: Text = Field("", alias="words")


class Fact(Message):
    """What an agent saw while it held an assignment: never "success", always what is there."""

    operation_id: Key
    epoch: Count
    phase: PhaseName
    incarnation: Incarnation  # grows by one at each start of the agent (journalled)
    sequence: Sequence  # grows with each fact of one incarnation
    domain: DomainFact | None = None  # None: could not be observed
    job: JobFact | None = None
    attempt: AttemptFact | None = None
    disks: tuple[DiskFact, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    guest: GuestDescription | None = None
    # Pools in which this host found what the source wrote there; None: an agent that does not look.
    proven: tuple[str, ...] | None = None
    unproven: tuple[str, ...] = ()  # with the source's marker, and without what it wrote: another storage
    measurement: Measurement | None = None
    kept: tuple[KeptDisks, ...] = ()  # aside, by this operation
    problem: Problem | None = None
    served: Number | None = None  # serial of the newest operation that this host served for the instance, if refused
    note: Text | None = None  # one line for the timeline: "asked the guest to shut down"
