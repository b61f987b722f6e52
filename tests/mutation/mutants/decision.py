"""Planted bugs in the way forward and the way back."""

from tests.mutation.mutant import Mutant

BACKWARD = "migrator/scheduler/decision/backward.py"
DECIDE = "migrator/scheduler/decision/decide.py"
FORWARD = "migrator/scheduler/decision/forward.py"

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
        "if phase.fencing and not views.heard(snapshot, host):",
        "if phase.fencing:",
    ),
    Mutant(
        "source up in fence: no turning back", FORWARD, "if phase.fencing and snapshot.hosts[host].up:", "if False:"
    ),
    Mutant(
        "no evidence stops a copy",
        FORWARD,
        "if phase.do is Ensure.COPIED and views.fenced(snapshot, operation.source):",
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
        FORWARD,
        "views.left_out(wiser, table.phases[after])",
        "views.left_out(snapshot, table.phases[after])",
    ),
    Mutant(
        "the copy of a config drive is the transfer's result",
        FORWARD,
        "if phase.do is Ensure.COPIED and not phase.lends else outcome,",
        "if phase.do is Ensure.COPIED else outcome,",
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
        "alarms in transfer ignored",
        FORWARD,
        ("    if found in ALARMS:\n        return alarm(snapshot, found)\n    if operation.cancel_requested:"),
        "    if operation.cancel_requested:",
    ),
    Mutant(
        "attempt NONE counts as ended",
        FORWARD,
        "attempt is not None and attempt.state is AttemptState.ENDED",
        "attempt is not None and attempt.state is not AttemptState.RUNNING",
    ),
    Mutant(
        "lost destination of a half",
        FORWARD,
        "whole = source is not None and still_here(source) and not half(source)",
        "whole = source is not None and still_here(source)",
    ),
    Mutant(
        "lost source without the destination's word",
        FORWARD,
        "if destination is not None and views.fenced(snapshot, operation.source):",
        "if views.fenced(snapshot, operation.source):",
    ),
    Mutant(
        "timeouts without an active job",
        FORWARD,
        "if source is not None and job_active(source) and (late :=",
        "if source is not None and (late :=",
    ),
    Mutant(
        "fenced and not holding",
        FORWARD,
        "if views.fenced(snapshot, host) and phase.holds:",
        "if views.fenced(snapshot, host):",
        equivalent="an operation that does not hold has no phase that is left by this",
    ),
    Mutant(
        "reverse keeps the epoch",
        BACKWARD,
        ("        forward=False,\n        raise_epoch=True,"),
        ("        forward=False,\n        raise_epoch=False,"),
    ),
    Mutant(
        "judged though not holding",
        BACKWARD,
        "judged = operation.holds and views.judged_by_verdict(table, phase)",
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
        "if phase.undo is Ensure.NOT_MIGRATING and not _stayed(snapshot, fact):",
        "if False:",
    ),
    Mutant(
        "nobody is back from the dead",
        BACKWARD,
        "if (back := _back_from_the_dead(snapshot, table)) is not None:",
        "if (back := None) is not None:",
    ),
    Mutant(
        "claim released though owed",
        BACKWARD,
        "if effect is Effect.RELEASE_DESTINATION and operation.holds and owes:",
        "if False:",
    ),
    Mutant(
        "silent host's undo owed without fencing",
        BACKWARD,
        "given_up and snapshot.operation.holds and (phase.owed or views.fenced(snapshot, host))",
        "given_up and snapshot.operation.holds",
    ),
    Mutant(
        "owed though only awaited",
        BACKWARD,
        "given_up = gone and not views.awaited(snapshot, host)",
        "given_up = gone",
    ),
    Mutant("everything is owed", BACKWARD, "owing=phase.name if phase.undo in _CLEANING else None", "owing=phase.name"),
    Mutant(
        "forward again in the same epoch",
        BACKWARD,
        ("        forward=True,\n        raise_epoch=True,\n        error={},\n        outcome"),
        ("        forward=True,\n        raise_epoch=False,\n        error={},\n        outcome"),
    ),
    Mutant(
        "incoming is still here",
        BACKWARD,
        "domain.state in (DomainState.ABSENT, DomainState.INCOMING):",
        "domain.state in (DomainState.ABSENT,):",
        equivalent="an arriving domain is on the destination, and never on a source",
    ),
    Mutant(
        "retry in the same epoch",
        BACKWARD,
        ("        forward=True,\n        raise_epoch=True,\n        effect=effect,"),
        ("        forward=True,\n        raise_epoch=False,\n        effect=effect,"),
    ),
    Mutant(
        "alarm on the way back ignored",
        BACKWARD,
        ("    if found in ALARMS:\n        return alarm(snapshot, found)\n    if isinstance"),
        "    if isinstance",
    ),
    Mutant(
        "a stopped source is here though nobody says so",
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
        "a stopped source proves what a fenced destination has",
        FORWARD,
        ("whole = source is not None and still_here(source) and not half(source) and not guest_end.stopped(source)"),
        "whole = source is not None and still_here(source) and not half(source)",
    ),
    Mutant(
        "a forced-down host that answers gives up its disks",
        FORWARD,
        "if phase.fencing and not views.keeps_disks(snapshot):",
        "if False:",
    ),
    Mutant(
        "a deletion ends beside a copy",
        FORWARD,
        "if phase.do is Effect.AWAIT_NO_COPY and snapshot.copies:",
        "if False:",
    ),
    Mutant("an unread description acts", DECIDE, "        if host.unreadable:", "        if False:"),
)
