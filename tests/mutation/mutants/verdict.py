"""Planted bugs in the verdict: where the instance runs, and what a broken post-copy says of it."""

from tests.mutation.mutant import Mutant

POSTCOPY_FAILURE = "migrator/scheduler/decision/postcopy_failure.py"
VERDICT = "migrator/scheduler/decision/verdict.py"

MUTANTS = (
    Mutant(
        "open attempt is no job",
        VERDICT,
        "return fact.attempt is not None and fact.attempt.state is AttemptState.RUNNING",
        "return False",
    ),
    Mutant(
        "paused source, silent destination: source",
        VERDICT,
        ("        # not sync that it forgot it, and its reason is gone.\n        return Verdict.WAIT"),
        (
            "        # not sync that it forgot it, and its reason is gone.\n"
            "        return Verdict.WAIT if at_source is not DomainState.PAUSED else Verdict.SOURCE"
        ),
    ),
    Mutant(
        "running source, silent destination: source",
        VERDICT,
        ("    if at_destination is None:\n        return Verdict.WAIT\n    if job_active(source):"),
        ("    if at_destination is None:\n        return Verdict.SOURCE\n    if job_active(source):"),
    ),
    Mutant(
        "absent source is settled",
        VERDICT,
        ("        # not sync that it forgot it, and its reason is gone.\n        return Verdict.WAIT"),
        (
            "        # not sync that it forgot it, and its reason is gone.\n"
            "        return Verdict.WAIT if at_source is not DomainState.ABSENT else Verdict.SOURCE"
        ),
    ),
    Mutant(
        "paused twice with a job",
        VERDICT,
        "if user_paused(source) and user_paused(destination) and not job_active(source):",
        "if user_paused(source) and user_paused(destination):",
    ),
    Mutant(
        "absent and something: source",
        VERDICT,
        "return Verdict.LOST if at_destination is DomainState.ABSENT else Verdict.SWITCHOVER",
        "return Verdict.LOST if at_destination is DomainState.ABSENT else Verdict.SOURCE",
    ),
    Mutant(
        "paused and incoming: source",
        VERDICT,
        "at_destination not in _NOT_STARTED - {DomainState.INCOMING}:",
        "at_destination not in _NOT_STARTED:",
    ),
    Mutant(
        "broken off only when failed",
        POSTCOPY_FAILURE,
        "return fact.domain.reason == POST_COPY_FAILED or not job_active(fact)",
        "return fact.domain.reason == POST_COPY_FAILED",
    ),
    Mutant(
        "torn and destination silent: as found",
        POSTCOPY_FAILURE,
        "return found if operation.cancel_requested else Verdict.POSTCOPY_LOST",
        "return found",
    ),
    Mutant(
        "torn, source untold: destination",
        POSTCOPY_FAILURE,
        "return Verdict.WAIT if untold else Verdict.DESTINATION",
        "return Verdict.DESTINATION",
    ),
    Mutant(
        "a source that a power cut brought back is the guest",
        VERDICT,
        ("    if here and not _switched(source):\n        return Verdict.DESTINATION\n"),
        "",
    ),
    Mutant(
        "an arrived guest counts only while it runs",
        VERDICT,
        "here = at_destination is DomainState.RUNNING or arrived(destination)",
        "here = at_destination is DomainState.RUNNING",
    ),
    Mutant(
        "a silent destination proves that the source has it",
        VERDICT,
        ("        # not sync that it forgot it, and its reason is gone.\n        return Verdict.WAIT"),
        ("        # not sync that it forgot it, and its reason is gone.\n        return Verdict.SOURCE"),
    ),
)
