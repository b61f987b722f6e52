"""The table: every kind of operation, phase by phase.

Read down, a kind is the way forward; read up, the way back. ``scheduler/decision/decide.py`` advances an operation
through it and knows nothing that is not written here. This package never acts, never waits and never asks.
``vocabulary.py`` says what each column means; the other files hold the rows, one for each family of kinds.

``point_of_no_return`` names the first phase from which there is only forward. What happens when a host is lost:
a phase that does not *lock the instance* leaves it free for the next operation, and only waits for a host to clean up.
An undo that is *deferrable* is put off while its host is silent or fenced: the instance is brought back first, and the
operation stays, without locking the instance, until the host has cleaned up.
"""

from collections.abc import Mapping

from migrator.operations.build_and_delete import BUILD, DELETE
from migrator.operations.cold_migration import MIGRATION, RESIZE, VERIFY
from migrator.operations.evacuation import EVACUATION
from migrator.operations.kept_disks import KEPT_DROP, KEPT_RESTORE
from migrator.operations.live_migration import LIVE_MIGRATION
from migrator.operations.power import PAUSE, REBOOT, RESUME, START, STOP, SUSPEND, UNPAUSE
from migrator.operations.steps import SETTLES
from migrator.operations.vocabulary import Actor, Deferral, Effect, End, Kind, Loss, Operation, Phase, Record

__all__ = [
    "OPERATIONS",
    "SETTLES",
    "VERIFY",
    "Actor",
    "Deferral",
    "Effect",
    "End",
    "Kind",
    "Loss",
    "Operation",
    "Phase",
    "Record",
    "table_of",
]

OPERATIONS: Mapping[Kind, Operation] = {
    op.kind: op
    for op in (
        *(BUILD, DELETE, START, STOP, REBOOT, SUSPEND, RESUME, PAUSE, UNPAUSE),
        *(LIVE_MIGRATION, MIGRATION, RESIZE, EVACUATION),
        *(KEPT_RESTORE, KEPT_DROP),
    )
}


def table_of(kind: str) -> Operation | None:
    """None for a kind of another release."""
    return OPERATIONS.get(Kind(kind)) if kind in set(Kind) else None
