"""The things of the simulated world, as data: hosts, storages, disks, domains, transfers. Time never passes here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from uuid import NAMESPACE_OID, uuid5

from migrator.errors import DriverError, StorageError
from migrator.protocol import MEMORY, DiskFact, DiskSpec, DomainState, InstanceSpec, JobFact, StoragePool

MIB = 1024**2
GIB = 1024**3
VOLUME_BYTES = 10 * 1024**4  # of a volume without a stated size: large enough for every test
MEASURING_S = 1.0  # that a guest's writing is counted for


@dataclass
class Behaviour:
    """How a guest behaves. ``dirty_bytes_per_s``: how fast it changes its memory while it runs; ``cpus``: processors
    that it uses."""

    dirty_bytes_per_s: float = 1 * MIB
    working_bytes: float = float("inf")  # of its memory it writes to no more than this
    boot_s: float = 0.0  # until then it does not hear a request to shut down
    shutdown_s: float = 0.1
    ignores_shutdown: bool = False
    cpus: float = 0.0


@dataclass
class SimulatedDisk:
    """A file of an instance: a disk, or its saved memory."""

    virtual_bytes: int
    format: str = "qcow2"
    backing_image_id: str | None = None
    version: int = 0  # of the guest's data; 0 is the image's
    damage: str = ""  # what became of the data on its way; a test may plant it
    cut: bool = False  # the file ends before the last of what its header refers to
    admin_pass: str | None = None  # a config drive's
    token: str = ""  # a config drive's, that no other one has which was made anew
    remembers: dict[str, int] = field(default_factory=dict)  # saved memory: the disks' versions that it goes with

    @property
    def allocated_bytes(self) -> int:
        return self.virtual_bytes // 10  # files are sparse

    @property
    def checksum(self) -> str:
        return f"{self.version}-{self.virtual_bytes}{self.token}{self.damage}"


@dataclass
class Aside:
    """What an operation kept of an instance: target -> file. ``since``: by the cluster's clock."""

    files: dict[str, SimulatedDisk]
    since: float


class Files(dict[tuple[str, str], SimulatedDisk]):
    """The files of instances, by (instance, target). ``in`` asks whether the storage has such a file under any name,
    one that is ``aside``, by (instance, operation), too; all else is about those in their place."""

    def __init__(self, files: Mapping[tuple[str, str], SimulatedDisk] = MappingProxyType({})) -> None:
        super().__init__(files)
        self.aside: dict[tuple[str, str], Aside] = {}

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or any(
            (uuid, target) == key for (uuid, _), aside in self.aside.items() for target in aside.files
        )

    def clear(self) -> None:
        super().clear()
        self.aside.clear()

    def everything(self) -> list[tuple[tuple[str, str], SimulatedDisk]]:
        """Every file, with its instance and target."""
        aside = [((uuid, t), file) for (uuid, _), one in self.aside.items() for t, file in one.files.items()]
        return [*self.items(), *aside]

    def every(self, uuid: str, target: str) -> list[SimulatedDisk]:
        """A file under every name that it has."""
        placed = [self[uuid, target]] if super().__contains__((uuid, target)) else []
        kept = [aside.files for (owner, _), aside in self.aside.items() if owner == uuid]
        return placed + [files[target] for files in kept if target in files]

    def all_bytes(self) -> int:
        return sum(file.virtual_bytes for _, file in self.everything())


@dataclass
class Storage:
    """What hosts whose pools carry its identity share."""

    identity: str
    total_gb: int = 100
    disks: Files = field(default_factory=Files)
    taken_bytes: int = 0  # by what is none of ours
    lost_images: set[str] = field(default_factory=set)  # that lay under disks, and are gone or are others now
    proofs: set[str] = field(default_factory=set)  # what hosts wrote there to be found by others
    newest: dict[str, tuple[str, float]] = field(default_factory=dict)  # host -> its last one, and when

    def __post_init__(self) -> None:
        if not isinstance(self.disks, Files):
            self.disks = Files(self.disks)

    def pool(self, path: str, proof: str = "") -> StoragePool:
        free_gb = self.free_bytes // GIB
        return StoragePool(identity=self.identity, path=path, total_gb=self.total_gb, free_gb=free_gb, proof=proof)

    def prove(self, host: str, now: float, young_s: float = 0.0) -> str:
        """Something new from the host, unless its last one is younger than that."""
        last, at = self.newest.get(host, ("", 0.0))
        if last in self.proofs and now - at < young_s:
            return last
        made = f"{host}/{uuid5(NAMESPACE_OID, f'{self.identity} {host} {len(self.proofs)}')}"
        self.proofs.add(made)
        self.newest[host] = made, now
        return made

    @property
    def free_bytes(self) -> int:
        return self.total_gb * GIB - self.taken_bytes - self.disks.all_bytes()

    def take(self, pool: str, needed: int) -> None:
        """Raises StorageError when there is not so much room (bytes)."""
        if needed > self.free_bytes:
            raise StorageError(f"no space left in {pool}: {self.free_bytes} bytes free, {needed} needed")

    def make(self, uuid: str, disk: DiskSpec, virtual_bytes: int, image_id: str | None) -> None:
        """A disk with the image's data; an existing one is left alone. Raises StorageError when it is full."""
        if self.disks.get((uuid, disk.target)) is not None:
            return
        self.take(disk.pool, virtual_bytes)
        self.disks[uuid, disk.target] = SimulatedDisk(virtual_bytes, disk.format, image_id)

    def fact(self, uuid: str, disk: DiskSpec, path: str) -> DiskFact:
        found = self.disks.get((uuid, disk.target))
        if found is None:
            return DiskFact(target=disk.target, path=path, pool=disk.pool, exists=False, format=disk.format)
        return DiskFact(
            target=disk.target,
            path=path,
            pool=disk.pool,
            exists=True,
            format=found.format,
            virtual_bytes=found.virtual_bytes,
            allocated_bytes=found.allocated_bytes,
            backing_image_id=found.backing_image_id,
            readonly=disk.config_drive,
        )

    def remove(self, uuid: str) -> None:
        for key in [key for key in self.disks if key[0] == uuid]:
            del self.disks[key]

    def damage(self, file: SimulatedDisk) -> str:
        """Why the file is no whole disk, in words; "": it is one."""
        if file.cut:
            return "it was cut off"
        lost = file.backing_image_id in self.lost_images
        return f"the image {file.backing_image_id}, which it lies over, is missing" if lost else ""

    def set_aside(self, uuid: str, operation: str, now: float) -> None:
        files = {target: file for (owner, target), file in self.disks.items() if owner == uuid}
        if files:
            self.disks.aside[uuid, operation] = Aside(files, now)
        self.remove(uuid)


