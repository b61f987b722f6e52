"""What agents look around for while nothing is moved, and what they saw."""

from pydantic import Field

from migrator.protocol.base import (
    Age,
    Count,
    Cpus,
    HostName,
    Key,
    MachineId,
    Message,
    Moment,
    Number,
    Seconds,
    SourceName,
    Text,
    Word,
    Xml,
)
from migrator.protocol.facts import KeptDisks, Leftover


class GuestCpu(Message):
    """A CPU as a guest sees it: what a host is asked whether it can run. Known by ``guest_cpu.key``."""

    xml: Xml
    machine: Text = ""
    arch: Text = "x86_64"


class Peer(Message):
    name: str
    uri: str  # its live_migration_uri


class Questions(Message):
    """What an agent should look at, so that a move can be judged before a client asks for it."""

    now: Moment  # s since the epoch by the database's clock, when this was answered
    next_survey_s: Age = Field(alias="again_s")  # until it should ask again
    peers: tuple[Peer, ...] = ()
    cpus: dict[str, GuestCpu] = Field(default_factory=dict)  # key -> every CPU that a guest somewhere sees
    volumes: tuple[str, ...] = ()  # sources of the volumes of its own instances and operations


class CpuAnswer(Message):
    """Whether this host can run that CPU, as its hypervisor says."""

    ok: bool
    message: Text = Field("", alias="words")
    age_s: Age = 0.0


class PeerProbe(Message):
    """Whether this host's hypervisor could be connected with another's."""

    uri: Text
    ok: bool
    message: Text = Field("", alias="words")
    age_s: Age = 0.0


class VolumeProbe(Message):
    """A volume as this host reaches it, or why it does not."""

    bytes: Number | None = None
    message: Text = Field("", alias="words")
    age_s: Age = 0.0


class GuestUse(Message):
    """What a guest really used, as averages of the last ``over_s`` seconds. ``cpus``: processors; ``waiting_cpus``:
    those that it wanted and did not get; ``memory_mb``: MiB that its process held."""

    over_s: Age
    cpus: Cpus
    waiting_cpus: Cpus = 0.0
    memory_mb: Count


class HostUse(Message):
    """What all of a host really used, as averages of the last ``over_s`` seconds: processors that were busy, and MiB
    without what only cached files."""

    over_s: Age
    cpus: Cpus
    memory_mb: Count


class GuestObservation(Message):
    """One live guest, as its domain says. Fields as in ``GuestDescription``."""

    cpu: Key | None = None  # key of its CPU; None: it names none
    machine: Text = ""
    arch: Text = "x86_64"
    devices: tuple[Text, ...] = Field(default=(), max_length=256)
    listens: tuple[Text, ...] = Field(default=(), max_length=64)
    age_s: Age = 0.0
    use: GuestUse | None = None  # None: it does not tell, or not yet


class HostCpu(Message):
    """What a host's hypervisor can give a guest: its own CPU (libvirt's host-model), and the named models it has."""

    xml: Xml = ""
    models: tuple[Word, ...] = Field(default=(), max_length=1000)
    arch: Text = "x86_64"
    virt_type: Text = "kvm"


class Uptime(Message):
    """What the command `uptime` prints of this host. ``load``: the averages of 1, 5 and 15 minutes."""

    seconds: Age
    users: Count = 0
    load: tuple[Age, Age, Age]


class Survey(Message):
    """What an agent found when it looked for ``Questions``: it changes nothing and is not about any operation."""

    machine: MachineId = ""
    clock_offset_s: Seconds | None = None  # this host's clock before (+) the database's
    clock_error_s: Age = 0.0  # either way
    addresses: tuple[Word, ...] = Field(default=(), max_length=1000)  # every IP address of this host
    memory_allocated_mb: Count | None = Field(
        None, alias="memory_given_mb"
    )  # MiB that live domains were given, migrator's or not
    cpu: HostCpu = HostCpu()
    guests: dict[Key, GuestObservation] = Field(default_factory=dict)  # instance -> ...
    cpus: dict[Key, GuestCpu] = Field(default_factory=dict)  # of these guests
    runs: dict[Key, CpuAnswer] = Field(default_factory=dict, max_length=1000)  # key of a CPU -> ...
    peers: dict[HostName, PeerProbe] = Field(default_factory=dict, max_length=1000)
    volumes: dict[SourceName, VolumeProbe] = Field(default_factory=dict)
    kept: tuple[KeptDisks, ...] = Field(default=(), max_length=2_000)  # aside, of instances that were evacuated
    leftovers: tuple[Leftover, ...] = Field(default=(), max_length=2_000)  # those unused for longest
    uptime: Uptime | None = None  # None: it does not tell
    use: HostUse | None = None  # None: it does not tell, or not yet
