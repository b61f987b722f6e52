"""Names, addresses and paths of a lab: one place that says what is called how and lies where.

Owns no processes and touches nothing. Everything is derived from the lab's name and its state directory, so that
several labs live side by side and a second process finds what the first one made.
"""

import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from migrator.errors import LabError

STATE = Path("/var/lib/migrator-lab")
CACHE = Path("/var/cache/migrator-lab")
_NAME = re.compile(r"[a-z][a-z0-9]{0,7}")  # "mg-<name>-n99" must fit into an interface name of 15 characters

# Inside a host. All below a directory that libvirt's package made, so that the machine itself gets no new mount point.
HOME = Path("/var/lib/libvirt/migrator")
LOCAL = HOME / "local"
SHARED = HOME / "shared"
AGENT = HOME / "agent"
PROGRAMS = HOME / "bin"  # first in libvirtd's PATH
BRIDGE_INSIDE = "br0"

# What each host has for itself: directory below the host's own -> where it is mounted. /run is last, for it hides
# what the others might be mounted from.
MOUNTS = (
    ("etc", "/etc/libvirt"),
    ("lib", "/var/lib/libvirt"),
    ("cache", "/var/cache/libvirt"),
    ("log", "/var/log/libvirt"),
    ("hosts", "/etc/hosts"),
    ("run", "/run"),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """``subnet``: the first three bytes of every address, "10.77.3"."""

    name: str
    root: Path
    subnet: str = ""

    @property
    def bridge(self) -> str:
        return f"mg-{self.name}"

    @property
    def prefix(self) -> str:
        """With which the lab's namespaces and links begin."""
        return f"mg-{self.name}-"

    @property
    def server_address(self) -> str:
        """The bridge's, where hosts reach the server."""
        return f"{self.subnet}.1"

    @property
    def storage_address(self) -> str:
        return f"{self.subnet}.250"

    @property
    def volumes_address(self) -> str:
        return f"{self.subnet}.251"

    @property
    def state_file(self) -> Path:
        return self.root / "lab.json"

    def host_name(self, number: int) -> str:
        return f"n{number}"

    def host_address(self, number: int) -> str:
        return f"{self.subnet}.{10 + number}"

    def host_uuid(self, number: int) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"n{number}.{self.name}.lab.migrator"))


def check_name(name: str) -> str:
    """The name itself. Raises LabError when interfaces could not be named after it."""
    if not _NAME.fullmatch(name):
        raise LabError(
            f"{name!r} cannot name a lab", advice="take up to 8 lower-case letters and digits, a letter first"
        )
    return name
