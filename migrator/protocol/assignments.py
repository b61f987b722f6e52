"""What an agent is asked to make true, of one operation."""

from typing import Any

from pydantic import Field

from migrator.protocol.base import MAX_SEAL, Count, Message, Number
from migrator.protocol.facts import DiskFact, GuestDescription
from migrator.protocol.instances import InstanceSpec
from migrator.protocol.vocabulary import Ensure, Role, TargetPowerState


class Assignment(Message):
    """What one host should make true now, for one phase of one operation. The set of them is the whole truth:
    an operation that is not in it wants nothing of this host."""

    operation_id: str
    kind: str
    epoch: Count
    generation: Number  # of the operation's row
    serial: Number = 0  # grows with each operation of an instance, also over a restored database; 0: of an older server
    phase: str
    forward: bool  # False while the operation is being undone
    role: Role
    ensure: Ensure
    instance: InstanceSpec
    inputs: dict[str, Any] = Field(default_factory=dict)  # validated by the classes below
    seal: str = Field("", max_length=MAX_SEAL)  # copied into the domain's stamp; only a server can make or check one


class CompatibleInputs(Message):
    guest: GuestDescription
    block: bool | None = None  # what the request asked for; None is "find out"
    trust_marker: bool = False  # a pool with the source's marker is shared without a proof
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
    post_copy_after: int = 0  # passes over the memory after which the agent switches to post-copy; 0: never
    parallel_connections: int = 1
    compression: str = ""  # "": none
    tls: bool = False  # encrypted by the hypervisor, or not at all
    paused: bool = False  # by a user, before it is moved: it moves so
    destination_seal: str = Field("", max_length=MAX_SEAL)  # in place of the source's, in the domain that arrives


class MeasuredInputs(Message):
    destination_address: str


class ShutOffInputs(Message):
    soft: bool = True
    timeout_s: int = 60


class AbsentInputs(Message):
    """``delete_pools``: pools whose files of this instance go too, unless the pool's identity, read at that moment, is
    one of ``preserve_storage_ids``: there the instance lives on. ``destroy_running``: a running domain may be
    destroyed; without it a running domain is left alone and reported, for only a verdict may end a running guest.
    ``paused``: it was paused by a user before it was moved, and what the move left of it says so, too. ``arrived``:
    what has come here by the operation's live migration goes, too, for it is not needed any more."""

    delete_pools: tuple[str, ...] = ()
    preserve_storage_ids: tuple[str, ...] = Field((), alias="keep")
    destroy_running: bool = Field(False, alias="kill")
    paused: bool = False
    arrived: bool = False


class KeptInputs(Message):
    kept: str  # UUID of the operation that set the disks aside


class DisksWholeInputs(Message):
    checksums: tuple[str, ...] = ()  # targets whose checksum is wanted, for it is known what it must be


class OfferedInputs(Message):
    copy_disks: tuple[str, ...] = ()  # targets, and MEMORY; empty: nothing has to be read from elsewhere
    images: tuple[str, ...] = ()  # ids of images that the catalogue has no bytes of: what there is of them is lent, too


class CopiedInputs(Message):
    guest: GuestDescription  # the source's answer to DESCRIBED or MOVABLE: its disks, with the paths to read them at
    source_uri: str  # libvirt URI of the source: "qemu+tcp://10.0.0.1/system"
    copy_disks: tuple[str, ...] = ()
    images: dict[str, str] = Field(default_factory=dict)  # id -> the path at which the source lends it


class PoweredInputs(Message):
    power: TargetPowerState
    machine: str = ""  # machine type that the guest has seen; "" leaves it to the host


class DisksPresentInputs(Message):
    """Of a build; ``RUNNING`` has them, too, for it makes what is missing."""

    admin_pass: str | None = None  # for the config drive


class RebuiltInputs(Message):
    shared: tuple[str, ...] = ()  # targets that must be found; the others are made from their image
    admin_pass: str | None = None  # for the config drive
