"""Which hosts can take an instance, and why the others cannot: pure, one filter a reason, in one table.

Capacity is only compared here; the claim itself is taken by ``db/claims.py`` in the transaction that checks it again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from migrator.protocol import GuestDescription, InstanceSpec
from migrator.scheduler.snapshot import HostView


@dataclass(frozen=True, slots=True)
class Need:
    """What is to be placed. ``guest`` and ``source`` are known for a move only."""

    instance: InstanceSpec
    vcpus: int
    memory_mb: int
    disk_gb: int
    source: str | None = None
    requested_host: str | None = None
    guest: GuestDescription | None = None
    block: bool | None = None  # what a live migration asked for; None: find out
    refused: Mapping[str, Sequence[str]] = field(default_factory=dict)  # hosts that already said no
    in_place: bool = False  # the source itself will do
    holders: frozenset[str] = frozenset()  # hosts besides the source that still have something of the instance
    surviving: Mapping[str, str] = field(default_factory=dict)  # pool -> identity of the storage that has its disks


@dataclass(frozen=True, slots=True)
class Candidate:
    host: HostView
    free_vcpus: float
    free_memory_mb: float
    free_disk_gb: float


def _source(candidate: Candidate, need: Need) -> str | None:
    return "the instance is there already" if candidate.host.name == need.source and not need.in_place else None


def _holder(candidate: Candidate, need: Need) -> str | None:
    held = candidate.host.name in need.holders
    return "it has not cleaned up yet what it had of the instance before" if held else None


def _refused(candidate: Candidate, need: Need) -> str | None:
    reasons = need.refused.get(candidate.host.name)
    return ", ".join(reasons) if reasons else None


def _down(candidate: Candidate, _need: Need) -> str | None:
    host = candidate.host
    if host.forced_down:
        return "forced down by an operator"
    return None if host.up else f"its agent is down (silent for {host.silent_s:.0f} s)"


def _disabled(candidate: Candidate, _need: Need) -> str | None:
    return "disabled" if candidate.host.disabled else None


def _short(what: str, unit: str, free: float, needed: int) -> str | None:
    return f"{what}: {needed}{unit} needed, {max(free, 0):.0f}{unit} free" if free < needed else None


def _vcpus(candidate: Candidate, need: Need) -> str | None:
    return _short("vcpus", "", candidate.free_vcpus, need.vcpus)


def _memory(candidate: Candidate, need: Need) -> str | None:
    return _short("memory", " MiB", candidate.free_memory_mb, need.memory_mb)


def _disk(candidate: Candidate, need: Need) -> str | None:
    return _short("disk", " GiB", candidate.free_disk_gb, need.disk_gb)


def _pools(candidate: Candidate, need: Need) -> str | None:
    missing = {d.pool for d in need.instance.disks} - candidate.host.report.storage.keys()
    return f"storage: it has no pool named {', '.join(sorted(missing))}" if missing else None


def _survivors(candidate: Candidate, need: Need) -> str | None:
    """Disks that outlived their host on shared storage are never made anew beside it."""
    storage = candidate.host.report.storage
    lost = [p for p, identity in need.surviving.items() if p not in storage or storage[p].identity != identity]
    return f"storage: it does not share {', '.join(sorted(lost))}, where the instance's disks are" if lost else None


def _block_flag(candidate: Candidate, need: Need) -> str | None:
    """A flag that contradicts the storage identities is an error that says what the facts are."""
    if need.guest is None or need.block is None:
        return None
    storage = candidate.host.report.storage
    pools = sorted({d.pool for d in need.instance.disks})
    shared = [p for p in pools if p in storage and need.guest.storage.get(p) == storage[p].identity]
    if need.block and pools and len(shared) == len(pools):
        return f"storage: block migration asked for, but {', '.join(shared)} is shared with {need.source}"
    local = [p for p in pools if p not in shared]
    if not need.block and local:
        return f"storage: {', '.join(local)} is not shared with {need.source}; ask for block migration or auto"
    return None


def _machine(candidate: Candidate, need: Need) -> str | None:
    types = candidate.host.report.machine_types
    if need.guest is None or not need.guest.machine or not types or need.guest.machine in types:
        return None
    return f"machine_type: it does not know {need.guest.machine}"


def _architecture(candidate: Candidate, need: Need) -> str | None:
    if need.guest is None or need.guest.arch == candidate.host.report.arch:
        return None
    return f"arch: the guest is {need.guest.arch}, the host {candidate.host.report.arch}"


def _version(candidate: Candidate, need: Need) -> str | None:
    version = candidate.host.report.hypervisor_version
    if need.guest is None or not need.guest.hypervisor_version or version >= need.guest.hypervisor_version:
        return None
    return f"hypervisor_version: {version} is older than the source's {need.guest.hypervisor_version}"


FILTERS: tuple[Callable[[Candidate, Need], str | None], ...] = (
    _source,
    _holder,
    _refused,
    _down,
    _disabled,
    _vcpus,
    _memory,
    _disk,
    _pools,
    _survivors,
    _block_flag,
    _architecture,
    _machine,
    _version,
)


def refusals(candidate: Candidate, need: Need) -> list[str]:
    """Every reason why this host cannot take it; empty: it can."""
    return [reason for check in FILTERS if (reason := check(candidate, need)) is not None]


def rank(candidates: Iterable[Candidate], need: Need) -> list[Candidate]:
    """The hosts that pass, most free memory first; ties by name, so that the choice can be repeated."""
    passing = [c for c in candidates if not refusals(c, need)]
    return sorted(passing, key=lambda c: (-c.free_memory_mb, c.host.name))
