"""An instance comes into being, and ends."""

from migrator.operations.vocabulary import DAY_S, HOUR_S, Actor, Deferral, Effect, End, Kind, Loss, Operation, Phase
from migrator.protocol import Ensure

S, A, B = Actor.SCHEDULER, Actor.SOURCE, Actor.DESTINATION

BUILD = Operation(
    Kind.BUILD,
    (
        Phase(
            *("claim", S, Effect.CLAIM_DESTINATION, Effect.RELEASE_DESTINATION),
            why="no other instance gets the room that this one was given",
            deadline_s=DAY_S,
            task_state="scheduling",
        ),
        Phase(
            *("disks", B, Ensure.DISKS_PRESENT, Ensure.ABSENT),
            why="an image that cannot be had fails before anything runs, and another host may have it",
            deadline_s=HOUR_S,
            undo_destroys=Loss.ALL,
            undo_deferrable=Deferral.FENCED,
            reschedule_on_failure=True,
            task_state="block_device_mapping",
        ),
        Phase(
            *("start", B, Ensure.RUNNING, Ensure.ABSENT),
            why="only a guest that runs shows that the host can run it",
            undo_destroys=Loss.ALL,
            undo_deferrable=Deferral.FENCED,
            reschedule_on_failure=True,
            task_state="spawning",
        ),
        Phase(
            *("commit", S, Effect.RECORD_BUILT),
            why="the record names the host only once the guest runs there",
            task_state="spawning",
        ),
    ),
    point_of_no_return="commit",
    action="create",
)

DELETE = Operation(
    Kind.DELETE,
    (
        Phase(
            *("cleanup", A, Ensure.ABSENT),
            why="the record goes last: while it is there, what the host still has is known to be the instance's",
            destroys=Loss.ALL,
            task_state="deleting",
        ),
        Phase(
            *("elsewhere", S, Effect.AWAIT_NO_COPY),
            why="a copy that is left on another host could run after the record of the instance is gone",
            ended_by=End.NO_COPY,
            task_state="deleting",
        ),
        Phase(
            *("release", S, Effect.RELEASE_SOURCE),
            why="the room is free once nothing is left in it",
            task_state="deleting",
        ),
        Phase(
            *("commit", S, Effect.RECORD_DELETED),
            why="nothing is left of it but its history",
            task_state="deleting",
        ),
    ),
    point_of_no_return="cleanup",
    action="delete",
    trusts_record=True,
)
