"""What the servers do on their own about a guest that stopped by a failure. Pure."""

from enum import StrEnum

from migrator.scheduler.fleet.plan.ha_policy import HaPolicy
from migrator.scheduler.fleet.plan.step import pause


class FailureAnswer(StrEnum):
    WAIT = "wait"
    START = "start"
    GIVE_UP = "give-up"  # it fails again and again: a person has to look
    NOTHING = "nothing"  # by its policy, or because it was started, or is used otherwise


def answer(
    policy: HaPolicy, vm_state: str, failures: int, age_s: float, *, up: bool, attempts: int, backoff_s: float
) -> FailureAnswer:
    """``failures``: of runs and of starts, within a short time of each other, the last one ``age_s`` ago; ``up``: the
    host is; ``attempts``: starts, until a person has to look. The first start comes at once."""
    if policy is HaPolicy.OFF or vm_state != "stopped":
        return FailureAnswer.NOTHING
    if failures > attempts:
        return FailureAnswer.GIVE_UP
    early = failures > 1 and 0.0 <= age_s < pause(failures - 1, backoff_s)
    return FailureAnswer.WAIT if early or not up else FailureAnswer.START
