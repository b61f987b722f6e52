"""Planted bugs in reading and judging facts, assignments, waits."""

from tests.mutation.mutant import Mutant

ASSIGN = "migrator/scheduler/decision/assignments.py"
READING = "migrator/scheduler/decision/views.py"
SATISFIED = "migrator/scheduler/decision/completion.py"
TIMEOUTS = "migrator/scheduler/decision/timeouts.py"
WAITING = "migrator/scheduler/decision/waiting.py"

MUTANTS = (
    Mutant(
        "not migrating while the attempt is open",
        SATISFIED,
        "return _when(fact.domain is not None and ended)",
        "return _when(fact.domain is not None)",
    ),
    Mutant(
        "paused is not running",
        SATISFIED,
        "return _when(_state(fact) in (*_STOPPED, DomainState.ABSENT))",
        "return _when(_state(fact) in (*_STOPPED, DomainState.ABSENT, DomainState.PAUSED))",
    ),
    Mutant(
        "offered with a problem",
        SATISFIED,
        "return _when(fact.problem is None and state is not None)",
        "return _when(state is not None)",
    ),
    Mutant(
        "absent with its disks",
        SATISFIED,
        ("return _when(_state(fact) is DomainState.ABSENT and not any(disk.exists for disk in fact.disks))"),
        "return _when(_state(fact) is DomainState.ABSENT)",
    ),
    Mutant(
        "copied with a problem",
        SATISFIED,
        "if copied.domain is not None and copied.problem is None and all(",
        "if copied.domain is not None and all(",
    ),
    Mutant(
        "powered with a problem", SATISFIED, "and (power is TargetPowerState.RUNNING or fact.problem is None))", ")"
    ),
    Mutant(
        "rebuilt with a problem",
        SATISFIED,
        ("Ensure.REBUILT: lambda fact: _when(all(disk.exists for disk in fact.disks) and fact.problem is None),"),
        "Ensure.REBUILT: lambda fact: _when(all(disk.exists for disk in fact.disks)),",
    ),
    Mutant(
        "prepared without looking",
        SATISFIED,
        "looked = bool(fact.disks) or (fact.domain is not None and fact.problem is None)",
        "looked = True",
    ),
    Mutant(
        "suspended with a problem",
        SATISFIED,
        ("Ensure.SUSPENDED: lambda fact: _when(_state(fact) is DomainState.SAVED and fact.problem is None),"),
        "Ensure.SUSPENDED: lambda fact: _when(_state(fact) is DomainState.SAVED),",
    ),
    Mutant(
        "facts of any epoch",
        READING,
        "fact.epoch != operation.epoch or fact.phase != operation.phase",
        "fact.phase != operation.phase",
    ),
    Mutant(
        "facts of any phase",
        READING,
        "fact.epoch != operation.epoch or fact.phase != operation.phase",
        "fact.epoch != operation.epoch",
    ),
    Mutant("facts of silent hosts", READING, "return fact if heard(snapshot, host) else None", "return fact"),
    Mutant(
        "shared as now, not as agreed", READING, ("    if agreed is not None:\n        return frozenset(agreed)\n"), ""
    ),
    Mutant(
        "post-copy is timed",
        TIMEOUTS,
        (
            "    if source.domain is not None and source.domain.reason in POST_COPY:  # there is no way back\n"
            "        return None\n"
        ),
        "",
    ),
    Mutant(
        "fence asks a host that is up to stop",
        ASSIGN,
        "if fencing and (snapshot.hosts[host].up or not views.keeps_disks(snapshot)):",
        "if fencing and not views.keeps_disks(snapshot):",
    ),
    Mutant("cleaning keeps nothing", ASSIGN, "        preserve_storage_ids=_kept(ask),\n", ""),
    Mutant(
        "a move's cleaning kills",
        ASSIGN,
        "destroy_running=loss is Loss.STRAY,",
        "destroy_running=loss is not Loss.NOTHING,",
    ),
    Mutant(
        "kept: not where it lives now",
        ASSIGN,
        "for name in {snapshot.operation.destination, snapshot.record_host} - {here}:",
        "for name in {snapshot.operation.destination} - {here}:",
    ),
    Mutant("alarms at once", WAITING, ("    if not _confirmed(snapshot):\n        return NOTHING\n"), ""),
    Mutant(
        "an alarm trusts an agent that only polls",
        WAITING,
        "    is_newest = age_s <= newest_s or view.report.protocol < REPEATING\n",
        "    is_newest = True\n",
    ),
    Mutant(
        "a forced-down host is asked to stop what only it has",
        ASSIGN,
        "if fencing and (snapshot.hosts[host].up or not views.keeps_disks(snapshot)):",
        "if fencing and snapshot.hosts[host].up:",
    ),
    Mutant(
        "an unreadable host is asked for all it did",
        ASSIGN,
        ("    if any(host.unreadable for host in snapshot.hosts.values()):\n        return {}\n"),
        "",
    ),
    Mutant(
        "an instance in dispute is acted on",
        ASSIGN,
        ("    if held_back(snapshot, phase):\n        return found\n"),
        "",
    ),
    Mutant(
        "shared disks that outlive nothing are kept",
        READING,
        ("return all(disk.pool in shared for disk in snapshot.instance.disks if not disk.config_drive)"),
        "return True",
    ),
    Mutant(
        "a transfer in dispute is cut off",
        "migrator/scheduler/decision/held_back.py",
        "if snapshot.disputed and not (phase.end is End.VERDICT and _begun(snapshot)):",
        "if snapshot.disputed:",
    ),
)
