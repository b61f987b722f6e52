"""What an instance is, on any host."""

from pydantic import Field

from migrator.protocol.base import Message


class DiskSpec(Message):
    target: str  # device in the guest: "vda"
    pool: str  # the storage pool's name on the host: "local", "shared", ...
    format: str = "qcow2"  # "qcow2" or "raw"
    size_gb: int  # virtual size; 0 means the image's own size
    image_id: str | None = None  # made from this image; None is an empty disk
    config_drive: bool = False  # an ISO 9660 CD-ROM that the host makes from the instance's description


class VolumeSpec(Message):
    """A disk on the network that another system keeps: attached, and never made, copied, grown, counted or deleted."""

    id: str
    target: str
    source: str  # canonical, see ``volume_source``: "nbd://10.0.0.250:10809/data"
    size_gb: int  # that it has at least


class NicSpec(Message):
    """``network``: its name. A host whose own setting ``networks`` has that name takes the bridge from there; any other
    takes ``bridge``, which is "" for a network that only the hosts' settings name."""

    network: str
    mac: str
    ip: str | None = None
    port: str = ""  # its id
    tag: str | None = None
    network_id: str = ""
    kind: str = ""  # a NetworkKind
    bridge: str = ""
    vlan: int | None = None  # None: untagged
    cidr: str | None = None
    gateway: str | None = None
    dns: tuple[str, ...] = ()


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
    state_pool: str = Field(
        "", alias="home"
    )  # pool of kernel, ramdisk and saved memory if the root disk is a volume; "": beside the first disk
    nics: tuple[NicSpec, ...] = ()
    images: tuple[ImageRef, ...] = ()  # every image that disks, kernel and ramdisk name
    kernel_id: str | None = None
    ramdisk_id: str | None = None
    kernel_args: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    # What only the config drive says
    hostname: str = ""  # as it was at the creation; "": made from the name
    key_name: str | None = None
    key_data: str | None = Field(None, max_length=65535)  # the public key of that name
    user_data: str | None = Field(None, max_length=65535)  # in base64

    @property
    def home_pool(self) -> str:
        """Where its files lie that are no disks; "" is the host's default pool."""
        return self.state_pool or (self.disks[0].pool if self.disks else "")

    @property
    def pools(self) -> tuple[str, ...]:
        """Every pool that it has files in, the first disk's first."""
        return tuple(
            dict.fromkeys([*(disk.pool for disk in self.disks), *([self.state_pool] if self.state_pool else [])])
        )
