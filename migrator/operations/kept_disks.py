"""What is done with disks that an evacuation has put aside."""

from migrator.operations.vocabulary import Actor, Effect, Kind, Operation, Phase
from migrator.protocol import Ensure

S, A = Actor.SCHEDULER, Actor.SOURCE

KEPT_RESTORE = Operation(
    Kind.KEPT_RESTORE,
    (
        Phase(
            *("swap", A, Ensure.KEPT_RESTORED, Ensure.KEPT_UNRESTORED),
            why="the disks change places with those that the stopped instance has, so that neither is lost",
            task_state="rebuilding",
        ),
        Phase(
            *("commit", S, Effect.RECORD_POWER),
            why="the record says what was seen",
            observed_on=A,
            task_state="rebuilding",
        ),
    ),
    point_of_no_return="commit",
    action="restore_kept_disks",
    recorded_on_failure=Effect.RECORD_POWER,
)

KEPT_DROP = Operation(
    Kind.KEPT_DROP,
    (
        Phase(
            *("drop", A, Ensure.KEPT_DROPPED),
            why="what is dropped is none of the instance's disks: it is not locked, and may be deleted long since",
            locks_instance=False,
        ),
    ),
    point_of_no_return=None,
    action="drop_kept_disks",
)
