"""Can this guest live here? Comparisons made before a move, the same for every driver.

Owns the words of each check: its name, what was found and what to do. Pure: whatever it compares is handed to it.
Every function answers for the host it runs on, the destination unless it says otherwise.
"""

from collections.abc import Collection, Mapping, Sequence

from migrator.checks import CHECKS
from migrator.protocol import (
    MEMORY,
    PAUSE_REASON_USER,
    CheckResult,
    DiskFact,
    DomainState,
    GuestDescription,
    InstanceSpec,
    networks,
)

MIB = 1024**2
GIB = 1024**3


def domain(state: DomainState) -> CheckResult:
    """No copy of the instance may be alive here; a forgotten, shut-off one does no harm."""
    return CheckResult(
        name="domain",
        ok=state in (DomainState.ABSENT, DomainState.SHUT_OFF),
        found=f"the domain is {state} here",
        advice="find out why this host holds a live copy before moving another one to it",
    )


def memory_needed(spec: InstanceSpec, guest: GuestDescription) -> int:
    """MiB that the guest will have here: a saved one goes on with what it had."""
    saved = any(fact.target == MEMORY for fact in guest.disks)
    return max(spec.memory_mb, guest.memory_mb) if saved else spec.memory_mb


def memory(needed_mb: int, *, total_mb: int, reserved_mb: int, used_mb: int, ratio: float) -> CheckResult:
    """RAM with this host's overcommit ratio; ``used_mb`` is what its other live guests were given."""
    free = int((total_mb - reserved_mb) * ratio) - used_mb
    return CheckResult(
        name="memory",
        ok=needed_mb <= free,
        found=f"{free} MiB free ({total_mb} MiB, {reserved_mb} reserved, ratio {ratio:g}, {used_mb} in use), "
        f"{needed_mb} MiB needed",
        advice=CHECKS["memory"].advice,
    )


def cpu(ok: bool, found: str) -> CheckResult:
    """``found``: the hypervisor's own words."""
    return CheckResult(
        name="cpu",
        ok=ok,
        found=found,
        advice=CHECKS["cpu"].advice,
    )


def machine_type(needed: str, offered: Collection[str]) -> CheckResult:
    """``needed``: what the guest has seen; "" for one that may see another."""
    here = not needed or needed in offered
    missing = f"{needed} is not among the machine types of this host"
    return CheckResult(
        name="machine_type",
        ok=here,
        found=missing if not here else f"{needed} is here" if needed else "the guest may get any machine type",
        advice=CHECKS["machine_type"].advice,
    )


def console(listens: Sequence[str], addresses: Collection[str]) -> CheckResult:
    """``listens``: where the guest's consoles listen, but for addresses that every host has. ``addresses``: this
    host's; none: its kernel does not tell."""
    missing = [address for address in listens if addresses and address not in addresses]
    message = f"a console listens on {', '.join(missing)}, which this host does not have" if missing else ""
    return CheckResult(
        name="console",
        ok=not missing,
        found=message or f"the consoles listen on {', '.join(listens) or 'no address of one host'}",
        advice=CHECKS["console"].advice,
    )


def version(needed: int, own: int) -> CheckResult:
    """libvirt's integers of the hypervisors; 0 is not known. Memory travels to one that is as new, or newer."""
    older = bool(needed and own) and own < needed
    return CheckResult(
        name="hypervisor_version",
        ok=not older,
        found=f"{own} here, {needed} at the source",
        advice=CHECKS["hypervisor_version"].advice,
    )


def network(spec: InstanceSpec, offered: Collection[str], bridges: Mapping[str, str]) -> CheckResult:
    missing = networks.missing(spec.nics, offered, bridges)
    return CheckResult(
        name="network",
        ok=not missing,
        found=f"no bridge for {', '.join(missing)}" if missing else "every network has a bridge",
        advice=CHECKS["network"].advice,
    )


def volumes(spec: InstanceSpec, found: Mapping[str, int | str]) -> CheckResult:
    """``found``: source -> bytes, or why this host cannot reach the volume."""
    faults, lines = [], []
    for volume in spec.volumes:
        seen = found.get(volume.source, "not looked at")
        if isinstance(seen, str):
            faults.append(f"{volume.target} ({volume.source}) is out of reach: {seen}")
        elif seen < volume.size_gb * GIB:
            faults.append(f"{volume.target} ({volume.source}) has {_mib(seen)}, and had {volume.size_gb} GiB")
        else:
            lines.append(f"{volume.target} ({volume.source}) has {_mib(seen)}")
    return CheckResult(
        name="volumes",
        ok=not faults,
        found="; ".join([*faults, *lines]) or "no volumes",
        advice=CHECKS["volumes"].advice,
    )


def copied_targets(
    spec: InstanceSpec, source_storage: Mapping[str, str], own_storage: Mapping[str, str]
) -> tuple[str, ...]:
    """The disks (targets) that must be copied: those whose pool the two hosts do not share."""
    return tuple(
        disk.target
        for disk in spec.disks
        if not (identity := source_storage.get(disk.pool)) or identity != own_storage.get(disk.pool)
    )


