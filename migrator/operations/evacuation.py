"""An instance is rebuilt elsewhere because its host is lost."""

from migrator.operations.vocabulary import DAY_S, HOUR_S, Actor, Deferral, Effect, Kind, Loss, Operation, Phase, Record
from migrator.protocol import Ensure

S, A, B = Actor.SCHEDULER, Actor.SOURCE, Actor.DESTINATION

EVACUATION = Operation(
    Kind.EVACUATION,
    (
        Phase(
            *("claim", S, Effect.CLAIM_DESTINATION, Effect.RELEASE_DESTINATION),
            why="no other instance gets the room",
            deadline_s=DAY_S,
            migration_status="accepted",
            task_state="rebuilding",
        ),
        Phase(
            *("check", B, Ensure.COMPATIBLE),
            why="disks that outlived their host are only where what that host wrote is found: the host itself looks",
            records=Record.SHARED_POOLS,
            harmless=True,
            reschedule_on_failure=True,
            migration_status="accepted",
            task_state="rebuilding",
        ),
        Phase(
            *("fence", A, Ensure.NOT_RUNNING),
            why="nothing is started before it is known that the lost host runs nothing: silence alone is no evidence",
            fencing_evidence_suffices=True,
            migration_status="pre-migrating",
            task_state="rebuilding",
        ),
        Phase(
            *("rebuild", B, Ensure.REBUILT, Ensure.ABSENT),
            why="disks on shared storage are kept, and the others made anew; a source that comes back is watched",
            peer_ensure=Ensure.OBSERVED,
            deadline_s=HOUR_S,
            undo_destroys=Loss.COPY,
            undo_deferrable=Deferral.SILENT,
            reschedule_on_failure=True,
            source_speaks_first=True,
            migration_status="pre-migrating",
            task_state="rebuild_block_device_mapping",
        ),
        Phase(
            *("start", B, Ensure.POWERED, Ensure.NOT_RUNNING),
            why="it is as it was; the lock of a shared image is the last guard against a second copy",
            undo_if_memory_shared=Ensure.SUSPENDED,
            peer_ensure=Ensure.OBSERVED,
            undo_destroys=Loss.GUEST,
            undo_deferrable=Deferral.FENCED,
            migration_status="pre-migrating",
            task_state="rebuild_spawning",
        ),
        Phase(
            *("commit", S, Effect.MOVE_RECORD),
            why="it runs elsewhere: from here on the lost host's copy is the stray one",
            observed_on=B,
            migration_status="pre-migrating",
            task_state="rebuild_spawning",
        ),
        Phase(
            *("cleanup", A, Ensure.SET_ASIDE),
            why="its local disks may be all that is left of what the guest wrote: an operator says when they go",
            records=Record.KEPT_DISKS,
            destroys=Loss.STRAY,
            deadline_s=DAY_S,
            locks_instance=False,
            migration_status="done",
        ),
        Phase(
            *("release", S, Effect.RELEASE_SOURCE),
            why="the lost host has room again once it has put aside what it had",
            locks_instance=False,
            migration_status="done",
        ),
    ),
    point_of_no_return="commit",
    moves=True,
    action="evacuate",
)
