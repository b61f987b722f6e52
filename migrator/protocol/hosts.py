"""What a host tells of itself."""

from typing import Annotated

from pydantic import Field

from migrator.protocol.base import (
    Age,
    Big,
    BootId,
    Count,
    HostName,
    Message,
    Moment,
    PeerHost,
    PeerUri,
    Proof,
    Text,
    Word,
)
from migrator.protocol.versions import UNSAID

BridgeName = Annotated[str, Field(max_length=15)]
PoolName = Annotated[str, Field(max_length=255)]
Words = Annotated[tuple[Word, ...], Field(max_length=1000)]  # that a hypervisor knows


class StoragePool(Message):
    identity: Word  # UUID in the pool's marker file; equal identities share storage
    path: Annotated[str, Field(max_length=1024)]
    total_gb: Count
    free_gb: Count
    proof: Proof = ""  # that the host wrote there last; "": it never did


class TlsReport(Message):
    """The certificates with which a host's QEMU encrypts migrations. Authorities by their SHA-256 fingerprints."""

    issuers: Annotated[tuple[Word, ...], Field(max_length=100)] = ()  # those that signed them
    trusted: Annotated[tuple[Word, ...], Field(max_length=100)] = ()  # those whose certificates it accepts
    not_before: Moment = 0.0  # s since the epoch, from when to when they all hold
    not_after: Moment = 0.0
    message: Text = Field("", alias="words")  # why they cannot be used, whatever the time; "": they can


class HostReport(Message):
    """A host's description, put at each start of its agent and whenever it changes."""

    hypervisor_type: Word = "QEMU"
    hypervisor_version: Big = 0  # libvirt's integer form: 7002000
    arch: Word = "x86_64"
    cpu_model: Word = ""
    cpu_vendor: Word = ""
    cpu_features: Words = ()
    cpu_topology: dict[Word, Big] = Field(default_factory=dict, max_length=20)
    machine_types: Words = ()
    vcpus: Count
    memory_mb: Count
    reserved_host_memory_mb: Count = 512
    foreign_memory_mb: Count = 0  # MiB that live domains which migrator did not make may use at most
    kept_disks_gb: Count = 0  # GiB that disks take which are kept aside
    cpu_allocation_ratio: float = Field(4.0, gt=0, le=1000)
    ram_allocation_ratio: float = Field(1.0, gt=0, le=1000)
    disk_allocation_ratio: float = Field(1.0, gt=0, le=1000)
    storage: dict[PoolName, StoragePool] = Field(default_factory=dict, max_length=64)
    default_pool: PoolName = "local"
    address: PeerHost  # live_migration_inbound_addr
    live_migration_uri: PeerUri  # with the address filled in
    networks: tuple[HostName, ...] = Field(default=(), max_length=256)  # that its own setting maps to bridges
    bridges: dict[BridgeName, Word] = Field(default_factory=dict, max_length=256)  # that it has -> a NetworkKind
    simulated: bool = False
    self_fencing_lease_s: Age = 0.0  # 0: its agent does not stop instances without the server
    tls: TlsReport | None = None  # None: it does not encrypt migrations
    warnings: tuple[Text, ...] = Field(default=(), max_length=20)  # what of its setup endangers instances
    impaired: Text = ""  # why its agent cannot write down what it does, so that nothing is begun there; "": it can
    lost: Text = ""  # what its agent could not read of what it had written down; "": nothing
    start: BootId = ""  # of its agent, a new one each time that starts; "": not told
    protocol: Count = UNSAID  # that its agent speaks; from 2 on it sends unchanged facts again
