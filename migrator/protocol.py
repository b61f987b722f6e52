"""The words that server and agent exchange: assignments one way, facts the other.

Owns the wire shapes of ``/agent/v1``. Never decides anything: an assignment says what should be true,
a fact says what is there, and ``scheduler/decide.py`` draws the conclusions.

Units: ``*_mb`` MiB, ``*_gb`` GiB, ``*_bytes`` bytes, ``*_ms`` milliseconds, ``*_s`` seconds.
"""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# What the server keeps in columns of its own fits them on both databases.
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Number = Annotated[int, Field(ge=0, le=2**63 - 1)]
Big = Annotated[int, Field(ge=-(2**63), le=2**64 - 1)]  # what JSON keeps: libvirt's unsigned counters too
# Words of a hypervisor: cleaned and not refused, or a fact would never arrive.
Text = Annotated[str, AfterValidator(lambda words: words.replace("\x00", ""))]
Key = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=36)]
HostName = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=255)]
SourceName = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=512)]  # of a volume
PhaseName = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=32)]


class Message(BaseModel):
    """Immutable, and strict about unknown keys, so that a misspelt field is an error and not silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Role(StrEnum):
    SOURCE = "source"
    DESTINATION = "destination"


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
    DESCRIBED = "described"  # source: describe the instance, whether it runs or not, and check that it can leave
    OFFERED = "offered"  # source: its disks can be read from the destination, and their checksums are known
    WITHDRAWN = "withdrawn"  # source: they cannot be read from elsewhere any more
    COPIED = "copied"  # destination: has what the source offers; checksums of what was written are known
    REBUILT = "rebuilt"  # destination: disks on shared storage are found, the others made anew from their image
    POWERED = "powered"  # the domain is defined with this spec, and runs, is shut off or saved (see PoweredInputs)
    NOT_RUNNING = "not_running"  # nothing executes here, whether there is a domain or not; inputs as for SHUT_OFF
    SUSPENDED = "suspended"  # memory saved beside the first disk, and shut off
    PAUSED = "paused"  # its CPUs are stopped
    UNPAUSED = "unpaused"  # they go on, if it was only paused


class DomainState(StrEnum):
    ABSENT = "absent"
    SHUT_OFF = "shut_off"
    PAUSED = "paused"
    INCOMING = "incoming"  # paused, waiting for or receiving a migration
    RUNNING = "running"  # executes guest code (libvirt: running, blocked, pmsuspended, in shutdown)
    CRASHED = "crashed"
    SAVED = "saved"  # shut off, with its memory saved beside its first disk


PAUSED_BY_HAND = "user"
# Why a paused domain is whole, and may go on where it is: whatever else paused it, it may be half of a move.
MAY_GO_ON = (PAUSED_BY_HAND, "io-error", "watchdog")


class Power(StrEnum):
    """How an instance is wanted where it is put: as it was before it was moved."""

    RUNNING = "running"
    SHUT_OFF = "shut_off"
    SAVED = "saved"  # not running, with the saved memory it came with
    PAUSED = "paused"  # its memory in a process whose CPUs are stopped; moves live, and stays so


MEMORY = "memory"  # the saved memory's name among an instance's disks, wherever targets are named
KERNEL, RAMDISK = "kernel", "ramdisk"  # and of what it boots from, where its root disk is a volume


class DiskSpec(Message):
    target: str  # device in the guest: "vda"
    pool: str  # the storage pool's name on the host: "local", "shared", ...
    format: str = "qcow2"  # "qcow2" or "raw"
    size_gb: int  # virtual size; 0 means the image's own size
    image_id: str | None = None  # made from this image; None is an empty disk
    config_drive: bool = False  # an ISO 9660 CD-ROM that the host makes from the instance's description


class VolumeSpec(Message):
    """A disk on the network that somebody else keeps: attached, and never made, copied, grown, counted or deleted."""

    id: str
    target: str
    source: str  # canonical, see ``volume_source``: "nbd://10.0.0.250:10809/data"
    size_gb: int  # that it has at least


class NicSpec(Message):
    network: str
    mac: str
    ip: str | None = None


class ImageRef(Message):
    """Enough for an agent to fetch and verify an image: GET /agent/v1/images/{id}/file."""

    id: str
    size_bytes: int
    checksum_sha256: str
    disk_format: str  # "qcow2", "raw", "aki", "ari"


class InstanceSpec(Message):
    """All that defines an instance's domain on any host; nothing in it depends on the host."""

    uuid: str
    name: str
    vcpus: int
    memory_mb: int
    disks: tuple[DiskSpec, ...] = ()  # files in the hosts' pools
    volumes: tuple[VolumeSpec, ...] = ()
    home: str = ""  # pool of kernel, ramdisk and saved memory if the root disk is a volume; "": beside the first disk
    nics: tuple[NicSpec, ...] = ()
    images: tuple[ImageRef, ...] = ()  # every image that disks, kernel and ramdisk name
    kernel_id: str | None = None
    ramdisk_id: str | None = None
    kernel_args: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)

    @property
    def home_pool(self) -> str:
        """Where its files lie that are no disks; "" is the host's default pool."""
        return self.home or (self.disks[0].pool if self.disks else "")

    @property
    def pools(self) -> tuple[str, ...]:
        """Every pool that it has files in, the first disk's first."""
        return tuple(dict.fromkeys([*(disk.pool for disk in self.disks), *([self.home] if self.home else [])]))


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


