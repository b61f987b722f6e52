"""What a hypervisor counts of the use of a host and its guests: values that only grow, and what is held now. Plain."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GuestCounters:
    """``busy_s``: processor seconds that the guest used since its process began; ``waited_s``: those that its virtual
    CPUs wanted and waited for; ``memory_mb``: MiB that its process holds now."""

    busy_s: float
    waited_s: float
    memory_mb: int


@dataclass(frozen=True, slots=True)
class HostCounters:
    """``busy_s``: processor seconds that were not idle since the host started; ``memory_mb``: MiB used now, without
    what only caches files; ``guests``: by instance, those with a process, others than migrator's among them. None:
    the hypervisor did not tell in time."""

    busy_s: float
    memory_mb: int
    guests: Mapping[str, GuestCounters] | None
