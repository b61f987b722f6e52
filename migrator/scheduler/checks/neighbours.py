"""The instances that an instance has to share a host with, or is kept apart from. Plain values: no SQL, no clock.

Every host of an instance counts: the one where it is, and the one where it may come to be. One that moves has two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Places = Mapping[str, frozenset[str]]  # instance -> its hosts

ANTI_AFFINITY, AFFINITY = "anti-affinity", "affinity"
SOFT_ANTI_AFFINITY, SOFT_AFFINITY = "soft-anti-affinity", "soft-affinity"
MAX_PER_HOST = "max_server_per_host"  # the one rule of a policy: of anti-affinity


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """The instance's server group. ``members``: the others."""

    name: str
    policy: str
    max_per_host: int = 1
    members: Places = field(default_factory=dict)

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(host for hosts in self.members.values() for host in hosts)

    def on(self, host: str) -> list[str]:
        """The other members that are there, or may come to be."""
        return sorted(uuid for uuid, hosts in self.members.items() if host in hosts)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """``same_host``: the instances to share a host with, any of them; ``different_host``: those to be kept apart from,
    whichever of the two asked for it. Instances that are gone are in neither."""

    group: ServerGroup | None = None
    same_host: Places = field(default_factory=dict)
    different_host: Places = field(default_factory=dict)


NO_NEIGHBOURS = Neighbours()