def storage(
    spec: InstanceSpec, guest: GuestDescription, own_storage: Mapping[str, str], block: bool | None
) -> CheckResult:
    """The request's ``block`` against what the storage identities say; None asks for what they say."""
    missing = sorted(set(spec.pools) - set(own_storage))
    copied = copied_targets(spec, guest.storage, own_storage)
    if missing:
        found = f"this host has no storage pool {', '.join(missing)}"
        return CheckResult(name="storage", ok=False, found=found, advice="configure the pool in its agent's storage")
    shared = tuple(disk.target for disk in spec.disks if disk.target not in copied)
    parts = [f"{', '.join(shared)} on shared storage"] if shared else []
    parts += [f"{', '.join(copied)} not on shared storage"] if copied else []
    parts += [f"{', '.join(volume.target for volume in spec.volumes)} on the network"] if spec.volumes else []
    kept = shared or spec.volumes
    refused = (block is False and bool(copied)) or (block is True and bool(kept) and not copied)
    return CheckResult(
        name="storage",
        ok=not refused,
        found="; ".join(parts) or "no disks",
        advice="leave block_migration at auto" if refused else "",
    )


def disk(
    spec: InstanceSpec,
    guest: GuestDescription,
    own_storage: Mapping[str, str],
    *,
    free_bytes: Mapping[str, int],
    ratio: float,
    over_commit: bool = False,
) -> CheckResult:
    """Room in each pool for what is copied or made there, at the size that the guest sees or is going to see, for the
    saved memory, and for what a shared disk is going to grow. ``over_commit``: at what a copied one holds."""
    copied = copied_targets(spec, guest.storage, own_storage)
    facts: dict[str, DiskFact] = {fact.target: fact for fact in guest.disks}
    needed: dict[str, int] = {}
    for each in spec.disks:
        fact = facts.get(each.target)
        old = fact.virtual_bytes if fact else 0
        new = max(old, each.size_gb * GIB)
        full = fact.allocated_bytes if fact and over_commit else new
        if more := full if each.target in copied else new - old if fact else 0:
            needed[each.pool] = needed.get(each.pool, 0) + more
    if MEMORY in facts and _memory_copied(spec, guest.storage, own_storage):
        pool = spec.home_pool
        needed[pool] = needed.get(pool, 0) + facts[MEMORY].virtual_bytes
    lines = [
        (
            size <= free_bytes.get(pool, 0) * ratio,
            f"{pool}: {_mib(free_bytes.get(pool, 0))} free, {_mib(size)} needed",
        )
        for pool, size in needed.items()
    ]
    return CheckResult(
        name="disk",
        ok=all(fits for fits, _ in lines),
        found="; ".join(message for _, message in lines) or "nothing has to be copied",
        advice=CHECKS["disk"].advice,
    )


def leftover(
    spec: InstanceSpec, guest: GuestDescription, own_storage: Mapping[str, str], found: Sequence[DiskFact]
) -> CheckResult:
    """No file may stand where a disk is going to be copied: an incremental copy onto an old one would mix the two."""
    copied = copied_targets(spec, guest.storage, own_storage)
    targets = (*copied, MEMORY) if _memory_copied(spec, guest.storage, own_storage) else copied
    in_the_way = [fact.path for fact in found if fact.exists and fact.target in targets]
    return CheckResult(
        name="leftover",
        ok=not in_the_way,
        found=f"in the way: {', '.join(in_the_way)}" if in_the_way else "no old disk is in the way",
        advice="make sure that nothing needs the file, then remove it",
    )


_MOVES_COLD = (DomainState.RUNNING, DomainState.SHUT_OFF, DomainState.SAVED, DomainState.CRASHED)


def source(
    state: DomainState,
    *,
    job_active: bool,
    passed_through: Sequence[str],
    live: bool = True,
    unknown_disks: Sequence[str] = (),
    asleep: bool = False,
    reason: str | None = None,
) -> list[CheckResult]:
    """What forbids a guest to leave the source. ``unknown_disks``: disks that the domain has and the instance does not;
    ``asleep``: the hypervisor keeps its memory in a place of its own; ``reason``: why the domain is in that state."""
    devices, unknown = ", ".join(passed_through), ", ".join(unknown_disks)
    return [
        _source_state(state, reason, live=live),
        CheckResult(
            name="job",
            ok=not job_active,
            found="another job is active on the domain" if job_active else "no job is active",
            advice="wait until it ends, or abort it with virsh domjobabort",
        ),
        CheckResult(
            name="devices",
            ok=not devices or not live,
            found=f"the guest holds devices of this host: {devices}" if devices else "no pass-through devices",
            advice=CHECKS["devices"].advice,
        ),
        CheckResult(
            name="disks",
            ok=not unknown,
            found=f"not the instance's own: {unknown}" if unknown else "the domain has the instance's disks",
            advice="merge the snapshot (virsh blockcommit), or detach the disk",
        ),
        CheckResult(
            name="managed_save",
            ok=not asleep,
            found="libvirt keeps a managed save of the guest" if asleep else "libvirt keeps no managed save",
            advice="start it, or give its memory up with virsh managedsave-remove",
        ),
    ]


def _source_state(state: DomainState, reason: str | None, *, live: bool) -> CheckResult:
    by_hand = (state, reason) == (DomainState.PAUSED, PAUSE_REASON_USER)
    return CheckResult(
        name="domain",
        ok=state is DomainState.RUNNING or (by_hand if live else state in _MOVES_COLD),
        found=f"the domain is {state}" + (f" ({reason})" if state is DomainState.PAUSED and reason else ""),
        advice="only a guest that runs, or that a user paused, moves live; start it first"
        if live
        else "a guest that is paused does not move; let it go on, or stop it",
    )


def _memory_copied(spec: InstanceSpec, source_storage: Mapping[str, str], own_storage: Mapping[str, str]) -> bool:
    """Whether a saved memory is copied: it is where the instance's other files are."""
    pool = spec.home_pool
    return bool(pool) and (not source_storage.get(pool) or source_storage.get(pool) != own_storage.get(pool))


def _mib(size: int) -> str:
    return f"{size // MIB} MiB"
