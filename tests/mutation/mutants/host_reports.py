"""Planted bugs in what a host may have, be given, and be removed with: its word against an operator's."""

from tests.mutation.mutant import Mutant

APPROVAL = "migrator/scheduler/hosts/approval.py"
CAPACITY = "migrator/capacity.py"
CLAIMS = "migrator/db/claims.py"
ENTITLEMENTS = "migrator/scheduler/state/entitlements.py"
HOST_BOOTS = "migrator/scheduler/requests/host_boots.py"
HOST_REMOVAL = "migrator/scheduler/hosts/removal.py"
HOSTS = "migrator/db/hosts.py"
MACHINES = "migrator/db/machines.py"
REGISTRATIONS = "migrator/db/registrations.py"
REGISTRATION = "migrator/scheduler/hosts/registration.py"
REMOVAL_ROWS = "migrator/db/host_removal.py"

MUTANTS = (
    Mutant(
        "other domains' memory is handed out again by the ratio",
        CAPACITY,
        "(whole.memory_mb - report.reserved_host_memory_mb) * report.ram_allocation_ratio - report.foreign_memory_mb,",
        "(whole.memory_mb - report.reserved_host_memory_mb - report.foreign_memory_mb) * report.ram_allocation_ratio,",
    ),
    Mutant(
        "the host's own memory is given to instances",
        CAPACITY,
        "(whole.memory_mb - report.reserved_host_memory_mb) * report.ram_allocation_ratio",
        "whole.memory_mb * report.ram_allocation_ratio",
    ),
    Mutant(
        "the room of kept disks is given to instances",
        CAPACITY,
        "        whole.disk_gb * report.disk_allocation_ratio - report.kept_disks_gb,",
        "        whole.disk_gb * report.disk_allocation_ratio,",
    ),
    Mutant(
        "a host's ratio multiplies what an operator allowed",
        CAPACITY,
        "    whole = total(report, {})\n",
        "    whole, limits = total(report, limits), {}\n",
    ),
    Mutant("a claim on a host without approval", CLAIMS, "            hosts.c.approved == true(),\n", ""),
    Mutant("the scheduler offers hosts without approval", HOSTS, "            hosts.c.approved == true(),\n", ""),
    Mutant(
        "an approval forgets what is claimed",
        REGISTRATIONS,
        '        "free_memory_mb": left.memory_mb - used[1],',
        '        "free_memory_mb": left.memory_mb,',
    ),
    Mutant(
        "a host that registers again approves itself",
        REGISTRATIONS,
        '    told["heard_since"] = host_rows.heard_since(dialect)\n',
        '    told["heard_since"] = host_rows.heard_since(dialect)\n    told["approved"] = hosts.c.id > 0\n',
    ),
    Mutant(
        "limits end with the next registration",
        REGISTRATIONS,
        "(row.allowed if row is not None else None) or {}",
        "{}",
    ),
    Mutant(
        "an older agent registers beside others",
        REGISTRATION,
        "if told.incarnation < known or twice:",
        "if twice:",
    ),
    Mutant(
        "a second start of one journal registers",
        REGISTRATION,
        "if told.incarnation < known or twice:",
        "if told.incarnation < known:",
    ),
    Mutant(
        "of two machines that ask at once both are the host",
        REGISTRATION,
        "if before is not None and before.machine != (told.machine or None):",
        "if False:",
    ),
    Mutant(
        "a credential that is no longer the host's registers it",
        REGISTRATION,
        "unknown = told.keys() - held",
        "unknown = set[str]()",
    ),
    Mutant(
        "a machine that is not the host registers it",
        REGISTRATION,
        "if host in known and known[host] != (one.machine or None):",
        "if False:",
    ),
    Mutant(
        "an approval passes to another machine",
        MACHINES,
        'values |= {} if approved else {"approved": False}',
        "del approved",
    ),
    Mutant("a host that cannot be read is approved", APPROVAL, "        if unreadable:", "        if False:"),
    Mutant(
        "any image is any host's",
        ENTITLEMENTS,
        "if not any(_names(spec, image_id) for spec in specs):",
        "if not specs:",
    ),
    Mutant(
        "a refusal tells which images there are",
        ENTITLEMENTS,
        "    specs = instances",
        "    image_cache.get(connection, image_id, deleted=True)\n    specs = instances",
    ),
    Mutant(
        "a deleted image is kept from those that need it",
        ENTITLEMENTS,
        "return images.get(connection, image_id, deleted=True)",
        "return images.get(connection, image_id)",
    ),
    Mutant(
        "a destination does not learn its volumes",
        ENTITLEMENTS,
        "volumes.of_host(connection, host, asked_of(connection, host))",
        "volumes.of_host(connection, host, ())",
    ),
    Mutant(
        "the first boot that is told is a reboot",
        HOSTS,
        "until = moment + within_s if row.boot is not None else None",
        "until = moment + within_s",
    ),
    Mutant(
        "an agent that tells no boot was rebooted",
        HOST_BOOTS,
        "return bool(boot) and hosts.booted(",
        "return hosts.booted(",
    ),
    Mutant(
        "a forced-down host starts its guests",
        HOST_BOOTS,
        "    if hosts.get(connection, host).forced_down:",
        "    if False:",
    ),
    Mutant(
        "a guest is started beside its copy elsewhere",
        HOST_BOOTS,
        "            refuse_second_copy(Kind.START, row, host_domains.live_elsewhere(connection, uuid, row.host))\n",
        "",
    ),
    Mutant(
        "one guest that is not started ends the others' start",
        HOST_BOOTS,
        "            continue\n",
        "            return\n",
    ),
    Mutant(
        "a host is removed with copies",
        HOST_REMOVAL,
        '    found += [f"a copy of {uuid} ({state})" for uuid, state in host_removal.copies_of(connection, host)]\n',
        "",
    ),
    Mutant(
        "a host is removed with kept disks",
        HOST_REMOVAL,
        '    found += [f"kept disks of {kept.disks.instance}" for kept in kept_disks.listed(connection, host)]\n',
        "",
    ),
    Mutant("what is outstanding keeps no host", HOST_REMOVAL, "        if left:\n", "        if len(left) > _NAMED:\n"),
    Mutant(
        "a removal does not wait for a claim",
        HOST_REMOVAL,
        "        if not hosts.lock(connection, [host]):  # from here on nothing is claimed there\n",
        "        if host not in {row.name for row in hosts.by_names(connection, [host])}:\n",
    ),
    Mutant(
        "a mere claim keeps a host",
        REMOVAL_ROWS,
        "copies.c.host == host, copies.c.believed == true())",
        "copies.c.host == host)",
    ),
    Mutant("an alarm about a guest keeps no host", REMOVAL_ROWS, "    AlarmKind.NO_RECORD,\n", ""),
    Mutant(
        "a removed host's agent comes back",
        REMOVAL_ROWS,
        "for table in (agent_credentials, join_tokens, surveys, guest_cpus, copies):",
        "for table in (surveys, guest_cpus, copies):",
    ),
    Mutant(
        "an operation to a host does not keep it",
        MACHINES,
        "operations.c.active == true(), or_(operations.c.source == host, operations.c.destination == host)\n",
        "operations.c.active == true(), operations.c.source == host\n",
    ),
)
