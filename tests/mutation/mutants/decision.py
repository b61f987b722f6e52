"""Planted bugs in the way forward and the way back."""

from tests.mutation.mutant import Mutant

BACKWARD = "migrator/scheduler/decision/backward.py"
DECIDE = "migrator/scheduler/decision/decide.py"
FORWARD = "migrator/scheduler/decision/forward.py"
GUEST_END = "migrator/scheduler/decision/guest_end.py"
NEXT = "migrator/scheduler/decision/next_phase.py"
PREVIOUS = "migrator/scheduler/decision/previous_phase.py"
TURNING = "migrator/scheduler/decision/rollback_start.py"

MUTANTS = (
    Mutant(
        "cancel past the point of no return",
        FORWARD,
        "if operation.cancel_requested and table.reversible(phase.name):",
        "if operation.cancel_requested:",
    ),
    Mutant(
        "fence by evidence though heard",
        FORWARD,
        "if phase.fencing_evidence_suffices and not views.heard(snapshot, host):",
        "if phase.fencing_evidence_suffices:",
    ),
    Mutant(
        "source up in fence: no turning back",
        FORWARD,
        "if phase.fencing_evidence_suffices and snapshot.hosts[host].up:",
        "if False:",
    ),
    Mutant(
        "no evidence stops a copy",
        FORWARD,
        "if phase.end is End.CHECKSUMS and views.fenced(snapshot, operation.source):",
        "if False:",
    ),
    Mutant(
        "a source that cannot lend is waited for",
        FORWARD,
        "refused = refused or (phase.lends and judgement.code == UNKNOWN_ASSIGNMENT)",
        "refused = refused",
    ),
    Mutant(
        "what the destination found out is not used yet",
        NEXT,
        "if not views.left_out(wiser, phase)",
        "if not views.left_out(snapshot, phase)",
    ),
    Mutant(
        "the copy of a config drive is the transfer's result",
        NEXT,
        "if phase.records is Record.COPY else outcome,",
        "if phase.peer_ensure is not None else outcome,",
    ),
    Mutant("source is back: ignored", FORWARD, "    if _source_is_back(snapshot, table, phase):", "    if False:"),
    Mutant(
        "torn after arrival ignored", FORWARD, "    if torn_after_arrival(snapshot, table, phase):", "    if False:"
    ),
    Mutant(
        "source untold: not waited for",
        FORWARD,
        "if judgement.progress is Progress.DONE and _source_is_untold(snapshot, phase):",
        "if False:",
    ),
    Mutant(
        "failed past no return turns back",
        FORWARD,
        "if (refused or judgement.progress is Progress.FAILED) and table.reversible(phase.name):",
        "if refused or judgement.progress is Progress.FAILED:",
    ),
    Mutant(
        "awaited host given up",
        FORWARD,
        ("    if views.awaited(snapshot, host):\n        return wait(snapshot, silent)\n    if phase.proof"),
        "    if phase.proof",
    ),
    Mutant("fence although awaited", FORWARD, "if view is not None and view.awaited:", "if False:"),
    Mutant(
        "source is back though there runs", FORWARD, "return alive and there is not DomainState.RUNNING", "return alive"
    ),
    Mutant(
        "fenced and not holding",
        FORWARD,
        "if views.fenced(snapshot, host) and phase.locks_instance:",
        "if views.fenced(snapshot, host):",
        equivalent="an operation that does not hold has no phase that is left by this",
    ),
    Mutant(
        "reverse keeps the epoch",
        TURNING,
        ("        forward=False,\n        bump_epoch=True,"),
        ("        forward=False,\n        bump_epoch=False,"),
    ),
    Mutant(
        "judged though not holding",
        BACKWARD,
        "judged = operation.locks_instance and views.judged_by_verdict(table, phase)",
        "judged = views.judged_by_verdict(table, phase)",
    ),
    Mutant(
        "destination verdict: no forward again",
        BACKWARD,
        ("    if found is Verdict.DESTINATION:\n        return _forward_again(snapshot, table)\n"),
        "",
    ),
    Mutant(
        "not still here: up all the same",
        BACKWARD,
        "if phase.undo_end is End.VERDICT and not _stayed(snapshot, fact):",
        "if False:",
    ),
    Mutant(
        "no dead host comes back",
        BACKWARD,
        "if (back := _back_from_the_dead(snapshot, table)) is not None:",
        "if (back := None) is not None:",
    ),
    Mutant(
        "claim released though owed",
        BACKWARD,
        "if phase.claims_host and operation.locks_instance and owes:",
        "if False:",
    ),
    Mutant(
        "silent host's undo owed without fencing",
        BACKWARD,
        "given_up and snapshot.operation.locks_instance and (by_silence or views.fenced(snapshot, host))",
        "given_up and snapshot.operation.locks_instance",
    ),
    Mutant(
        "owed though only awaited",
        BACKWARD,
        "given_up = gone and not views.awaited(snapshot, host)",
        "given_up = gone",
    ),
    Mutant("everything is owed", BACKWARD, "owing=phase.name if _deferrable(phase) else None", "owing=phase.name"),
    Mutant(
        "forward again in the same epoch",
        BACKWARD,
        ("        forward=True,\n        bump_epoch=True,\n        error={},\n        outcome"),
        ("        forward=True,\n        bump_epoch=False,\n        error={},\n        outcome"),
    ),
    Mutant(
        "incoming is still here",
        GUEST_END,
        "domain.state in (DomainState.ABSENT, DomainState.INCOMING):",
        "domain.state in (DomainState.ABSENT,):",
        equivalent="an arriving domain is on the destination, and never on a source",
    ),
    Mutant(
        "retry in the same epoch",
        PREVIOUS,
        ("        forward=True,\n        bump_epoch=True,\n        effect=effect,"),
        ("        forward=True,\n        bump_epoch=False,\n        effect=effect,"),
    ),
    Mutant(
        "alarm on the way back ignored",
        BACKWARD,
        ("    if found in ALARMS:\n        return alarm(snapshot, found)\n    if isinstance"),
        "    if isinstance",
    ),
    Mutant(
        "a stopped source is here without a fact",
        BACKWARD,
        "return told or given_up or not guest_end.stopped(fact)",
        "return True",
    ),
    Mutant(
        "a cancelled move counts a silent destination as lost",
        BACKWARD,
        "given_up = snapshot.operation.cancel_requested and views.fenced(snapshot, destination)",
        "given_up = snapshot.operation.cancel_requested",
    ),
    Mutant(
        "a forced-down host that answers gives up its disks",
        FORWARD,
        "if phase.fencing_evidence_suffices and not views.keeps_disks(snapshot):",
        "if False:",
    ),
    Mutant(
        "a deletion ends beside a copy",
        FORWARD,
        "if phase.end is End.NO_COPY and snapshot.copies:",
        "if False:",
    ),
    Mutant("an unread description acts", DECIDE, "        if host.unreadable:", "        if False:"),
)
