"""What is done about a guest that failed."""

import pytest

from migrator.scheduler.fleet.plan.guest_failure import FailureAnswer, answer
from migrator.scheduler.fleet.plan.ha_policy import HaPolicy

START, WAIT, GIVE_UP, NOTHING = (
    FailureAnswer.START,
    FailureAnswer.WAIT,
    FailureAnswer.GIVE_UP,
    FailureAnswer.NOTHING,
)


@pytest.mark.parametrize(
    ("policy", "vm_state", "failures", "age_s", "up", "wanted"),
    [
        (HaPolicy.RESTART, "stopped", 1, 0.0, True, START),
        (HaPolicy.EVACUATE, "stopped", 1, 0.0, True, START),
        (HaPolicy.OFF, "stopped", 1, 0.0, True, NOTHING),
        (HaPolicy.RESTART, "active", 1, 0.0, True, NOTHING),
        (HaPolicy.RESTART, "stopped", 1, 0.0, False, WAIT),
        (HaPolicy.RESTART, "stopped", 2, 9.0, True, WAIT),
        (HaPolicy.RESTART, "stopped", 2, 10.0, True, START),
        (HaPolicy.RESTART, "stopped", 3, 19.0, True, WAIT),
        (HaPolicy.RESTART, "stopped", 3, 20.0, True, START),
        (HaPolicy.RESTART, "stopped", 4, 999.0, True, GIVE_UP),
        (HaPolicy.OFF, "stopped", 4, 999.0, True, NOTHING),
    ],
)
def test_the_answer_to_a_failure(
    policy: HaPolicy, vm_state: str, failures: int, age_s: float, up: bool, wanted: FailureAnswer
) -> None:
    assert answer(policy, vm_state, failures, age_s, up=up, attempts=3, backoff_s=10.0) is wanted
