"""What libvirt says of a host: its memory, and the CPUs that it can give a guest. Changes nothing."""

from collections.abc import Callable, Sequence
from typing import Any

import libvirt

from migrator.compute.libvirt.bindings.connections import ignore_missing_domain


def memory_mb(connection: Any) -> int:
    """The host's RAM in MiB. ``getInfo`` counts the first NUMA node's boot memory only, not what was plugged in."""
    return int(connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)["total"]) // 1024


def memory_allocated_mb(connection: Any, besides: Callable[[Any], bool] = lambda _domain: False) -> int:
    """MiB that live domains, migrator's or not, may use at most; those for which ``besides`` holds are not counted.

    It is asked of each listed domain: told by a list that was made before, a domain that arrived since is a stranger.
    """
    total = 0
    for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        with ignore_missing_domain():
            total += 0 if besides(domain) else domain.info()[1]
    return total // 1024


def use(connection: Any) -> tuple[float, int]:
    """Processor seconds, of all processors, that were not idle since the host started; and MiB that are used now,
    without what only caches files."""
    spent = connection.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS)  # ns
    memory = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)  # KiB
    unused = sum(memory.get(name, 0) for name in ("free", "buffers", "cached"))
    return (spent["user"] + spent["kernel"]) / 1e9, max(0, memory["total"] - unused) // 1024


def compare_cpu(connection: Any, arch: str, machine: str | None, virt_type: str, cpu_xml: str) -> str | None:
    """libvirt's words for what this host's CPU lacks; None: nothing."""
    flags = libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE
    try:
        connection.compareHypervisorCPU(None, arch, machine, virt_type, cpu_xml, flags)
    except libvirt.libvirtError as error:
        if error.get_error_domain() != libvirt.VIR_FROM_CPU:
            raise
        return str(error.get_error_message())
    return None


def domain_capabilities(connection: Any, virt_type: str) -> str:
    """What this libvirtd can give a domain of that type on its own architecture, as XML."""
    arch = connection.getInfo()[0]
    return str(connection.getDomainCapabilities(None, arch, None, virt_type))


def baseline_cpu(connection: Any, arch: str, virt_type: str, cpus: Sequence[str], *, expand: bool = False) -> str:
    """XML of the richest CPU that has nothing which one of ``cpus`` (XML) lacks; ``expand``: every feature by name."""
    flags = libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES if expand else 0
    return str(connection.baselineHypervisorCPU(None, arch, None, virt_type, list(cpus), flags))
