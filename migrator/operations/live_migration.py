"""A guest is moved while it runs."""

from migrator.operations.vocabulary import (
    DAY_S,
    HOUR_S,
    Actor,
    Deferral,
    Effect,
    End,
    Kind,
    Loss,
    Operation,
    Phase,
    Record,
)
from migrator.protocol import Ensure

S, A, B = Actor.SCHEDULER, Actor.SOURCE, Actor.DESTINATION

_CHOICE = (
    Phase(
        *("inspect", A, Ensure.MOVABLE),
        why="what the guest really has decides where it fits, and what cannot move is refused before anything is done",
        records=Record.GUEST,
        harmless=True,
        migration_status="accepted",
        task_state="migrating",
    ),
    Phase(
        *("claim", S, Effect.CLAIM_DESTINATION, Effect.RELEASE_DESTINATION),
        why="no other instance gets the room; from here on it is the operation's until it releases it",
        deadline_s=DAY_S,
        migration_status="queued",
        task_state="migrating",
    ),
    Phase(
        *("check", B, Ensure.COMPATIBLE),
        why="the host itself compares, for what the scheduler knows may be old; and it tells which pools are shared",
        records=Record.SHARED_POOLS,
        harmless=True,
        reschedule_on_failure=True,
        migration_status="preparing",
        task_state="migrating",
    ),
    Phase(
        *("measure", A, Ensure.MEASURED),
        why="how fast the guest writes its memory decides by which means it can be moved at all",
        records=Record.STRATEGY,
        harmless=True,
        auto_strategy_only=True,
        migration_status="preparing",
        task_state="migrating",
    ),
)

_PREPARATION = (
    Phase(
        *("lend", A, Ensure.LENT, Ensure.WITHDRAWN),
        why="a config drive is a disk that is never written to: it is copied as it is, where its pool is not shared",
        records=Record.LENT_FILES,
        undo_deferrable=Deferral.FENCED,
        undo_left_to_delete=True,
        lends=True,
        migration_status="preparing",
        task_state="migrating",
    ),
    Phase(
        *("fetch", B, Ensure.COPIED, Ensure.ABSENT),
        why="the guest must find there what it has here, and the transfer copies only disks that are written to",
        peer_ensure=Ensure.LENT,
        ended_by=End.CHECKSUMS,
        deadline_s=DAY_S,
        undo_destroys=Loss.COPY,
        undo_deferrable=Deferral.FENCED,
        reschedule_on_failure=True,
        lends=True,
        migration_status="preparing",
        task_state="migrating",
    ),
    Phase(
        *("prepare", B, Ensure.PREPARED, Ensure.ABSENT),
        why="the disks into which the transfer copies are there before it begins",
        peer_ensure=Ensure.OBSERVED,
        records=Record.DESTINATION_DISKS,
        undo_destroys=Loss.COPY,
        undo_deferrable=Deferral.FENCED,
        reschedule_on_failure=True,
        migration_status="preparing",
        task_state="migrating",
    ),
)

LIVE_MIGRATION = Operation(
    Kind.LIVE_MIGRATION,
    (
        *_CHOICE,
        *_PREPARATION,
        Phase(
            *("transfer", A, Ensure.MIGRATING, Ensure.NOT_MIGRATING),
            why="the hypervisors own it, and neither tells alone where the guest runs; it is undone once no job is "
            "active, and the guest is known to have stayed",
            peer_ensure=Ensure.OBSERVED,
            ended_by=End.VERDICT,
            undo_ended_by=End.VERDICT,
            deadline_s=DAY_S,
            migration_status="running",
            task_state="migrating",
        ),
        Phase(
            *("commit", S, Effect.MOVE_RECORD),
            why="the guest runs there: from here on there is only forward",
            observed_on=B,
            migration_status="post-migrating",
            task_state="migrating",
        ),
        Phase(
            *("attest", B, Ensure.DISKS_WHOLE),
            why="the source's disks are given up only after the destination has shown, freshly, that it has them",
            peer_ensure=Ensure.OBSERVED,
            ended_by=End.PROOF,
            skipped_when_shared=True,
            deadline_s=DAY_S,
            migration_status="post-migrating",
            task_state="migrating",
        ),
        Phase(
            *("cleanup", A, Ensure.ABSENT),
            why="a domain that stays could be started beside the one that runs",
            peer_ensure=Ensure.OBSERVED,
            destroys=Loss.COPY,
            proof="attest",
            deadline_s=HOUR_S,
            migration_status="post-migrating",
            task_state="migrating",
        ),
        Phase(
            *("release", S, Effect.RELEASE_SOURCE),
            why="the room is free once nothing is left in it",
            migration_status="post-migrating",
            task_state="migrating",
        ),
    ),
    point_of_no_return="commit",
    moves=True,
    action="live-migration",
)
