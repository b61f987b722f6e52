"""Checks of a host for itself: whether it may take the instance, and has room and storage for it. Pure.

Each answers with a finding, or None where the question does not arise. ``filters.py`` holds the table of them.
"""

from collections.abc import Iterable

from migrator.protocol import StoragePool, networks
from migrator.scheduler.checks.finding import Candidate, CheckFinding, PlacementRequest, listed, verdict

_GIB = 1024**3


def source(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    there = candidate.host.name == need.source and not need.in_place
    return verdict("the instance is there already" if there else None, f"it is on {need.source}", candidate.host.name)


def cleaned(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    held = candidate.host.name in need.holders
    message = "it has not cleaned up yet what it had of the instance before" if held else None
    return verdict(message, "", "still holds something of it" if held else "holds nothing of it")


def refused(candidate: Candidate, need: PlacementRequest) -> CheckFinding | None:
    """What the host itself said in this very operation: its own words, with their codes."""
    reasons = need.refused.get(candidate.host.name)
    return verdict(", ".join(reasons), "", "said no") if reasons else None


def is_up(candidate: Candidate, _need: PlacementRequest) -> CheckFinding:
    host, message = candidate.host, None
    if host.unreadable:
        message = host.unreadable
    elif host.forced_down:
        message = "forced down by an operator"
    elif not host.up:
        message = f"its agent is down (silent for {host.silent_s:.0f} s)"
    elif candidate.surveyed is not None and candidate.surveyed.unreadable:
        message = candidate.surveyed.unreadable
    return verdict(message, "", message or f"spoke {host.silent_s:.0f} s ago")


def approval_wanted(host: str) -> str:
    return f"no operator has approved it yet: `migrator host-approve {host}`"


def enabled(candidate: Candidate, _need: PlacementRequest) -> CheckFinding:
    if not candidate.host.approved:
        return verdict(approval_wanted(candidate.host.name), "", "not approved")
    disabled, impaired = candidate.host.disabled, candidate.host.report.impaired
    if impaired and not disabled:
        return verdict(f"its agent begins nothing: {impaired}", "", "impaired")
    return verdict("it is disabled" if disabled else None, "", "disabled" if disabled else "enabled")


def vcpus(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    report, free = candidate.host.report, candidate.free_vcpus
    total = f"{max(free, 0):.0f} free of {report.vcpus} with ratio {report.cpu_allocation_ratio:g}"
    return _room("", free, need.vcpus, total)


def memory(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    """What claims and the domains that migrator did not make leave: the claim itself compares the same."""
    report, free = candidate.host.report, candidate.free_memory_mb
    ratio, reserved = report.ram_allocation_ratio, report.reserved_host_memory_mb
    message = f"{report.memory_mb} MiB, {reserved} reserved, ratio {ratio:g}"
    message += f", {report.foreign_memory_mb} of other domains" if report.foreign_memory_mb else ""
    return _room(" MiB", free, need.memory_mb, f"{max(free, 0):.0f} MiB free ({message})")


def disk(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    """What claims leave; and for disks that have to be copied what the pool itself has."""
    finding = _room(" GiB", candidate.free_disk_gb, need.disk_gb, f"{max(candidate.free_disk_gb, 0):.0f} GiB free")
    if not need.live or need.guest is None:
        return finding
    report = candidate.host.report
    copied = _copied(report.storage, need)
    lines = {pool: f"{pool}: {gb:.0f} GiB to copy, {report.storage[pool].free_gb} free" for pool, gb in copied.items()}
    short = [
        line
        for pool, line in lines.items()
        if copied[pool] > report.storage[pool].free_gb * report.disk_allocation_ratio
    ]
    message = "; ".join([*([finding.message] if finding.message else []), *short]) or None
    there = "; ".join([finding.destination, *lines.values()])
    return verdict(message, finding.source, there, candidate.host.silent_s)


def storage(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    """Pools by name, what is shared by identity, and a flag that contradicts that."""
    pools, wanted = candidate.host.report.storage, sorted(need.instance.pools)
    missing = [pool for pool in wanted if pool not in pools]
    message = [f"it has no pool named {', '.join(missing)}"] if missing else []
    # Disks that outlived their host on shared storage are never made anew beside it.
    lost = [p for p, identity in need.surviving.items() if p not in pools or pools[p].identity != identity]
    message += [f"it does not share {', '.join(lost)}, where the instance's disks are"] if lost else []
    message += _flag(pools, sorted({d.pool for d in need.instance.disks}), need)
    here = need.guest.storage if need.guest is not None else {}
    there = {pool: found.identity for pool, found in pools.items()}
    return verdict(
        "; ".join(message) or None, _identities(wanted, here), _identities(wanted, there), candidate.host.silent_s
    )


def network(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    wanted = sorted({nic.network for nic in need.instance.nics})
    report = candidate.host.report
    missing = networks.missing(need.instance.nics, report.networks, report.bridges)
    message = f"no bridge for {', '.join(missing)}" if missing else None
    there = f"has {listed([*report.networks, *report.bridges]) or 'none'}"
    return verdict(message, f"uses {', '.join(wanted) or 'none'}", there, candidate.host.silent_s)


def _room(unit: str, free: float, needed: int, found: str) -> CheckFinding:
    message = f"{needed}{unit} needed, {max(free, 0):.0f}{unit} free" if free < needed else None
    return verdict(message, f"{needed}{unit} needed", found)


def _flag(pools: dict[str, StoragePool], wanted: list[str], need: PlacementRequest) -> list[str]:
    if need.guest is None or need.block is None:
        return []
    shared = [pool for pool in wanted if pool in pools and _shares(pools, pool, need)]
    local = [pool for pool in wanted if pool not in shared]
    if need.block and not local and (kept := [*shared, *(volume.source for volume in need.instance.volumes)]):
        return [f"block migration asked for, but {', '.join(kept)} is shared with {need.source}"]
    if not need.block and local:
        return [f"{', '.join(local)} is not shared with {need.source}; ask for block migration or auto"]
    return []


def _shares(pools: dict[str, StoragePool], pool: str, need: PlacementRequest) -> bool:
    return need.guest is not None and need.guest.storage.get(pool) == pools[pool].identity


def _copied(pools: dict[str, StoragePool], need: PlacementRequest) -> dict[str, float]:
    """Pool -> GiB of the disks that have to be copied there, at the size that the guest sees, or at what they hold."""
    facts = {fact.target: fact for fact in need.guest.disks} if need.guest is not None else {}
    copied: dict[str, float] = {}
    for disk in need.instance.disks:
        if disk.pool in pools and not _shares(pools, disk.pool, need):
            fact = facts.get(disk.target)
            size = max(fact.virtual_bytes / _GIB if fact else 0, disk.size_gb)
            size = fact.allocated_bytes / _GIB if fact and need.over_commit else size
            copied[disk.pool] = copied.get(disk.pool, 0) + size
    return dict(sorted(copied.items()))


def _identities(wanted: Iterable[str], found: dict[str, str]) -> str:
    return ", ".join(f"{pool} is {found.get(pool) or 'not there'}" for pool in wanted) or "no disks"
