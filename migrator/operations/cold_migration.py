"""An instance is stopped, moved, and started: migration, and resize, whose destination has another flavor."""

from migrator.operations.vocabulary import DAY_S, Actor, Deferral, Effect, End, Kind, Loss, Operation, Phase, Record
from migrator.protocol import Ensure

VERIFY = "verify"  # the phase in which a cold move waits for an operator's word

S, A, B = Actor.SCHEDULER, Actor.SOURCE, Actor.DESTINATION

_CHOICE = (
    Phase(
        *("inspect", A, Ensure.DESCRIBED),
        why="what the instance has, and whether it runs, is how it will be wanted at the other end",
        records=Record.GUEST_AND_POWER,
        harmless=True,
        migration_status="pre-migrating",
        task_state="resize_prep",
    ),
    Phase(
        *("claim", S, Effect.CLAIM_DESTINATION, Effect.RELEASE_DESTINATION),
        why="no other instance gets the room that this one will need",
        deadline_s=DAY_S,
        migration_status="pre-migrating",
        task_state="resize_prep",
    ),
    Phase(
        *("check", B, Ensure.COMPATIBLE),
        why="the host itself compares before the guest is stopped; and it tells which pools are shared",
        records=Record.SHARED_POOLS,
        harmless=True,
        reschedule_on_failure=True,
        skipped_on_same_host=True,
        migration_status="pre-migrating",
        task_state="resize_prep",
    ),
)

_MOVE = (
    Phase(
        *("depart", S, Effect.NONE, Effect.RECORD_RETURNED),
        why="from here on the way back ends with a record of what the source has",
        observed_on=A,
        migration_status="migrating",
        task_state="resize_migrating",
    ),
    Phase(
        *("stop", A, Ensure.SHUT_OFF, Ensure.POWERED),
        why="a disk that is written to cannot be copied whole",
        undo_left_to_delete=True,
        migration_status="migrating",
        task_state="resize_migrating",
    ),
    Phase(
        *("offer", A, Ensure.OFFERED, Ensure.WITHDRAWN),
        why="the destination fetches the disks, so the source has to let it, and no other host, read them",
        records=Record.LENT_IMAGES,
        undo_deferrable=Deferral.FENCED,
        undo_left_to_delete=True,
        skipped_on_same_host=True,
        migration_status="migrating",
        task_state="resize_migrating",
    ),
    Phase(
        *("copy", B, Ensure.COPIED, Ensure.ABSENT),
        why="both ends have the same checksums before anything runs from the copy",
        peer_ensure=Ensure.OFFERED,
        ended_by=End.CHECKSUMS,
        records=Record.COPY,
        deadline_s=DAY_S,
        undo_destroys=Loss.COPY,
        undo_deferrable=Deferral.SILENT,
        skipped_on_same_host=True,
        undo_proof="keep",
        migration_status="migrating",
        task_state="resize_migrating",
    ),
    Phase(
        *("start", B, Ensure.POWERED, Ensure.NOT_RUNNING),
        why="it is as it was found, and what it writes from now on is the destination's",
        undo_if_memory_shared=Ensure.SUSPENDED,
        undo_destroys=Loss.GUEST,
        undo_deferrable=Deferral.FENCED,
        undo_proof="keep",
        migration_status="post-migrating",
        task_state="resize_finish",
    ),
    Phase(
        *("keep", A, Effect.NONE, Ensure.DISKS_WHOLE),
        why="on the way back nothing at the destination is stopped or deleted before the source has shown its disks",
        peer_ensure=Ensure.OBSERVED,
        undo_ended_by=End.PROOF,
        skipped_on_same_host=True,
        deadline_s=DAY_S,
        migration_status="post-migrating",
        task_state="resize_finish",
    ),
    Phase(
        *("record", S, Effect.RECORD_RESIZED),
        why="the record names the destination and the new flavor once the instance is there as it was wanted",
        observed_on=B,
        migration_status="post-migrating",
        task_state="resize_finish",
    ),
)

_CONFIRMATION = (
    Phase(
        *(VERIFY, Actor.OPERATOR, Effect.AWAIT_CONFIRMATION),
        why="who uses the instance says whether it is well, while both copies are there",
        ended_by=End.OPERATOR,
        deadline_s=0.0,
        migration_status="finished",
    ),
    Phase(
        *("attest", B, Ensure.DISKS_WHOLE),
        why="the source's copy is given up only after the destination has shown, freshly, that it has the disks",
        ended_by=End.PROOF,
        skipped_on_same_host=True,
        deadline_s=DAY_S,
        migration_status="confirming",
    ),
    Phase(
        *("confirm", S, Effect.RECORD_CONFIRMED),
        why="the instance is the destination's, and free for the next operation",
        migration_status="confirming",
    ),
    Phase(
        *("prove", B, Ensure.DISKS_WHOLE),
        why="the destination shows them once more, and anew whenever the source could be asked only later",
        ended_by=End.PROOF,
        deadline_s=DAY_S,
        locks_instance=False,
        skipped_on_same_host=True,
        skipped_when_shared=True,
        migration_status="confirming",
    ),
    Phase(
        *("cleanup", A, Ensure.ABSENT),
        why="a copy that stays could be started beside the instance",
        destroys=Loss.COPY,
        deadline_s=DAY_S,
        locks_instance=False,
        skipped_on_same_host=True,
        proof="prove",
        migration_status="confirming",
    ),
    Phase(
        *("release", S, Effect.RELEASE_SOURCE),
        why="the room is free once nothing is left in it",
        locks_instance=False,
        migration_status="confirming",
    ),
)


def _cold(kind: Kind, action: str) -> Operation:
    """Migration and resize share one path: the destination has another flavor, or the same."""
    return Operation(
        kind,
        (*_CHOICE, *_MOVE, *_CONFIRMATION),
        point_of_no_return="confirm",
        moves=True,
        action=action,
        completed="confirmed",
        reverting="resize_reverting",
        copied_by="copy",
        recorded_by="record",
        stopped_by="stop",
        started_by="start",
        stays_from="start",
    )


MIGRATION = _cold(Kind.MIGRATION, "migrate")
RESIZE = _cold(Kind.RESIZE, "resize")
