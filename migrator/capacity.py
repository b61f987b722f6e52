"""What a host has, and what of it instances may be given: one rule for claims, preflight and os-hypervisors.

Pure. What claims hold is subtracted by ``db/hosts.py``, in the row that every claim compares with.
"""

from dataclasses import dataclass

from migrator.protocol import HostReport

_COLUMN_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Capacity:
    vcpus: float
    memory_mb: float
    disk_gb: float


def total(report: HostReport) -> Capacity:
    """The whole host."""
    disk_gb = min(sum(pool.total_gb for pool in report.storage.values()), _COLUMN_MAX)
    return Capacity(report.vcpus, report.memory_mb, disk_gb)


def taken(report: HostReport) -> Capacity:
    """What no instance is given: the host's own memory, that of live domains which migrator did not make, by what they
    may use at most, and the room of disks that are kept aside."""
    return Capacity(0, report.reserved_host_memory_mb + report.foreign_memory_mb, report.kept_disks_gb)


def left(report: HostReport) -> Capacity:
    """What instances may be given, by the host's ratios. What foreign domains and kept disks have, they have whole: no
    ratio makes it less."""
    whole = total(report)
    return Capacity(
        whole.vcpus * report.cpu_allocation_ratio,
        (whole.memory_mb - report.reserved_host_memory_mb) * report.ram_allocation_ratio - report.foreign_memory_mb,
        whole.disk_gb * report.disk_allocation_ratio - report.kept_disks_gb,
    )
