"""Planted bugs in what ends the transfer of a running guest."""

from tests.mutation.mutant import Mutant

TRANSFER = "migrator/scheduler/decision/transfer_end.py"

MUTANTS = (
    Mutant(
        "alarms in transfer ignored",
        TRANSFER,
        ("    if found in ALARMS:\n        return alarm(snapshot, found)\n    if operation.cancel_requested:"),
        "    if operation.cancel_requested:",
    ),
    Mutant(
        "attempt NONE counts as ended",
        TRANSFER,
        "attempt is not None and attempt.state is AttemptState.ENDED",
        "attempt is not None and attempt.state is not AttemptState.RUNNING",
    ),
    Mutant(
        "lost destination of a half",
        TRANSFER,
        "\n        and not postcopy_half(source)\n        and not guest_end.stopped(source)",
        "\n        and not guest_end.stopped(source)",
    ),
    Mutant(
        "lost source without the destination's word",
        TRANSFER,
        "if destination is not None and views.fenced(snapshot, operation.source):",
        "if views.fenced(snapshot, operation.source):",
    ),
    Mutant(
        "timeouts without an active job",
        TRANSFER,
        "if source is not None and job_active(source) and (late :=",
        "if source is not None and (late :=",
    ),
    Mutant(
        "a stopped source proves what a fenced destination has",
        TRANSFER,
        " and not postcopy_half(source)\n        and not guest_end.stopped(source)",
        " and not postcopy_half(source)",
    ),
)
