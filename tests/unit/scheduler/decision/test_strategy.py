"""How long each way of sending a guest's memory takes, and which one is chosen."""

from typing import Any

import pytest

from migrator.scheduler.decision.strategy import (
    FORECASTS,
    WORTH,
    AllowedStrategies,
    Strategy,
    TransferEstimateInput,
    TransferProgress,
    allowed_ms,
    choose,
    needs_post_copy,
)

PRE, AUTO, POST = Strategy.PRE_COPY, Strategy.AUTO_CONVERGE, Strategy.POST_COPY
STEPS = ((0, 50), (60, 100), (120, 500))
ALL = AllowedStrategies(STEPS, auto_converge=True, post_copy=True)
GENTLY = AllowedStrategies(STEPS, auto_converge=True)
PLAIN = AllowedStrategies(STEPS)
RATES = (0, 0.1, 1, 2, 4, 6, 7.9, 8, 9, 12, 16, 40, 200)


def load(dirty: float, **changes: Any) -> TransferEstimateInput:
    return TransferEstimateInput(
        **({"memory_mib": 80.0, "disk_mib": 0.0, "dirty_mib_s": dirty, "bandwidth_mib_s": 8.0} | changes)
    )


def total(means: Strategy, dirty: float, permitted: AllowedStrategies = ALL, **changes: Any) -> float | None:
    return FORECASTS[means](load(dirty, **changes), permitted).total_s


def test_a_guest_at_rest_is_sent_once() -> None:
    assert [total(means, 0) for means in Strategy] == pytest.approx([10.05] * 3)


def test_rounds_shrink_by_the_ratio_of_the_rates() -> None:
    """10 s, then a quarter of it each: 2.5, 0.625, 0.156 s; the 0.039 s that are left may be the pause."""
    forecast = FORECASTS[PRE](load(2), PLAIN)
    assert forecast.total_s == pytest.approx(10 + 2.5 + 0.625 + 0.156 + 0.039 + 0.05, abs=0.01)
    assert forecast.downtime_ms == pytest.approx(39 + 50, abs=1)


@pytest.mark.parametrize("dirty", [8, 9, 40])
def test_it_never_ends_where_more_is_written_than_sent(dirty: float) -> None:
    assert total(PRE, dirty) is None


def test_unless_all_of_the_memory_fits_into_a_pause_that_will_be_allowed() -> None:
    """4 MiB take 0.5 s, which is allowed after two minutes."""
    ends = total(PRE, 40, memory_mib=4.0)
    assert ends is not None
    assert 120 < ends < 122


@pytest.mark.parametrize("means", list(Strategy))
def test_who_writes_faster_does_not_arrive_sooner(means: Strategy) -> None:
    if means is AUTO:  # slowed down at once by more, a faster one may
        return
    ends = [total(means, dirty) or float("inf") for dirty in RATES]
    assert ends == sorted(ends)


@pytest.mark.parametrize("means", list(Strategy))
def test_disks_go_first_at_the_same_rate(means: Strategy) -> None:
    with_disk = total(means, 1, disk_mib=80.0)
    assert with_disk is not None
    assert with_disk == pytest.approx((total(means, 1) or 0) + 10, abs=1.5)  # more is dirty after a longer pass


def test_a_slowed_guest_arrives_whatever_it_writes() -> None:
    ends = [total(AUTO, dirty) for dirty in RATES]
    assert None not in ends
    assert FORECASTS[AUTO](load(16), ALL).initial_percent == 75
    assert FORECASTS[AUTO](load(1), ALL).initial_percent == 20


@pytest.mark.parametrize(
    ("dirty", "permitted", "expected"),
    [
        (0.1, ALL, PRE),
        (0.1, PLAIN, PRE),
        (2, ALL, PRE),
        (4, ALL, POST),
        (4, GENTLY, PRE),
        (7, GENTLY, AUTO),
        (12, ALL, POST),
        (12, GENTLY, AUTO),
        (12, PLAIN, PRE),
    ],
)
def test_the_choice(dirty: float, permitted: AllowedStrategies, expected: Strategy) -> None:
    found = choose(load(dirty), permitted)
    assert found.forecast.strategy is expected
    assert f"the guest writes {dirty:.0f} MiB/s, 8 MiB/s get through, 80 MiB to send: pre-copy " in found.reason


@pytest.mark.parametrize("permitted", [ALL, GENTLY, PLAIN])
@pytest.mark.parametrize("dirty", RATES)
def test_the_choice_takes_hardly_longer_than_the_quickest_that_is_permitted(
    dirty: float, permitted: AllowedStrategies
) -> None:
    ends = [end for means in permitted.means if (end := total(means, dirty, permitted)) is not None]
    chosen = choose(load(dirty), permitted).forecast
    assert chosen.strategy in permitted.means
    assert (chosen.total_s is None) == (not ends)
    assert not ends or (chosen.total_s or 0) <= WORTH * min(ends)


def test_what_takes_too_long_is_as_bad_as_what_never_ends() -> None:
    slow = AllowedStrategies(STEPS, auto_converge=True, deadline_s=20)
    assert choose(load(7), slow).forecast.strategy is AUTO
    found = choose(load(7), AllowedStrategies(STEPS, deadline_s=20))
    assert found.forecast.strategy is PRE
    assert found.reason.endswith("none in time, and nothing stronger is permitted")


@pytest.mark.parametrize(("at_s", "expected"), [(0, 50), (59, 50), (60, 100), (119.9, 100), (500, 500)])
def test_the_pause_of_the_moment(at_s: float, expected: int) -> None:
    assert allowed_ms(STEPS, at_s) == expected


@pytest.mark.parametrize(
    ("left", "dirty", "slowed", "slows_down", "expected"),
    [
        (1, 1, 0, False, None),
        (40, 12, 0, False, "pre-copy never ends"),
        (40, 12, 0, True, "auto-converge takes"),
        (0.5, 4, 60, True, None),  # nearly there
        (40, 5, 60, False, "pre-copy takes"),
    ],
)
def test_a_trajectory(left: float, dirty: float, slowed: int, slows_down: bool, expected: str | None) -> None:
    found = needs_post_copy(TransferProgress(10.0, left, load(dirty), slowed), ALL, slows_down=slows_down)
    assert found == expected or (found is not None and expected is not None and expected in found)
