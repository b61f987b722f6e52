"""Whether an assignment may be acted on, by what this host remembers.

Owns what is refused (an operation or an epoch older than one that was served here: the server's database is older than
this host), what is written down before anything is done, and what is done although nothing can be written: stopping a
guest needs no journal and no free byte. Never acts itself.
"""

from migrator.compute.journal import Journal
from migrator.protocol import HARMLESS, STALE_EPOCH, SUPERSEDED, Assignment, Ensure, Problem

# They only look, or end something that runs.
WITHOUT_JOURNAL = frozenset({Ensure.OBSERVED, Ensure.SHUT_OFF, Ensure.NOT_RUNNING, Ensure.NOT_MIGRATING})

_OLDER = "the server's database is older than this host, perhaps restored from a backup, and nothing was touched"


def refusal(journal: Journal, assignment: Assignment) -> Problem | None:
    """Why the assignment is not acted on. It waits: the record may become right, and the host's memory does not."""
    newest, epoch = journal.newest(assignment.instance.uuid), journal.highest_epoch(assignment.operation_id)
    if assignment.serial and assignment.serial < newest:
        message = f"this host has served a newer operation of the instance than this {assignment.kind}: {_OLDER}"
        return Problem(code=SUPERSEDED, message=message, final=False)
    if assignment.epoch < epoch:
        message = f"this host knows epoch {epoch} of this operation, and was asked under {assignment.epoch}: {_OLDER}"
        return Problem(code=STALE_EPOCH, message=message, final=False)
    return None


def note(journal: Journal, assignment: Assignment) -> None:
    """Raises JournalFull: an epoch that could not be kept must not be acted on."""
    # A host that only answers questions has served nothing.
    serial = 0 if assignment.ensure in HARMLESS else assignment.serial
    journal.note_epoch(assignment.operation_id, assignment.epoch, assignment.instance.uuid, serial)