class DomainFact(Message):
    state: DomainState
    reason: str | None = None  # libvirt's reason in words: "migrated", "destroyed", "postcopy", ...
    stamp_operation: str | None = None  # operation UUID and epoch in the domain's metadata
    stamp_epoch: Big | None = None


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

    cpu_xml: str | None = None  # the running guest's CPU, as libvirt expanded it
    machine: str = ""  # "pc-i440fx-7.2"
    arch: str = "x86_64"
    memory_mb: Big = 0
    vcpus: Big = 0
    disks: tuple[DiskFact, ...] = ()
    storage: dict[str, str] = Field(default_factory=dict)  # pool -> storage identity, of the source
    hypervisor_version: Big = 0
    devices: tuple[Text, ...] = ()  # of the host, passed through to the guest
    listens: tuple[Text, ...] = ()  # addresses on which its consoles listen; only those that not every host has


class Measurement(Message):
    """What a transfer will have to do with, as its source found it. None: unknown, for the reason in ``words``."""

    dirty_mib_s: Count | None = None  # memory that the guest writes to, counted once a second
    memory_mib: Count | None = None  # of the guest's that is not known to be empty
    link_mib_s: Count | None = None  # what the network towards the destination is made for
    words: Text = ""


class Assignment(Message):
    """What one host should make true now, for one phase of one operation. The set of them is the whole truth:
    an operation that is not in it wants nothing of this host."""

    operation_id: str
    kind: str
    epoch: int
    generation: int  # of the operation's row; an agent ignores a lower one than it has seen
    phase: str
    forward: bool  # False while the operation is being undone
    role: Role
    ensure: Ensure
    instance: InstanceSpec
    inputs: dict[str, Any] = Field(default_factory=dict)  # validated by the classes below


class CompatibleInputs(Message):
    guest: GuestDescription
    block: bool | None = None  # what the request asked for; None is "find out"
    over_commit: bool = False  # copied disks need room for what they hold, not for what the guest sees


class PreparedInputs(Message):
    guest: GuestDescription


class MigratingInputs(Message):
    destination_host: str
    destination_address: str  # where the source's libvirtd reaches the destination's
    uri: str  # libvirt URI of the destination: "qemu+tcp://10.0.0.2/system"
    copy_disks: tuple[str, ...] = ()  # targets to copy; empty: nothing is copied
    destination_disks: tuple[DiskFact, ...] = ()
    bandwidth_mib_s: int = 0  # 0: no limit
    # (seconds since the transfer began, ms): the pause that the guest may be given from then on; () leaves it alone
    downtime_steps: tuple[tuple[int, int], ...] = ()
    force: bool = False  # complete it now: by post-copy where that is permitted, else with the guest paused
    auto_converge: bool = False
    auto_converge_initial: int = 0  # percent by which the guest is slowed down first; 0: the hypervisor's own
    post_copy: bool = False
    post_copy_after: int = 0  # passes over the memory after which it goes on by post-copy by itself; 0: never
    parallel_connections: int = 1
    compression: str = ""  # "": none
    tls: bool = False  # encrypted by the hypervisor, or not at all
    paused: bool = False  # by somebody, before it is moved: it moves so


