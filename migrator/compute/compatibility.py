"""Can this guest live here? Comparisons made before a move, the same for every driver.

Owns the words of each check: its name, what was found and what to do. Pure: whatever it compares is handed to it.
Every function answers for the host it runs on, the destination unless it says otherwise.
"""

from collections.abc import Collection, Mapping, Sequence

from migrator.protocol import CheckResult, DiskFact, DomainState, GuestDescription, InstanceSpec

MIB = 1024**2


def domain(state: DomainState) -> CheckResult:
    """No copy of the instance may be alive here; a forgotten, shut-off one does no harm."""
    return CheckResult(
        name="domain",
        ok=state in (DomainState.ABSENT, DomainState.SHUT_OFF),
        found=f"the domain is {state} here",
        advice="find out why this host holds a live copy before moving another one to it",
    )


def memory(needed_mb: int, *, total_mb: int, reserved_mb: int, used_mb: int, ratio: float) -> CheckResult:
    """RAM with this host's overcommit ratio; ``used_mb`` is what its other live guests were given."""
    free = int((total_mb - reserved_mb) * ratio) - used_mb
    return CheckResult(
        name="memory",
        ok=needed_mb <= free,
        found=f"{free} MiB free ({total_mb} MiB, {reserved_mb} reserved, ratio {ratio:g}, {used_mb} in use), "
        f"{needed_mb} MiB needed",
        advice="choose another host, move something away from this one, or raise ram_allocation_ratio",
    )


def cpu(ok: bool, found: str) -> CheckResult:
    """``found``: the hypervisor's own words."""
    return CheckResult(
        name="cpu",
        ok=ok,
        found=found,
        advice="choose a host with these features, or set cpu_mode = custom with a model that all hosts have",
    )


def machine_type(needed: str, offered: Collection[str]) -> CheckResult:
    here = needed in offered
    return CheckResult(
        name="machine_type",
        ok=here,
        found=f"{needed or 'no machine type'} is {'here' if here else 'not among the machine types of this host'}",
        advice="install a QEMU at least as new as the source's",
    )


def network(spec: InstanceSpec, offered: Collection[str]) -> CheckResult:
    missing = sorted({nic.network for nic in spec.nics} - set(offered))
    return CheckResult(
        name="network",
        ok=not missing,
        found=f"no bridge for {', '.join(missing)}" if missing else "every network has a bridge",
        advice="add the network to the agent's setting networks",
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
    missing = sorted({disk.pool for disk in spec.disks} - set(own_storage))
    copied = copied_targets(spec, guest.storage, own_storage)
    if missing:
        found = f"this host has no storage pool {', '.join(missing)}"
        return CheckResult(name="storage", ok=False, found=found, advice="configure the pool in its agent's storage")
    shared = tuple(disk.target for disk in spec.disks if disk.target not in copied)
    parts = [f"{', '.join(shared)} on shared storage"] if shared else []
    parts += [f"{', '.join(copied)} not on shared storage"] if copied else []
    refused = (block is False and bool(copied)) or (block is True and bool(shared) and not copied)
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
) -> CheckResult:
    """Room in each pool for the disks that are copied into it, at the size that the guest sees."""
    copied = copied_targets(spec, guest.storage, own_storage)
    facts: dict[str, DiskFact] = {fact.target: fact for fact in guest.disks}
    needed: dict[str, int] = {}
    for each in spec.disks:
        if each.target in copied and each.target in facts:
            needed[each.pool] = needed.get(each.pool, 0) + facts[each.target].virtual_bytes
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
        found="; ".join(words for _, words in lines) or "nothing has to be copied",
        advice="free some space, choose another host, or raise disk_allocation_ratio",
    )


def leftover(
    spec: InstanceSpec, guest: GuestDescription, own_storage: Mapping[str, str], found: Sequence[DiskFact]
) -> CheckResult:
    """No file may stand where a disk is going to be copied: an incremental copy onto an old one would mix the two."""
    copied = copied_targets(spec, guest.storage, own_storage)
    in_the_way = [fact.path for fact in found if fact.exists and fact.target in copied]
    return CheckResult(
        name="leftover",
        ok=not in_the_way,
        found=f"in the way: {', '.join(in_the_way)}" if in_the_way else "no old disk is in the way",
        advice="make sure that nothing needs the file, then remove it",
    )


def source(state: DomainState, *, job_active: bool, passed_through: Sequence[str]) -> list[CheckResult]:
    """What forbids a guest to leave the source."""
    devices = ", ".join(passed_through)
    return [
        CheckResult(
            name="domain",
            ok=state is DomainState.RUNNING,
            found=f"the domain is {state}",
            advice="only a running guest moves live; start it first",
        ),
        CheckResult(
            name="job",
            ok=not job_active,
            found="another job is active on the domain" if job_active else "no job is active",
            advice="wait until it ends, or abort it with virsh domjobabort",
        ),
        CheckResult(
            name="devices",
            ok=not devices,
            found=f"the guest holds devices of this host: {devices}" if devices else "no pass-through devices",
            advice="detach them first",
        ),
    ]


def _mib(size: int) -> str:
    return f"{size // MIB} MiB"
