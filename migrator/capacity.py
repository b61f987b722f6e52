"""What a host has, and what of it instances may be given: one rule for claims, preflight and os-hypervisors.

Pure. What claims hold is subtracted by ``db/hosts.py``, in the row that every claim compares with.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from migrator.protocol import HostReport

_COLUMN_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Capacity:
    vcpus: float
    memory_mb: float
    disk_gb: float


Limits = Mapping[str, int]
"""vcpus, memory_mb, disk_gb: what an operator allowed; one that is missing is not limited."""


def total(report: HostReport, limits: Limits) -> Capacity:
    """The whole host, as far as an operator allowed it."""
    disk_gb = min(sum(pool.total_gb for pool in report.storage.values()), _COLUMN_MAX)
    return _at_most(Capacity(report.vcpus, report.memory_mb, disk_gb), limits)


def taken(report: HostReport) -> Capacity:
    """What no instance is given: the host's own memory, that of live domains which migrator did not make, by what they
    may use at most, and the room of disks that are kept aside."""
    return Capacity(0, report.reserved_host_memory_mb + report.foreign_memory_mb, report.kept_disks_gb)


def left(report: HostReport, limits: Limits) -> Capacity:
    """What instances may be given, by the host's ratios. What foreign domains and kept disks have, they have whole: no
    ratio makes it less. The limits come last, for the ratios are the host's own word, too."""
    whole = total(report, {})
    by_report = Capacity(
        whole.vcpus * report.cpu_allocation_ratio,
        (whole.memory_mb - report.reserved_host_memory_mb) * report.ram_allocation_ratio - report.foreign_memory_mb,
        whole.disk_gb * report.disk_allocation_ratio - report.kept_disks_gb,
    )
    return _at_most(by_report, limits)


def _at_most(found: Capacity, limits: Limits) -> Capacity:
    return Capacity(
        min(found.vcpus, limits.get("vcpus", found.vcpus)),
        min(found.memory_mb, limits.get("memory_mb", found.memory_mb)),
        min(found.disk_gb, limits.get("disk_gb", found.disk_gb)),
    )