class MeasuredInputs(Message):
    destination_address: str


class ShutOffInputs(Message):
    soft: bool = True
    timeout_s: int = 60


class AbsentInputs(Message):
    """``delete_pools``: pools whose files of this instance go too, unless the pool's identity, read at that moment, is
    one of ``keep``: there the instance lives on. ``kill``: a running domain may be destroyed; without it a running
    domain is left alone and reported, for only a verdict may end a running guest. ``paused``: it was paused by somebody
    before it was moved, and what the move left of it says so, too."""

    delete_pools: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    kill: bool = False
    paused: bool = False


class OfferedInputs(Message):
    copy_disks: tuple[str, ...] = ()  # targets, and MEMORY; empty: nothing has to be read from elsewhere


class CopiedInputs(Message):
    guest: GuestDescription  # the source's answer to DESCRIBED: its disks, with their paths there
    source_uri: str  # libvirt URI of the source: "qemu+tcp://10.0.0.1/system"
    copy_disks: tuple[str, ...] = ()


class PoweredInputs(Message):
    power: Power
    machine: str = ""  # machine type that the guest has seen; "" leaves it to the host


class RebuiltInputs(Message):
    shared: tuple[str, ...] = ()  # targets that must be found; the others are made from their image
    admin_pass: str | None = None  # for the config drive


