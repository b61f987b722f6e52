"""Planted bugs in records against copies, machines, stamps."""

from tests.mutation.mutant import Mutant

AGENTS = "migrator/scheduler/agents.py"
AUDITING = "migrator/scheduler/hosts/audit.py"
RECONCILIATION = "migrator/scheduler/hosts/reconciliation.py"
RULES = "migrator/scheduler/hosts/reconciliation_rules.py"
MACHINES = "migrator/scheduler/hosts/machines.py"
NEWER_COPIES = "migrator/scheduler/state/newer_copies.py"
STAMPS = "migrator/scheduler/state/stamps.py"
UNSEEN = "migrator/scheduler/state/unseen_guests.py"

MUTANTS = (
    Mutant(
        "a second machine is let in",
        MACHINES,
        ("    if row.silent_s <= down_after:\n        return NameClaim.TAKEN\n"),
        "",
    ),
    Mutant(
        "a silent machine is replaced whatever it holds",
        MACHINES,
        "return NameClaim.REPLACES if approved or empty else NameClaim.HELD",
        "return NameClaim.REPLACES",
    ),
    Mutant(
        "a machine is replaced after an outage of the servers",
        MACHINES,
        "if row.listening_s <= down_after or not machine:",
        "if not machine:",
    ),
    Mutant(
        "approval is for any machine",
        MACHINES,
        'approved = claimant.get("machine") == machine and claimant.get("approved")',
        'approved = claimant.get("approved")',
    ),
    Mutant(
        "any seal is a server's", STAMPS, "return host if hmac.compare_digest(digest, right) else None", "return host"
    ),
    Mutant(
        "a seal is for any instance",
        STAMPS,
        ('signed = orjson.dumps(["migrator stamp", _VERSION, instance_uuid, operation_uuid, epoch, host])'),
        'signed = orjson.dumps(["migrator stamp", _VERSION, operation_uuid, epoch, host])',
    ),
    Mutant(
        "a seal is for any epoch",
        STAMPS,
        ('signed = orjson.dumps(["migrator stamp", _VERSION, instance_uuid, operation_uuid, epoch, host])'),
        'signed = orjson.dumps(["migrator stamp", _VERSION, instance_uuid, operation_uuid, host])',
    ),
    Mutant(
        "a seal is for any host",
        STAMPS,
        ('signed = orjson.dumps(["migrator stamp", _VERSION, instance_uuid, operation_uuid, epoch, host])'),
        ('signed = orjson.dumps(["migrator stamp", _VERSION, instance_uuid, operation_uuid, epoch])'),
    ),
    Mutant("every claim of a host is believed", AUDITING, "issued.get(uuid) is not None or uuid in believed,", "True,"),
    Mutant(
        "no claim of a host is believed without a seal",
        AUDITING,
        "issued.get(uuid) is not None or uuid in believed,",
        "issued.get(uuid) is not None,",
    ),
    Mutant(
        "a newer stamp is overlooked",
        AUDITING,
        "not in accepted and is_unknown(copy, known)",
        "not in accepted and False",
    ),
    Mutant(
        "an unknown operation's stamp is old",
        NEWER_COPIES,
        "if operation is None or (copy.stamp_epoch or 0) > operation.epoch:\n        return True",
        "if operation is None or (copy.stamp_epoch or 0) > operation.epoch:\n        return operation is not None",
    ),
    Mutant(
        "a stamp of the same epoch is the record's own",
        NEWER_COPIES,
        "copy.stamp_epoch == operation.epoch and copy.stamp_host not in (operation.source, operation.destination)",
        "False",
    ),
    Mutant(
        "a vanished domain is overlooked",
        AUDITING,
        "        if copy is None and record.launched_at is not None:",
        "        if False:",
    ),
    Mutant("a guest without a record is overlooked", AUDITING, "        if live and not owed:", "        if False:"),
    Mutant("a copy elsewhere is overlooked", AUDITING, "if copy is not None and live and not explained:", "if False:"),
    Mutant(
        "a copy that a host still has to clean up is an alarm",
        AUDITING,
        "        if live and not owed:",
        "        if live:",
    ),
    Mutant(
        "a guest's own stop is not recorded",
        AUDITING,
        ('    if wanted is None or wanted["power_state"] == record.power_state:\n        return False\n'),
        "    return False\n",
    ),
    Mutant(
        "the record of a copy in doubt is changed",
        AUDITING,
        (
            "if any(operation.locks_instance for operation in subject.operations) or subject.newer or "
            "record.launched_at is None:"
        ),
        ("if any(operation.locks_instance for operation in subject.operations) or record.launched_at is None:"),
    ),
    Mutant(
        "a host that was heard before the backup counts as heard",
        "migrator/scheduler/state/host_views.py",
        "row.listed_s is not None and row.listed_s <= row.listening_s",
        "row.listed_s is not None",
    ),
    Mutant(
        "a guest on a volume is sought where its disks are, alone",
        UNSEEN,
        "if spec is None or spec.volumes:",
        "if spec is None:",
    ),
    Mutant(
        "a fenced host may still run what is not seen",
        UNSEEN,
        "for view in views if not view.fenced}",
        "for view in views}",
    ),
    Mutant(
        "what was asked for already starts before the guest is sought",
        AUDITING,
        "return (quiet or bool(holding))",
        "return quiet",
    ),
    Mutant(
        "what is asked for ends the alarm of a guest that may run unseen",
        AUDITING,
        "if one.uuid in unseen or _is_gone(one)}",
        "if _is_gone(one)}",
    ),
    Mutant(
        "a host that is heard has listed its copies",
        AGENTS,
        "poll.copies, settings) and poll.complete",
        "poll.copies, settings)",
    ),
    Mutant(
        "a word is taken beside a step that hangs",
        RULES,
        "    _refuse_unfinished(sides, word)\n",
        "",
    ),
    Mutant(
        "an older list replaces a newer one",
        AGENTS,
        "if host not in known or not polls.PollTold(poll.incarnation, poll.number).is_newer(known[host]):",
        "if host not in known:",
    ),
    Mutant(
        "a stopped copy is believed beside a host that may run another",
        RULES,
        "    _refuse_unseen(sides, word)\n",
        "",
    ),
    Mutant(
        "a poll of before the dispute says that a host is at rest",
        RECONCILIATION,
        "and (uuid in row.working or ((row.working_at or 0.0) + row.behind_s < since and row.name not in raisers))",
        "and uuid in row.working",
    ),
)