@dataclass
class Domain:
    spec: InstanceSpec
    state: DomainState
    reason: str | None = None
    operation_id: str | None = None
    epoch: int | None = None
    machine: str = ""
    started_at: float = 0.0
    completed: JobFact | None = None  # statistics of the transfer that brought it
    devices: tuple[str, ...] = ()  # of the host, passed through
    listens: tuple[str, ...] = ()  # addresses of its consoles
    seal: str = ""  # of its stamp
    persistent: bool = True


@dataclass
class SimulatedHost:
    name: str
    vcpus: int
    memory_mb: int
    pools: dict[str, Storage]
    cpu_model: str = "Westmere"
    machine_types: tuple[str, ...] = ("pc-i440fx-7.2",)
    networks: tuple[str, ...] = ("private",)
    bridges: dict[str, str] = field(default_factory=lambda: {"br0": "vlan", "br-int": "openvswitch"})
    addresses: tuple[str, ...] = ()
    bandwidth_bytes_per_s: float = 1000 * MIB
    foreign_memory_mb: int = 0  # of running domains that migrator did not make
    daemon_up: bool = True
    powered: bool = True
    boots: int = 0  # how often it was started after the first time
    domains: dict[str, Domain] = field(default_factory=dict)
    offers: dict[str, set[str]] = field(default_factory=dict)  # instance -> targets that other hosts may read
    lent: dict[str, dict[str, str]] = field(default_factory=dict)  # instance -> target -> path to read it at
    lent_images: dict[str, dict[str, str]] = field(default_factory=dict)  # instance -> path -> the image that is there
    fetched_images: set[str] = field(default_factory=set)  # in its agent's cache
    consoles: dict[str, bytes] = field(default_factory=dict)  # instance -> what its guest wrote here
    unsynced: dict[str, Domain] = field(default_factory=dict)  # forgotten, as long as the host keeps its power

    def write_console(self, uuid: str, line: str) -> None:
        self.consoles[uuid] = self.consoles.get(uuid, b"") + f"{line}\n".encode()

    def memory_of(self, spec: InstanceSpec) -> SimulatedDisk | None:
        """The instance's saved memory: it lies where the instance's other files do."""
        storage = self.pools.get(spec.home_pool)
        return storage.disks.get((spec.uuid, MEMORY)) if storage is not None else None


@dataclass
class Transfer:
    """One live migration under way or over. ``ends_at`` is the end of the present round."""

    uuid: str
    source: str
    destination: str
    memory_bytes: float
    disk_bytes: float
    copied: tuple[str, ...]
    limit_bytes_per_s: float
    full_bytes_per_s: float  # without a limit
    max_downtime_ms: int
    auto_converge: bool
    throttle_first: int  # percent
    post_copy: bool
    began_at: float
    ends_at: float
    stage: str = "setup"  # setup, copy, switch or postcopy, over
    remaining: float = 0.0
    processed: float = 0.0
    rounds: int = 0
    throttle: int = 0
    strikes: int = 0  # periods, since it was last slowed down, that left too much dirty
    looked_at: float = 0.0  # the end of the last of them
    downtime_ms: int | None = None
    paused_at: float | None = None
    stays_paused: bool = False  # it was when the transfer began
    destination_seal: str = ""
    error: str | None = None
    over_at: float | None = None
    stalled_since: float | None = None  # its link is cut

    @property
    def over(self) -> bool:
        return self.stage == "over"


@dataclass
class FileCopy:
    """The files of one instance on their way to another host, one after the other. ``ends_at``: of the present one."""

    uuid: str
    source: str
    destination: str
    spec: InstanceSpec
    waiting: list[str]  # targets, the present one first
    bytes_per_s: float
    began_at: float
    ends_at: float
    total_bytes: int = 0
    done_bytes: int = 0  # of the files that are complete
    size: int = 0  # of the present file
    version: int = 0  # of the present file's data when its reading began
    error: DriverError | None = None
    over_at: float | None = None
    stalled_since: float | None = None  # its link is cut

    @property
    def over(self) -> bool:
        return self.over_at is not None


@dataclass
class Execution:
    """An interval in which an instance executed guest code on a host; ``until`` None: it still does."""

    uuid: str
    host: str
    since: float
    until: float | None = None
