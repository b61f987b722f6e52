"""Planted bugs in whether a host can take an instance: the checks of the scheduler, and of the host itself."""

from tests.mutation.mutant import Mutant

COMPATIBILITY = "migrator/compute/compatibility.py"
FILTERS = "migrator/scheduler/checks/filters.py"
GUEST = "migrator/scheduler/checks/guest_checks.py"
HOST = "migrator/scheduler/checks/host_checks.py"
NEIGHBOURS = "migrator/scheduler/checks/neighbour_checks.py"
TLS = "migrator/scheduler/checks/tls_check.py"

MUTANTS = (
    Mutant(
        "what is not known keeps a host away",
        FILTERS,
        "if finding.status is Status.FAILED]",
        "if finding.status is not Status.PASSED]",
    ),
    Mutant(
        "an old answer counts for ever",
        FILTERS,
        "if finding.age_s <= KNOWN_S or finding.status is Status.UNKNOWN:",
        "if True:",
    ),
    Mutant(
        "the roomiest host comes before the one that a soft policy wants",
        FILTERS,
        "(weight(c.host.name, need.neighbours), -c.free_memory_mb, c.host.name)",
        "(-c.free_memory_mb, weight(c.host.name, need.neighbours), c.host.name)",
    ),
    Mutant(
        "a host whose report cannot be read takes an instance in",
        HOST,
        "    if host.unreadable:\n",
        "    if False:\n",
    ),
    Mutant(
        "a host whose survey cannot be read takes an instance in",
        HOST,
        "elif candidate.surveyed is not None and candidate.surveyed.unreadable:",
        "elif False:",
    ),
    Mutant(
        "a host that nobody approved takes an instance in",
        HOST,
        "    if not candidate.host.approved:\n",
        "    if False:\n",
    ),
    Mutant(
        "a host that begins nothing takes an instance in",
        HOST,
        "    if impaired and not disabled:\n",
        "    if False:\n",
    ),
    Mutant(
        "surviving disks are found by the name of their pool",
        HOST,
        "if p not in pools or pools[p].identity != identity]",
        "if p not in pools]",
    ),
    Mutant(
        "the sizes of copied disks of one pool are not added up",
        HOST,
        "copied[disk.pool] = copied.get(disk.pool, 0) + size",
        "copied[disk.pool] = size",
    ),
    Mutant(
        "one shared pool brings the image with it",
        GUEST,
        "if all(pool in pools and own.get(pool) == pools[pool].identity for pool in need.instance.pools):",
        "if any(pool in pools and own.get(pool) == pools[pool].identity for pool in need.instance.pools):",
    ),
    Mutant(
        "the newest look at a volume dates them all",
        GUEST,
        "max(seen[volume.source].age_s for volume in wanted)",
        "min(seen[volume.source].age_s for volume in wanted)",
    ),
    Mutant(
        "the way back is tried from the source",
        GUEST,
        "_reach(candidate.surveyed, candidate.host.name, need.origin.host.name, wanted)",
        "_reach(need.origin.surveyed, candidate.host.name, need.origin.host.name, wanted)",
    ),
    Mutant(
        "clocks whose difference is in doubt pass",
        GUEST,
        "if skew - doubt <= SKEW_S < skew + doubt:",
        "if False:",
    ),
    Mutant(
        "one member more than the group allows",
        NEIGHBOURS,
        "if len(there) < group.max_per_host:",
        "if len(there) <= group.max_per_host:",
    ),
    Mutant(
        "a member that leaves the host holds the group there",
        NEIGHBOURS,
        "if hosts and hosts != {host}",
        "if hosts and host not in hosts",
    ),
    Mutant(
        "one that leaves the host is company there",
        NEIGHBOURS,
        "any(hosts == {host} for hosts in placed.values())",
        "any(host in hosts for hosts in placed.values())",
    ),
    Mutant(
        "what is resized stays wherever it goes",
        NEIGHBOURS,
        "return need.in_place and candidate.host.name == need.source",
        "return need.in_place",
    ),
    Mutant(
        "soft affinity spreads",
        NEIGHBOURS,
        "return -members if group.policy == SOFT_AFFINITY else members",
        "return members",
    ),
    Mutant(
        "the claim forgets who is kept apart",
        NEIGHBOURS,
        "_REFUSALS = (group_refusal, same_host_refusal, different_host_refusal)",
        "_REFUSALS = (group_refusal, same_host_refusal)",
    ),
    Mutant(
        "a certificate holds in its last second",
        TLS,
        "if host.now >= found.not_after:",
        "if host.now > found.not_after:",
    ),
    Mutant(
        "trust in one direction is enough",
        TLS,
        "for one, other in ((source, destination), (destination, source)):",
        "for one, other in ((source, destination),):",
    ),
    Mutant(
        "every guest needs the memory that it had",
        COMPATIBILITY,
        "return max(spec.memory_mb, guest.memory_mb) if saved else spec.memory_mb",
        "return max(spec.memory_mb, guest.memory_mb)",
    ),
    Mutant(
        "storage of unknown identity is shared",
        COMPATIBILITY,
        "if not (identity := source_storage.get(disk.pool)) or identity != own_storage.get(disk.pool)",
        "if source_storage.get(disk.pool) != own_storage.get(disk.pool)",
    ),
    Mutant(
        "saved memory on storage of unknown identity is shared",
        COMPATIBILITY,
        "return bool(pool) and (not source_storage.get(pool) or source_storage.get(pool) != own_storage.get(pool))",
        "return bool(pool) and source_storage.get(pool) != own_storage.get(pool)",
    ),
    Mutant(
        "a volume that nobody looked at passes",
        COMPATIBILITY,
        "if isinstance(seen, str):",
        "if isinstance(seen, str) and volume.source in found:",
    ),
    Mutant(
        "a volume that became smaller passes",
        COMPATIBILITY,
        "elif seen < volume.size_gb * GIB:",
        "elif not seen:",
    ),
    Mutant(
        "a disk that is not there is in the way",
        COMPATIBILITY,
        "[fact.path for fact in found if fact.exists and fact.target in targets]",
        "[fact.path for fact in found if fact.target in targets]",
    ),
    Mutant(
        "a guest that an error paused moves live",
        COMPATIBILITY,
        "by_hand = (state, reason) == (DomainState.PAUSED, PAUSE_REASON_USER)",
        "by_hand = state is DomainState.PAUSED",
    ),
    Mutant(
        "a guest that a user paused does not move live",
        COMPATIBILITY,
        "(by_hand if live else state in _MOVES_COLD)",
        "(False if live else state in _MOVES_COLD)",
    ),
)
