"""What is done to an instance where it is: its guest starts, stops, sleeps and wakes.

None is undone by a host. Where a host refuses, the operation ends, and the record says what was last seen.
"""

from migrator.operations.vocabulary import Actor, Effect, Kind, Operation, Phase
from migrator.protocol import Ensure

S, A = Actor.SCHEDULER, Actor.SOURCE
_RECORDED = "the record says what was seen, and not what was asked for"


def _power(
    kind: Kind, phase: str, ensure: Ensure, why: str, task_state: str, *, trusts_record: bool = False
) -> Operation:
    """One step of the host, and its record."""
    return Operation(
        kind,
        (
            Phase(phase, A, ensure, why=why, task_state=task_state),
            Phase("commit", S, Effect.RECORD_POWER, why=_RECORDED, observed_on=A, task_state=task_state),
        ),
        point_of_no_return=None,
        action=kind.value,
        recorded_on_failure=Effect.RECORD_POWER,
        trusts_record=trusts_record,
    )


START = _power(
    Kind.START, "start", Ensure.RUNNING, "its guest is to run where its disks are", "powering-on", trusts_record=True
)
STOP = _power(Kind.STOP, "stop", Ensure.SHUT_OFF, "its guest gets the time to shut itself down", "powering-off")
SUSPEND = _power(
    Kind.SUSPEND, "suspend", Ensure.SUSPENDED, "its memory is saved to a file, and its room kept", "suspending"
)
RESUME = _power(
    Kind.RESUME,
    "resume",
    Ensure.POWERED,
    "it goes on from its saved memory, which is used up",
    "resuming",
    trusts_record=True,
)
PAUSE = _power(Kind.PAUSE, "pause", Ensure.PAUSED, "it executes nothing, and stays in memory", "pausing")
UNPAUSE = _power(
    Kind.UNPAUSE,
    "unpause",
    Ensure.UNPAUSED,
    "it executes again, from where it was paused",
    "unpausing",
    trusts_record=True,
)

REBOOT = Operation(
    Kind.REBOOT,
    (
        Phase(
            *("stop", A, Ensure.SHUT_OFF),
            why="a guest that was seen to stop starts anew, and no other way shows that it did",
            task_state="rebooting",
            task_state_hard="rebooting_hard",
        ),
        Phase(
            *("start", A, Ensure.RUNNING),
            why="whatever stopped it, it is to run",
            task_state="reboot_started",
            task_state_hard="reboot_started_hard",
        ),
        Phase(
            *("commit", S, Effect.RECORD_POWER),
            why=_RECORDED,
            observed_on=A,
            task_state="reboot_started",
            task_state_hard="reboot_started_hard",
        ),
    ),
    point_of_no_return=None,
    action="reboot",
    recorded_on_failure=Effect.RECORD_POWER,
    trusts_record=True,
)