class Fact(Message):
    """What an agent saw while it held an assignment: never "success", always what is there."""

    operation_id: Key
    epoch: Count
    phase: PhaseName
    incarnation: Number  # grows by one at each start of the agent (journalled)
    sequence: Number  # grows with each fact of one incarnation
    domain: DomainFact | None = None  # None: could not be observed
    job: JobFact | None = None
    attempt: AttemptFact | None = None
    disks: tuple[DiskFact, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    guest: GuestDescription | None = None
    measurement: Measurement | None = None
    problem: Problem | None = None
    note: Text | None = None  # one line for the timeline: "asked the guest to shut down"


class StoragePool(Message):
    identity: str  # UUID in the pool's marker file; equal identities share storage
    path: str
    total_gb: Count
    free_gb: Count


class TlsReport(Message):
    """The certificates with which a host's QEMU encrypts migrations. Authorities by their SHA-256 fingerprints."""

    issuers: tuple[Text, ...] = ()  # those that signed them
    trusted: tuple[Text, ...] = ()  # those whose certificates it accepts
    not_before: float = Field(0, ge=0, allow_inf_nan=False)  # s since the epoch, from when to when they all hold
    not_after: float = Field(0, ge=0, allow_inf_nan=False)
    words: Text = ""  # why they cannot be used, whatever the time; "": they can


class HostReport(Message):
    """A host's description, put at each start of its agent and whenever it changes."""

    hypervisor_type: str = "QEMU"
    hypervisor_version: Big = 0  # libvirt's integer form: 7002000
    libvirt_version: Big = 0
    arch: str = "x86_64"
    cpu_model: str = ""
    cpu_vendor: str = ""
    cpu_features: tuple[str, ...] = ()
    cpu_topology: dict[str, Big] = Field(default_factory=dict)
    machine_types: tuple[str, ...] = ()
    vcpus: Count
    memory_mb: Count
    reserved_host_memory_mb: Count = 512
    cpu_allocation_ratio: float = Field(4.0, gt=0, le=1000)
    ram_allocation_ratio: float = Field(1.0, gt=0, le=1000)
    disk_allocation_ratio: float = Field(1.0, gt=0, le=1000)
    storage: dict[str, StoragePool] = Field(default_factory=dict)
    default_pool: str = "local"
    address: str  # live_migration_inbound_addr
    live_migration_uri: str  # with the address filled in
    networks: tuple[str, ...] = ()
    simulated: bool = False
    self_fencing_lease_s: float = Field(0, ge=0)  # 0: its agent does not stop instances by itself
    tls: TlsReport | None = None  # None: it does not encrypt migrations


class GuestCpu(Message):
    """A CPU as a guest sees it: what a host is asked whether it can run. Known by ``guest_cpu.key``."""

    xml: Text
    machine: Text = ""
    arch: Text = "x86_64"


class Peer(Message):
    name: str
    uri: str  # its live_migration_uri


class Questions(Message):
    """What an agent should look at, so that a move can be judged before anybody asks for it."""

    now: float  # s since the epoch by the database's clock, when this was answered
    again_s: float  # until it should ask again
    peers: tuple[Peer, ...] = ()
    cpus: dict[str, GuestCpu] = Field(default_factory=dict)  # key -> every CPU that a guest somewhere sees
    volumes: tuple[str, ...] = ()  # sources of those that instances have


Age = Annotated[float, Field(ge=0, allow_inf_nan=False)]  # s since it was looked at, when it is sent
Seconds = Annotated[float, Field(allow_inf_nan=False)]


class CpuAnswer(Message):
    """Whether this host can run that CPU, as its hypervisor says."""

    ok: bool
    words: Text = ""
    age_s: Age = 0.0


class Reach(Message):
    """Whether this host's hypervisor could be connected with another's."""

    uri: Text
    ok: bool
    words: Text = ""
    age_s: Age = 0.0


class VolumeSight(Message):
    """A volume as this host reaches it, or why it does not."""

    bytes: Number | None = None
    words: Text = ""
    age_s: Age = 0.0


class GuestSight(Message):
    """One live guest, as its domain says. Fields as in ``GuestDescription``."""

    cpu: Key | None = None  # key of its CPU; None: it names none
    machine: Text = ""
    arch: Text = "x86_64"
    devices: tuple[Text, ...] = ()
    listens: tuple[Text, ...] = ()
    age_s: Age = 0.0


class HostCpu(Message):
    """What a host's hypervisor can give a guest: its own CPU (libvirt's host-model), and the named models it has."""

    xml: Text = ""
    models: tuple[Text, ...] = ()
    arch: Text = "x86_64"
    virt_type: Text = "kvm"


class Survey(Message):
    """What an agent found when it looked for ``Questions``: it changes nothing and is not about any operation."""

    clock_offset_s: Seconds | None = None  # this host's clock before (+) the database's
    clock_error_s: Age = 0.0  # either way
    addresses: tuple[Text, ...] = ()  # every IP address of this host
    memory_given_mb: Count | None = None  # MiB that live domains were given, migrator's or not
    cpu: HostCpu = HostCpu()
    guests: dict[Key, GuestSight] = Field(default_factory=dict)  # instance -> ...
    cpus: dict[Key, GuestCpu] = Field(default_factory=dict)  # of those guests
    runs: dict[Key, CpuAnswer] = Field(default_factory=dict)  # key of a CPU -> ...
    peers: dict[HostName, Reach] = Field(default_factory=dict)
    volumes: dict[SourceName, VolumeSight] = Field(default_factory=dict)


class Copy(Message):
    """One domain that a host holds, for the audit of record against reality."""

    uuid: Key
    state: DomainState


class Poll(Message):
    """The body of a long-poll: POST /agent/v1/hosts/{name}/poll."""

    incarnation: Number
    number: Number = 0  # of this poll; the answer repeats it, and an answer to an older poll is thrown away
    seen: str = ""  # digest of the last assignments received
    wait_s: float = Field(default=25.0, ge=0, le=55)
    copies: tuple[Copy, ...] | None = None


class Assignments(Message):
    """The answer to a poll: the full set, never a difference."""

    digest: str
    assignments: tuple[Assignment, ...]
    answers: int = 0  # the poll's number


class Facts(Message):
    """POST /agent/v1/hosts/{name}/facts."""

    facts: tuple[Fact, ...]
